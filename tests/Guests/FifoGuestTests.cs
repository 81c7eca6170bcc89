using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Tests.Cli;
using Dbt.Translator;

namespace Dbt.Tests.Guests;

/// <summary>Our own guest with event channels by queues (the FIFO ABI): all its tests from inside, with three processors, on each engine.</summary>
public sealed class FifoGuestTests
{
    [Theory]
    [InlineData(EngineKind.Interpreter)]
    [InlineData(EngineKind.Quick)]
    [InlineData(EngineKind.Optimized)]
    [InlineData(EngineKind.Tiered)]
    public async Task TheSelfTestPassesByQueues(EngineKind engine)
    {
        GuestConfig config = GuestConfigReader.Read(null, ["extra='fifo run=selftest;selftest;halt'", "memory=48", "vcpus=3", "max_event_channels=3000"]);
        using var output = new ConsoleTranscript();
        using var errors = new StringWriter();
        var options = new RunOptions { Engine = engine, Timeout = TimeSpan.FromMinutes(8) };
        using var runner = new GuestRunner(config, options, output, errors, leave => new InputPump(Stream.Null, leave));
        int status = await runner.RunAsync();
        Assert.True(status == ExitStatus.Success, $"{status}\n{output.Text}\n{errors}");
        Assert.DoesNotContain("FAIL", output.Text, StringComparison.Ordinal);
        Assert.Equal(3, output.Text.Split(", 0 failed").Length);
        Assert.Contains("event: 3 sent to myself, 3 received", output.Text, StringComparison.Ordinal);
        Assert.Contains("timer: 5 events asked for, 5 came when due", output.Text, StringComparison.Ordinal);
    }
}
