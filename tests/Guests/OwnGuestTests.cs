using System.Globalization;
using System.Text.RegularExpressions;
using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Tests.Cli;
using Dbt.Translator;

namespace Dbt.Tests.Guests;

/// <summary>Our own guest on each engine: demonstration, monitor, and its tests of the hypervisor and the processor from inside.</summary>
public sealed partial class OwnGuestTests(OwnGuestRuns runs) : IClassFixture<OwnGuestRuns>
{
    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    [GeneratedRegex(@"^selftest: (\d+) ok, (\d+) failed$", RegexOptions.Multiline)]
    private static partial Regex Summary();

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task TheSelfTestPasses(EngineKind engine)
    {
        (int status, string output, string errors) = await runs.On(engine);
        Assert.Equal((ExitStatus.Success, ""), (status, errors));
        Assert.DoesNotContain("FAIL", output, StringComparison.Ordinal);
        MatchCollection summaries = Summary().Matches(output);
        Assert.Equal(2, summaries.Count);
        Assert.True(int.Parse(summaries[0].Groups[1].Value, CultureInfo.InvariantCulture) >= 650, summaries[0].Value);
        Assert.All(summaries, summary => Assert.Equal("0", summary.Groups[2].Value));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task TheDemonstrationIsComplete(EngineKind engine)
    {
        (_, string output, _) = await runs.On(engine);
        string[] expected =
        [
            "dbt-guest: a 32-bit PAE Xen paravirtual kernel",
            "timer: 5 events asked for, 5 came when due",
            "event: 3 sent to myself, 3 received",
            "disk: xvda, 200 sectors; the first 4 KiB: status 0, checksum ",
            "user: hello from ring 3",
            "user: exit code 1b79ecb1, 16 page faults handled on demand",
            "compute: sha256     ceec6fc6 ok",
            "disk: write of sector 3: status 0",
            "disk: sector 9999: status -1",
            "ENOENT",
            "nonsense: unknown; try help",
        ];
        Assert.All(expected, line => Assert.Contains(line, output, StringComparison.Ordinal));
        Assert.DoesNotContain("WRONG", output, StringComparison.Ordinal);
        Assert.Equal(10, output.Split(" ok\n").Length - 1);
    }

    /// <summary>
    /// Boots in a row, each with two more processors that start, fail over, are brought down and shot at. <c>DBT_GUEST_BOOTS=200</c> for a
    /// long run.
    /// </summary>
    [Fact]
    public async Task BootsInARow()
    {
        int boots = int.Parse(Environment.GetEnvironmentVariable("DBT_GUEST_BOOTS") ?? "2", CultureInfo.InvariantCulture);
        string[] groups = ["processors", "failsafe", "nmi", "poll", "processor_timers", "shootdown", "suspend"];
        string commands = string.Join(';', groups.Select(group => $"selftest {group}"));
        GuestConfig config = GuestConfigReader.Read(null, [$"extra='run={commands};halt'", "memory=16", "vcpus=3"]);
        for (int boot = 0; boot < boots; boot++)
        {
            using var output = new ConsoleTranscript();
            using var errors = new StringWriter();
            var options = new RunOptions { Engine = (boot & 1) == 0 ? EngineKind.Tiered : EngineKind.Interpreter, Timeout = TimeSpan.FromMinutes(2) };
            using var runner = new GuestRunner(config, options, output, errors, leave => new InputPump(Stream.Null, leave));
            int status = await runner.RunAsync();
            Assert.True(status == ExitStatus.Success, $"boot {boot}: {status}\n{output.Text}\n{errors}");
            Assert.DoesNotContain("FAIL", output.Text, StringComparison.Ordinal);
            Assert.Equal(groups.Length, Summary().Count(output.Text.Replace("\r", "", StringComparison.Ordinal)));
        }
    }

    [Theory]
    [InlineData(EngineKind.Quick)]
    [InlineData(EngineKind.Optimized)]
    [InlineData(EngineKind.Tiered)]
    public async Task EveryEngineSaysTheSame(EngineKind engine)
    {
        (_, string reference, _) = await runs.On(EngineKind.Interpreter);
        (_, string output, _) = await runs.On(engine);
        Assert.Equal(reference, output);
    }
}
