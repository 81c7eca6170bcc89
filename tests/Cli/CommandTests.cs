using Dbt.Tests.Xen.Builder;

namespace Dbt.Tests.Cli;

/// <summary>The command as a process of its own: exit statuses and the one line on standard error.</summary>
public sealed class CommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-command").FullName;

    private readonly string _runtime = Directory.CreateTempSubdirectory("dbt-runtime").FullName;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_runtime, recursive: true);
    }

    private (int Status, string Output, string Errors) Dbt(string input, params string[] words) => CommandProcess.Run(_folder, _runtime, input, words);

    private string Write(string name, string text)
    {
        File.WriteAllText(Path.Combine(_folder, name), text);
        return name;
    }

    private void Refused(string expected, params string[] words)
    {
        (int status, string output, string errors) = Dbt("", words);
        Assert.Equal((2, ""), (status, output));
        Assert.StartsWith($"dbt: {expected}", errors, StringComparison.Ordinal);
        Assert.True(errors.TrimEnd().Split('\n').Length <= 2, errors);
    }

    [Fact]
    public void WithoutAFileTheEmbeddedGuestRuns()
    {
        (int status, string output, string errors) = Dbt("halt\n", "run", "--timeout", "100");
        Assert.Equal((0, ""), (status, errors));
        Assert.Contains("dbt> halt", output, StringComparison.Ordinal);
    }

    [Fact]
    public void ConfigurationErrorsAreOneLineAndStatusTwo()
    {
        Write("kernel", "#!/bin/sh");
        Refused("missing.cfg: no such file", "run", "missing.cfg");
        Refused("a.cfg:2:8: the string has no closing \"", "run", Write("a.cfg", "name='x'\nkernel=\"oops\n"));
        Refused("kernel: not a kernel", "run", Write("b.cfg", "kernel='kernel'"));
        Refused("c.cfg:1:8: kernel nowhere: no such file", "run", Write("c.cfg", "kernel='nowhere'"));
        Refused("command line:1:8: memory=0 is outside", "run", "memory=0");
        Refused("too little memory: 2 MiB", "run", "memory=2");
        Assert.Equal(4, Directory.GetFiles(_folder).Length);
    }

    [Fact]
    public void UsageErrorsAreStatusTwo()
    {
        Refused("Required command was not provided");
        Refused("unknown command 'frobnicate'", "frobnicate");
        Refused("unknown option --frobnicate", "run", "--frobnicate");
        Refused("--engine: 'fast' is none of", "run", "--engine", "fast");
        Refused("--timeout: 'soon' is not a number", "run", "--timeout", "soon");
        Refused("there is no workload 'frobnicate'", "bench", "frobnicate");
        Refused("--against: 'fast' is none of", "bench", "--against", "quick,fast");
        Refused("--scale: '0' is not a number above 0", "bench", "--scale", "0");
        Refused("--rounds: 0 is outside", "bench", "--rounds", "0");
        Refused("--native: 'arm64' is none of", "bench", "--native", "arm64");
        Refused("--json: there is no folder", "bench", "--json", "/nowhere/at/all.json");
    }

    [Fact]
    public void CommandsOfXlSayWhyTheyAreNotThere()
    {
        (int status, _, string errors) = Dbt("", "migrate-receive", "-l", "x");
        Assert.Equal(1, status);
        Assert.StartsWith("dbt: migrate-receive is not supported: ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void NoGuestsAreListedAsXlListsThem()
    {
        Assert.Equal((0, "Name                                        ID   Mem VCPUs\tState\tTime(s)\n", ""), Dbt("", "list"));
        Assert.Equal((1, "", "nobody is an invalid domain identifier\n"), Dbt("", "pause", "nobody"));
    }

    [Fact]
    public void WarningsNameTheKeyAndTheGuestStillRuns()
    {
        (int status, _, string errors) = Dbt("", "run", "-N", "frobnicate=1", "vfb=['']");
        Assert.Equal(0, status);
        Assert.Equal(2, errors.TrimEnd().Split('\n').Length);
        Assert.All(errors.TrimEnd().Split('\n'), line => Assert.StartsWith("dbt: warning: ", line, StringComparison.Ordinal));
    }

    [Fact]
    public void HelpAndVersion()
    {
        Assert.Contains("run", Dbt("", "--help").Output, StringComparison.Ordinal);
        Assert.Contains("--engine", Dbt("", "run", "--help").Output, StringComparison.Ordinal);
        Assert.Contains("--against", Dbt("", "bench", "--help").Output, StringComparison.Ordinal);
        Assert.Contains("sha256sum\tcompute\t", Dbt("", "bench", "--list").Output, StringComparison.Ordinal);
        Assert.StartsWith("dbt ", Dbt("", "version").Output, StringComparison.Ordinal);
    }

    [RequiresToolFact("mke2fs", "xorriso")]
    public void DiskImagesAreMadeAndNothingIsLeftOnFailure()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "files"));
        Write("files/hello.txt", "hello");
        Assert.Equal(0, Dbt("", "disk", "create", "a.img", "--from", "files").Status);
        Assert.Equal(0, Dbt("", "disk", "create", "b.iso", "--from", "files", "--format", "iso9660").Status);
        Assert.Equal(0xEF53, BitConverter.ToUInt16(File.ReadAllBytes(Path.Combine(_folder, "a.img")), 1024 + 56));
        Assert.Equal("CD001"u8.ToArray(), File.ReadAllBytes(Path.Combine(_folder, "b.iso")).AsSpan(0x8001, 5).ToArray());
        Refused("a.img exists already", "disk", "create", "a.img");
        Write("files/large", new string('x', 4 << 20));
        Refused("mke2fs failed", "disk", "create", "c.img", "--from", "files", "--size", "2");
        Assert.Equal(["a.img", "b.iso"], Directory.GetFiles(_folder).Select(Path.GetFileName).Order());
    }
}
