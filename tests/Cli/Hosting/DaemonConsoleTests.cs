using System.Text;
using Dbt.Cli;
using Dbt.Cli.Consoles;
using Dbt.Cli.Terminal;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>Consoles of guests in the background, on a real terminal and several at a time.</summary>
public sealed class DaemonConsoleTests : IDisposable
{
    private readonly DaemonFolder _daemon = new();

    public void Dispose() => _daemon.Dispose();

    [Fact]
    public void AttachedAndDetachedTheGuestRunsOn()
    {
        using (var terminal = new PseudoTerminal(_daemon.Path, "create", "-c", "name=t", "memory=16", "cmdline=console=hvc0"))
        {
            byte[] before = terminal.Settings;
            terminal.Await("dbt> ");
            Assert.True(terminal.IsRaw);
            Assert.Contains("console=hvc0 LINES=37 COLUMNS=101", terminal.Text, StringComparison.Ordinal);
            terminal.Type("echo first\r");
            terminal.Await("\nfirst");
            terminal.Type("\u001D");
            Assert.Equal(ExitStatus.Success, terminal.End());
            Assert.Equal(before, terminal.Settings);
        }

        using (var terminal = new PseudoTerminal(_daemon.Path, "console", "-e", "q", "t"))
        {
            byte[] before = terminal.Settings;

            // What was written before, and a key that means nothing with -e.
            terminal.Await("\nfirst");
            terminal.Type("\u001Decho second\r");
            terminal.Await("\nsecond");
            using (DaemonFolder.RunningCommand other = _daemon.Start("console", "t"))
            {
                other.Await("\nsecond");
                other.Type("echo third\n");
                other.Await("\nthird");
                terminal.Await("\nthird");
            }

            // One that is killed takes nothing with it.
            terminal.Type("echo fourth\r");
            terminal.Await("\nfourth");
            terminal.Type("\u0011");
            Assert.Equal(ExitStatus.Success, terminal.End());
            Assert.Equal(before, terminal.Settings);
        }

        using (var terminal = new PseudoTerminal(_daemon.Path, "console", "1"))
        {
            byte[] before = terminal.Settings;
            terminal.Await("\nfourth");
            terminal.Type("halt\r");
            Assert.Equal(ExitStatus.Success, terminal.End());
            Assert.Equal(before, terminal.Settings);
        }

        Assert.Empty(_daemon.List());
    }

    [Fact]
    public void AGuestThatEndsAtOnceIsSeenWhole()
    {
        (int status, string output, string errors) = _daemon.Run("create", "-c", "-q", "name=brief", "memory=16", "extra=run=echo seen;halt");
        Assert.Equal((0, ""), (status, errors));
        Assert.Contains("dbt-guest: a 32-bit PAE Xen", output, StringComparison.Ordinal);
        Assert.EndsWith("\nseen\ndbt> halt", output.Replace("\r", "", StringComparison.Ordinal).TrimEnd(), StringComparison.Ordinal);
        Assert.Empty(_daemon.List());
    }

    [Fact]
    public void WhatIsKeptIsTheLastOfIt()
    {
        var history = new ConsoleHistory(10_000);
        Assert.Empty(history.ToArray());
        var all = new List<byte>();
        var random = new Random(7);
        for (int i = 0; i < 200; i++)
        {
            byte[] bytes = new byte[random.Next(0, i % 50 == 49 ? 25_000 : 700)];
            random.NextBytes(bytes);
            history.Add(bytes);
            all.AddRange(bytes);
            Assert.Equal(all.TakeLast(10_000), history.ToArray());
        }
    }

    [Fact]
    public async Task AViewerThatDoesNotReadHoldsNobodyUpAndIsToldWhatItMissed()
    {
        using var console = new GuestConsole();
        console.Write("before"u8);
        using ConsoleViewer slow = console.Watch(), quick = console.Watch();
        Assert.Equal("before", await ReadAsync(quick));
        byte[] chunk = Encoding.ASCII.GetBytes(new string('x', 1000));
        for (int i = 0; i < 3 * ConsoleViewer.MostWaiting / chunk.Length; i++)
        {
            console.Write(chunk);
            Assert.Equal(chunk.Length, (await ReadAsync(quick))!.Length);
        }

        string waited = (await ReadAsync(slow))!;
        Assert.InRange(waited.Length, ConsoleViewer.MostWaiting - chunk.Length, ConsoleViewer.MostWaiting);
        console.Write("after"u8);
        Assert.Matches(@"^\r\n\[dbt: \d+000 bytes are left out, which came too fast\]\r\nafter$", (await ReadAsync(slow))!);
        console.End();
        Assert.Null(await ReadAsync(slow));
        using ConsoleViewer late = console.Watch();
        Assert.EndsWith("xxafter", (await ReadAsync(late))!, StringComparison.Ordinal);
        Assert.Null(await ReadAsync(late));
    }

    [Fact]
    public void InputWaitsForWhoeverReadsNext()
    {
        var queue = new InputQueue();
        queue.Add("typed"u8);
        byte[] buffer = new byte[3];
        using (Stream first = queue.OpenReader())
        {
            Assert.Equal(3, first.Read(buffer));
        }

        using Stream second = queue.OpenReader();
        Assert.Equal(2, second.Read(buffer));
        Assert.Equal("edp", Encoding.ASCII.GetString(buffer));
        second.Dispose();
        Assert.Equal(0, second.Read(buffer));
    }

    private static async Task<string?> ReadAsync(ConsoleViewer viewer) =>
        await viewer.ReadAsync(CancellationToken.None).WaitAsync(TimeSpan.FromMinutes(1)) is { } bytes ? Encoding.ASCII.GetString(bytes) : null;
}
