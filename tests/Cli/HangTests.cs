using Dbt.Cli;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;
using Dbt.Xen.Diagnostics;

namespace Dbt.Tests.Cli;

/// <summary>What is said of a guest that hangs, and that nothing is said of one that doesn't.</summary>
public sealed class HangTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(0.5);

    [Theory]
    [InlineData("spin", EngineKind.Interpreter, "runs with interrupts off")]
    [InlineData("spin", EngineKind.Quick, "runs with interrupts off")]
    [InlineData("spin", EngineKind.Optimized, "runs with interrupts off")]
    [InlineData("spin", EngineKind.Tiered, "runs with interrupts off")]
    [InlineData("dead", EngineKind.Interpreter, "nothing is left that could wake it")]
    [InlineData("dead", EngineKind.Quick, "nothing is left that could wake it")]
    [InlineData("dead", EngineKind.Optimized, "nothing is left that could wake it")]
    [InlineData("dead", EngineKind.Tiered, "nothing is left that could wake it")]
    [InlineData("busy", EngineKind.Interpreter, "has been busy")]
    [InlineData("wait", EngineKind.Interpreter, "waits for an event")]
    public async Task AGuestThatHangsIsTold(string how, EngineKind engine, string expected)
    {
        var errors = new Watched();
        using var runner = new GuestRunner(
            GuestConfigReader.Read(null, [$"cmdline=run=hang {how}", "memory=32"]),
            new RunOptions { Engine = engine, HangAfter = Soon, Timeout = TimeSpan.FromMinutes(3) },
            Stream.Null,
            errors,
            leave => new InputPump(Stream.Null, leave));

        // On a busy host the guest may be said to hang earlier already: it is asked for again after it went on.
        string place = how is "spin" or "busy" ? "(hang+0x" : "(hypercall_page+0x", said = "";
        errors.Said = text =>
        {
            if (text.Contains(expected, StringComparison.Ordinal) && text.Contains(place, StringComparison.Ordinal))
            {
                said = text;
                runner.Leave(ExitStatus.Failure);
            }
        };
        int status = await runner.RunAsync();
        Assert.True(status == ExitStatus.Failure, errors.ToString());
        Assert.StartsWith("dbt: dbt-guest seems to hang: for 0.5 s it ", said, StringComparison.Ordinal);
        Assert.Contains("(kernel_main+0x", said, StringComparison.Ordinal);
        Assert.Contains("Last hypercalls: ", said, StringComparison.Ordinal);
        Assert.Contains("port 2 (console)", said, StringComparison.Ordinal);
    }

    [Fact]
    public void AnIdleGuestAtItsPromptDoesNotHang()
    {
        var detector = new HangDetector(3, TimeSpan.FromSeconds(1));
        for (int i = 0; i < 100; i++)
        {
            Assert.Null(detector.Next(Sample(VcpuDoing.Waiting, output: 100, atPrompt: true, second: i)));
        }
    }

    [Fact]
    public void WhatLooksLikeAHangIsToldBeforeThePromptOnlyAndOnce()
    {
        var detector = new HangDetector(3, TimeSpan.FromSeconds(1));
        string?[] said = [.. Enumerable.Range(0, 10).Select(i => detector.Next(Sample(VcpuDoing.Waiting, output: 5, second: i)))];
        Assert.Single(said, wrong => wrong is not null);
        Assert.Null(detector.Next(Sample(VcpuDoing.Waiting, output: 6, second: 10)));
        said = [.. Enumerable.Range(11, 10).Select(i => detector.Next(Sample(VcpuDoing.Waiting, output: 6, second: i)))];
        Assert.Single(said, wrong => wrong is not null);
        Assert.Null(detector.Next(Sample(VcpuDoing.Waiting, output: 10, atPrompt: true, second: 21)));
        for (int i = 22; i < 40; i++)
        {
            Assert.Null(detector.Next(Sample(VcpuDoing.Running, output: 10, second: i)));
        }
    }

    [Fact]
    public void AGuestThatTheHostDoesNotRunDoesNotHang()
    {
        var detector = new HangDetector(3, TimeSpan.FromSeconds(1));
        for (int i = 0; i < 20; i++)
        {
            Assert.Null(detector.Next(Sample(VcpuDoing.Running, output: 5, second: 0, interruptsOff: true)));
        }

        // Now it got its time.
        Assert.NotNull(detector.Next(Sample(VcpuDoing.Running, output: 5, second: 2, interruptsOff: true)));
    }

    [Theory]
    [InlineData("c1000000 T startup_32\nc1000100 t helper\nc1000180 D data\nc1000200 W last\nf8000000 t part [ext4]\n", 0xC1000110, "helper+0x10/0x100")]
    [InlineData("c1000000 T startup_32\nc1000100 t helper\nc1000200 W last\n", 0xC0FFFFFF, null)]
    [InlineData("c1000000 T a\nc1000000 T b\nc1000010 T c\n", 0xC100000F, "a+0xf/0x10")]
    [InlineData("c1000000 T a\nc1000010 T b\nf8000000 t part [ext4]\n", 0xF8000004, "part [ext4]+0x4")]
    public void SymbolsAreFoundByAddress(string map, uint address, string? expected) =>
        Assert.Equal(expected, SymbolTable.ReadSystemMap(new StringReader(map))!.Describe(address));

    [Fact]
    public void AStubIsNoSystemMap() => Assert.Null(SymbolTable.ReadSystemMap(new StringReader("ffffffffffffffff B The real System.map is elsewhere\n")));

    private static HangSample Sample(VcpuDoing doing, long output, double second, bool atPrompt = false, bool interruptsOff = false) =>
        new(new DomainActivity(0, true, [new VcpuActivity(doing, interruptsOff, false, false, 7, 7)]), output, atPrompt, TimeSpan.FromSeconds(second));

    private sealed class Watched : StringWriter
    {
        public Action<string> Said { get; set; } = _ => { };

        public override void Write(string? value)
        {
            base.Write(value);
            Said(value ?? "");
        }
    }
}
