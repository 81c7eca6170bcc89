using System.Text;
using System.Text.RegularExpressions;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Packages;
using Dbt.Tests.Guests;
using Dbt.Tests.Xen.Builder;
using Dbt.Translator;
using Xunit.Abstractions;

namespace Dbt.Tests.Packages;

/// <summary>
/// Debian's programs in the guest "debian" and, out of the very same root, natively: the same checksums (programs.sh). It takes long:
/// DBT_GUEST_PROGRAMS=tiered,interpreter names the engines. Natively they run in a namespace of their own.
/// </summary>
public sealed partial class GuestProgramsTests(ITestOutputHelper report) : IDisposable
{
    private const string Variable = "DBT_GUEST_PROGRAMS", Script = "tests/Packages/programs.sh", End = "CHECKS DONE";

    private static readonly TimeSpan Limit = TimeSpan.FromHours(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-programs").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact("variable:" + Variable, "tool:debugfs", "tool:unshare")]
    public async Task EveryProgramSaysWhatItSaysNatively()
    {
        Assert.True(TestGuest.Programs.WhyNot is null, TestGuest.Programs.WhyNot);
        string script = Path.Combine(Repository.Root, Script);
        Dictionary<string, (string Sum, double Seconds)> native = Parse(RunNatively(script));
        foreach (string engine in Environment.GetEnvironmentVariable(Variable)!.Split(','))
        {
            Dictionary<string, (string Sum, double Seconds)> guest = Parse(await RunInGuest(script, Enum.Parse<EngineKind>(engine, ignoreCase: true)));
            Assert.Equal(native.Keys.Order(), guest.Keys.Order());
            foreach ((string name, (string sum, double seconds)) in guest)
            {
                report.WriteLine($"{engine} {name}: natively {native[name].Seconds} s, in the guest {seconds} s by its own clock{(sum == native[name].Sum ? "" : "; DIFFERENT")}");
            }

            Assert.Empty(guest.Where(check => check.Value.Sum != native[check.Key].Sum).Select(check => $"{engine}: {check.Key}"));
        }
    }

    private string RunNatively(string script)
    {
        string root = Path.Combine(_folder, "root");
        Directory.CreateDirectory(root);
        Tool.Filter("debugfs", $"-R \"rdump / {root}\" {TestGuest.Programs.Image}", []);
        File.Copy(script, Path.Combine(root, "root", "programs.sh"));
        const string enter = "mount --rbind /dev \"$0/dev\" && mount --rbind /proc \"$0/proc\" && exec chroot \"$0\" /bin/bash /root/programs.sh 2>&1";
        ToolResult result = HostTool.Run(new ToolCall("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", enter, root));
        Assert.True(result.Status == 0, result.Errors + result.Output);
        return result.Output;
    }

    private async Task<string> RunInGuest(string script, EngineKind engine)
    {
        string image = TestGuest.Programs.CopyImage(_folder);
        Tool.Filter("debugfs", $"-w -R \"write {script} /root/programs.sh\" {image}", []);
        GuestConfig config = TestGuest.Programs.Configuration(image, "memory=512");
        (int status, string console, string errors) = await GuestRun.RunAsync(config, engine, "bash /root/programs.sh > /root/result 2>&1; poweroff\n", Limit);
        Assert.True(status == ExitStatus.Success, $"status {status}: {errors}\n{console}");
        return Encoding.UTF8.GetString(Tool.Filter("debugfs", $"-R \"cat /root/result\" {image}", []));
    }

    private static Dictionary<string, (string Sum, double Seconds)> Parse(string output)
    {
        Assert.Contains(End, output, StringComparison.Ordinal);
        return Check().Matches(output).ToDictionary(
            match => match.Groups[1].Value,
            match => (match.Groups[2].Value, double.Parse(match.Groups[3].Value, System.Globalization.CultureInfo.InvariantCulture)));
    }

    // CHECK name checksum status seconds; the status belongs to what must be the same.
    [GeneratedRegex(@"^CHECK (\S+) (\S+ \d+) ([\d.]+)\r?$", RegexOptions.Multiline)]
    private static partial Regex Check();
}
