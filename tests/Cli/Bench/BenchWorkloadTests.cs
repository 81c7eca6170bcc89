using Dbt.Cli.Bench;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Translator;

namespace Dbt.Tests.Cli.Bench;

/// <summary>The table of programs, what they read, and what the command line may say.</summary>
public sealed class BenchWorkloadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-bench-test").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void NamesAreFoundInTheTablesOrder()
    {
        Assert.Equal(Workloads.All, Workloads.Find([]));
        Assert.Equal(["gzip", "lua"], Workloads.Find(["lua", "gzip"]).Select(workload => workload.Name));
        Assert.Contains("no workload 'frob'", Assert.Throws<ConfigException>(() => Workloads.Find(["lua", "frob"])).Message, StringComparison.Ordinal);
        Assert.Equal(Workloads.All.Count, Workloads.All.Select(workload => workload.Name).Distinct().Count());
        Assert.Equal([WorkloadKind.Compute, WorkloadKind.System], Workloads.All.Select(workload => workload.Kind).Distinct());
    }

    [Fact]
    public void EnginesAreCheckedAndNamedOnce()
    {
        Assert.Equal(["interpreter", "quick"], Machines.Parse(["interpreter,tiered", "quick,interpreter"]));
        Assert.Equal(["windowed", "checked"], Machines.Parse(["windowed,checked"]));
        Assert.Contains("'fast' is none of", Assert.Throws<ConfigException>(() => Machines.Parse(["quick,fast"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheTieredEngineRunsWithAndWithoutAddressWindows()
    {
        MachineCommand windowed = Machines.Engine("windowed", "kernel", "ramdisk"), checkedOne = Machines.Engine("checked", "kernel", "ramdisk"), tiered = Machines.Engine("tiered", "kernel", "ramdisk");
        Assert.All([windowed, checkedOne, tiered], static machine => Assert.Contains("tiered", machine.Arguments));
        Assert.Equal((WindowUse.WhenSettled, WindowUse.Never), (WindowSetting.Parse(windowed.Environment[WindowSetting.Variable]), WindowSetting.Parse(checkedOne.Environment[WindowSetting.Variable])));
        Assert.Empty(tiered.Environment);
        Assert.Equal(WindowUse.WhenSettled, WindowSetting.Parse(null));
        Assert.Equal(WindowUse.Always, WindowSetting.Parse("always"));
        Assert.Contains("'often' is none of never, settled, always", Assert.Throws<ConfigException>(() => WindowSetting.Parse("often")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AmountsFollowTheScale()
    {
        Assert.Equal(5, Workloads.All[0].ScaledAmount(5.0 / Workloads.All[0].Amount));
        Assert.Equal(1, Workloads.All[0].ScaledAmount(1e-9));
    }

    [Fact]
    public void InputsAreAlwaysTheSameButForTheKey()
    {
        string one = Directory.CreateDirectory(Path.Combine(_folder, "1")).FullName, other = Directory.CreateDirectory(Path.Combine(_folder, "2")).FullName;
        BenchInputs.Write(one, .5);
        BenchInputs.Write(other, 1);
        foreach (string name in new[] { "noise", "text", "sound.wav", "picture.ppm" })
        {
            Assert.True(File.ReadAllBytes(Path.Combine(one, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(other, name))), name);
        }

        Assert.StartsWith("-----BEGIN RSA PRIVATE KEY-----", File.ReadAllText(Path.Combine(one, "key.pem")), StringComparison.Ordinal);
    }

    [Fact]
    public void ScriptsKnowTheirAmount()
    {
        using var folder = new BenchFolder(Workloads.All, 2);
        Workload aes = Workloads.All.Single(workload => workload.Name == "openssl-aes");
        Assert.StartsWith($"N={aes.Amount * 2}\n", File.ReadAllText(Path.Combine(folder.Path, "run", aes.Name)), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(folder.Path, "prepare", aes.Name)));
        Assert.Contains("@bench:begin", File.ReadAllText(Path.Combine(folder.Path, "agent")), StringComparison.Ordinal);
    }
}
