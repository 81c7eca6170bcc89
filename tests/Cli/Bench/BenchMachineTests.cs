using Dbt.Cli.Bench;

namespace Dbt.Tests.Cli.Bench;

/// <summary>The agent's protocol, spoken by a shell script on the host.</summary>
public sealed class BenchMachineTests
{
    private const string Agent = """
        while printf '\n@bench:ready\n> ' && read -r name; do
            printf '\n@bench:times '; echo '0m0.1s 0m0.1s'; echo '0m1.000s 0m0.500s'
            printf '\n@bench:begin\n'
            case $name in
                spin) i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done ;;
                sleep) sleep 0.3 ;;
                long) sleep 100 ;;
                die) echo oops >&2; exit 7 ;;
            esac
            printf '\nnoise @bench:end %d\n' $((name == 1))
            printf '\n@bench:times '; echo '0m0.1s 0m0.1s'; echo '1m1.250s 0m1.000s'
            printf '\n@bench:sum abc\n'
        done
        """;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public void TimeIsTakenBetweenTheMarkers()
    {
        using BenchMachine machine = Start(isNative: false);
        Sample sleeping = machine.Run("sleep", Limit, CancellationToken.None), spinning = machine.Run("spin", Limit, CancellationToken.None);
        Assert.Equal((null, "abc"), (sleeping.Failure, sleeping.Checksum));
        Assert.InRange(sleeping.Wall, .29, 30);
        Assert.InRange(sleeping.Cpu, 0, .1);
        Assert.InRange(spinning.Cpu, .02, spinning.Wall + .05);
    }

    [Fact]
    public void NativelyTheProgramsOwnTimeCounts()
    {
        using BenchMachine machine = Start(isNative: true);
        Assert.Equal(60.75, machine.Run("sleep", Limit, CancellationToken.None).Cpu, 6);
    }

    [Fact]
    public void WhatFailsIsToldWithItsLastOutput()
    {
        using (BenchMachine machine = Start(isNative: false))
        {
            Assert.StartsWith("exit status 1", machine.Run("1", Limit, CancellationToken.None).Failure, StringComparison.Ordinal);
            Assert.Contains("time is up", Assert.Throws<BenchException>(() => machine.Run("long", TimeSpan.FromSeconds(1), CancellationToken.None)).Message, StringComparison.Ordinal);
        }

        using BenchMachine dying = Start(isNative: false);
        Assert.Contains("it has ended", Assert.Throws<BenchException>(() => dying.Run("die", Limit, CancellationToken.None)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AProgramThatIsNotThereIsToldAtOnce() =>
        Assert.Contains("can't be started", Assert.Throws<BenchException>(() => BenchMachine.Start(new MachineCommand("none", "/nowhere/at/all", []))).Message, StringComparison.Ordinal);

    private static BenchMachine Start(bool isNative) => BenchMachine.Start(new MachineCommand("script", "bash", ["-c", Agent], isNative));
}
