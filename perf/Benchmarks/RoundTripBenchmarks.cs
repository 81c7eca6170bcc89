using BenchmarkDotNet.Attributes;
using Dbt.Translator;

namespace Dbt.Perf.Benchmarks;

/// <summary>A paravirtual guest's way into the hypervisor and back.</summary>
public class RoundTripBenchmarks
{
    private const int Times = 10_000;

    private RoundTripGuest _guest = null!;

    /// <summary>How guest code is executed.</summary>
    [Params(EngineKind.Interpreter, EngineKind.Optimized, EngineKind.Tiered)]
    public EngineKind Engine { get; set; }

    [GlobalSetup]
    public void SetUp() => _guest = new RoundTripGuest(new EngineOptions { Kind = Engine });

    [GlobalCleanup]
    public void Cleanup() => _guest.Dispose();

    /// <summary>xen_version, with the loop's three instructions around it.</summary>
    [Benchmark(OperationsPerInvoke = Times)]
    public void Hypercall() => _guest.Hypercalls(Times);

    /// <summary>EVTCHNOP_send to a backend that answers at once, the upcall, and the hypercall iret that ends it.</summary>
    [Benchmark(OperationsPerInvoke = Times)]
    public void EventThereAndBack() => _guest.Events(Times);
}
