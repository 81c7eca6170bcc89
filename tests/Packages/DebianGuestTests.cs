using System.Globalization;
using System.Text;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Tests.Xen.Builder;
using Dbt.Translator;

namespace Dbt.Tests.Packages;

/// <summary>What <c>dbt run debian</c> runs: a shell on ext4 on a disk, whose files stay.</summary>
public sealed class DebianGuestTests : IDisposable
{
    private const string Boots = "DBT_DEBIAN_BOOTS";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-guest").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresDebianGuestFact]
    public async Task FilesStayFromBootToBoot()
    {
        string image = TestGuest.Small.CopyImage(_folder);
        string first = await Boot(image, "echo kept > /root/note; uname -sm; cat /proc/mounts; network-wait; ip -o -4 addr show eth0\npoweroff\n");
        Assert.Contains("Booting kernel on Xen PVH", first, StringComparison.Ordinal);
        Assert.Contains("\nLinux i686\n", first, StringComparison.Ordinal);
        Assert.Contains("\n/dev/xvda / ext4 rw,", first, StringComparison.Ordinal);
        Assert.Contains("inet 10.0.2.15/24", first, StringComparison.Ordinal);
        Assert.Contains("reboot: System halted", first, StringComparison.Ordinal);
        Tool.Filter("e2fsck", $"-fn {image}", []); // which ends with 0 where nothing is amiss
        Assert.Equal("kept\n", Encoding.ASCII.GetString(Tool.Filter("debugfs", $"-R \"cat /root/note\" {image}", [])));

        string second = await Boot(image, "echo it was $(cat /root/note); poweroff -f\n");
        Assert.Contains("\nit was kept\n", second, StringComparison.Ordinal);
    }

    /// <summary>DBT_DEBIAN_BOOTS=50 boots one disk so many times in a row, as dbt run does.</summary>
    [RequiresPackageFact("variable:" + Boots)]
    public async Task ItBootsAgainAndAgain()
    {
        Assert.True(TestGuest.Small.WhyNot is null, TestGuest.Small.WhyNot);
        string image = TestGuest.Small.CopyImage(_folder);
        int boots = int.Parse(Environment.GetEnvironmentVariable(Boots)!, CultureInfo.InvariantCulture);
        for (int i = 1; i <= boots; i++)
        {
            string console = await Boot(image, $"echo $(({i} * 7)) >> /root/boots; echo boot $(({i} * 7)); poweroff\n", EngineKind.Tiered);
            Assert.Contains($"\nboot {i * 7}\n", console, StringComparison.Ordinal);
        }

        Tool.Filter("e2fsck", $"-fn {image}", []);
        string written = Encoding.ASCII.GetString(Tool.Filter("debugfs", $"-R \"cat /root/boots\" {image}", []));
        Assert.Equal(Enumerable.Range(1, boots).Select(i => $"{i * 7}"), written.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    private static async Task<string> Boot(string image, string commands, EngineKind engine = EngineKind.Interpreter)
    {
        GuestConfig config = TestGuest.Small.Configuration(image, "memory=128");
        (int status, string console, string errors) = await GuestRun.RunAsync(config, engine, commands, Limit);
        Assert.True(status == ExitStatus.Success, $"status {status}: {errors}\n{console}");
        return console;
    }
}
