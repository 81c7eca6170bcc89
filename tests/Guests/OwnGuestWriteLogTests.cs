using Dbt.Cli.Running;
using Dbt.Devices;
using Dbt.Devices.Block;
using Dbt.Tests.Cli;
using Dbt.Tests.Xen.Memory;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;

namespace Dbt.Tests.Guests;

/// <summary>Our own guest with three processors, its self-test, its benchmarks and its disk, followed by the write log.</summary>
public sealed class OwnGuestWriteLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-write-log").FullName;

    public static TheoryData<EngineKind> Engines => [EngineKind.Interpreter, EngineKind.Quick, EngineKind.Optimized, EngineKind.Tiered];

    [Theory]
    [MemberData(nameof(Engines))]
    public void NoWriteIsMissed(EngineKind engine)
    {
        string image = Path.Combine(_folder, "disk.img");
        File.WriteAllBytes(image, [.. Enumerable.Range(0, 100 << 10).Select(static i => (byte)(i * 7))]);
        using var hypervisor = new Hypervisor(256 << 20);
        using Domain domain = hypervisor.CreateDomain("own", new EngineOptions { Kind = engine });
        DomainBuilder.Build(domain, DomainBuilder.Prepare(new BuildRequest { Kernel = EmbeddedGuest.Load(), MemoryMiB = 48, Vcpus = 3 }));
        using var output = new ConsoleTranscript();
        using DeviceHost devices = DeviceHost.Attach(domain, new DeviceConfiguration
        {
            ConsoleInput = output.Answer("disk sum\nselftest\nuser\nbench all 2\ndisk write 3 written\ndisk read 3\nselftest\nuser\nselftest\nmem\n"),
            PaceInput = true,
            ConsoleOutput = output,
            Disks = [new DiskConfiguration(image, VirtualDevice.Parse("xvda"))],
        });
        domain.Vcpus[0].Start();
        using var shadow = new MemoryShadow(domain);
        int rounds = 0;

        // This engine alone compiles all that runs once.
        int passes = engine == EngineKind.Optimized ? 1 : 3;
        DateTime end = DateTime.UtcNow.AddMinutes(5);
        while (!domain.IsStopped && DateTime.UtcNow < end && Passes(output) < passes)
        {
            shadow.Round();
            // Rounds without a pause would leave the guest nothing but misses of its software TLB.
            Thread.Sleep(1);
            rounds++;
        }

        domain.Pause();
        devices.Dispose();
        shadow.Finish();
        Assert.True(rounds > 10 && Passes(output) >= passes && !domain.IsStopped, $"{rounds} rounds\n{output.Text}");
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static int Passes(ConsoleTranscript output) => output.Text.Split(" ok, 0 failed", StringSplitOptions.None).Length - 1;
}
