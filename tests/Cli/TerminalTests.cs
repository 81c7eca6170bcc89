using Dbt.Cli;
using Dbt.Cli.Terminal;

namespace Dbt.Tests.Cli;

/// <summary>The command on a real (pseudo) terminal: keys, pastes, and the terminal's settings on every way out.</summary>
public sealed class TerminalTests : IDisposable
{
    private const int HangUp = 1, Interrupt = 2, Terminate = 15, Continue = 18, TerminalStop = 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-terminal").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private PseudoTerminal Run(params string[] words) => new(_folder, ["run", "--engine", "interpreter", "--timeout", "200", .. words]);

    [Theory]
    [InlineData("\u001D", ExitStatus.Failure)]
    [InlineData("halt\r", ExitStatus.Success)]
    [InlineData("crash ud2\r", ExitStatus.GuestCrash)]
    public void TheTerminalIsRestoredAfter(string keys, int status)
    {
        using PseudoTerminal terminal = Run();
        byte[] before = terminal.Settings;
        terminal.Await("dbt> ");
        Assert.True(terminal.IsRaw);
        terminal.Type(keys);
        Assert.Equal(status, terminal.End());
        Assert.Equal(before, terminal.Settings);
    }

    [Theory]
    [InlineData(HangUp)]
    [InlineData(Interrupt)]
    [InlineData(Terminate)]
    public void TheTerminalIsRestoredAfterSignal(int signal)
    {
        using PseudoTerminal terminal = Run();
        byte[] before = terminal.Settings;
        terminal.Await("dbt> ");
        terminal.Signal(signal);
        Assert.Equal(ExitStatus.Signal(signal), terminal.End());
        Assert.Equal(before, terminal.Settings);
    }

    [Fact]
    public void StoppedItLeavesTheTerminalAndContinuedItTakesItAgain()
    {
        using PseudoTerminal terminal = Run();
        byte[] before = terminal.Settings;
        terminal.Await("dbt> ");
        byte[] raw = terminal.Settings;
        terminal.Signal(TerminalStop);
        Assert.True(SpinWait.SpinUntil(() => terminal.State == 'T', TimeSpan.FromMinutes(1)));
        Assert.Equal(before, terminal.Settings);
        terminal.Signal(Continue);
        Assert.True(SpinWait.SpinUntil(() => terminal.IsRaw, TimeSpan.FromMinutes(1)));
        Assert.Equal(raw, terminal.Settings);
        terminal.Type("echo still here\rhalt\r");
        Assert.Equal(ExitStatus.Success, terminal.End());
        Assert.Contains("\nstill here", terminal.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void EveryKeyButTheEscapeReachesTheGuest()
    {
        byte[] keys = [.. Enumerable.Range(0, 256).Select(i => (byte)i).Where(b => b is not (0x1D or (byte)'q'))];
        using PseudoTerminal terminal = Run();
        terminal.Await("dbt> ");
        terminal.Type("keys\r");
        terminal.Await("q ends");
        terminal.Type(keys);
        terminal.Type("q");
        terminal.Await("71 \r");
        string expected = string.Join(' ', keys.Append((byte)'q').Select(b => b.ToString("x2", null))) + " \r";
        Assert.Contains(expected, terminal.Text.Replace("\r\n", "", StringComparison.Ordinal) + "\r", StringComparison.Ordinal);
        terminal.Type("halt\r");
        Assert.Equal(ExitStatus.Success, terminal.End());
    }

    [Fact]
    public void APasteOf64KilobytesArrivesWhole()
    {
        byte[] paste = [.. Enumerable.Range(0, 65536).Select(i => (byte)(32 + (i * 7 % 95)))];
        uint hash = 2166136261;
        foreach (byte value in paste)
        {
            hash = (hash ^ value) * 16777619;
        }

        using PseudoTerminal terminal = Run();
        terminal.Await("dbt> ");
        terminal.Type("sum 65536\r");
        terminal.Type(paste);
        terminal.Await("sum: 65536 bytes, checksum " + hash.ToString("x8", null));
        terminal.Type("halt\r");
        Assert.Equal(ExitStatus.Success, terminal.End());
    }

    [Theory]
    [InlineData("console=hvc0 quiet", "console=hvc0 quiet LINES=37 COLUMNS=101")]
    [InlineData("console=hvc0 COLUMNS=80", "console=hvc0 COLUMNS=80")]
    [InlineData("console=hvc0 -- single", "console=hvc0 -- single")]
    [InlineData("root=hd0s1", "root=hd0s1")]
    [InlineData("", "")]
    public void ALinuxGuestIsToldTheTerminalsSize(string commandLine, string expected) =>
        Assert.Equal(expected, new TerminalSize(37, 101).AddTo(commandLine));

    [Fact]
    public void TheTerminalsSizeComesFromTheTerminal()
    {
        using PseudoTerminal terminal = Run("cmdline=console=hvc0 run=halt");
        Assert.Equal(ExitStatus.Success, terminal.End());
        Assert.Contains("command line: console=hvc0 run=halt LINES=37 COLUMNS=101", terminal.Text, StringComparison.Ordinal);
    }
}
