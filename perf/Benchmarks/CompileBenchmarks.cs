using BenchmarkDotNet.Attributes;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;

namespace Dbt.Perf.Benchmarks;

/// <summary>What a region costs by its size and its tier: writing IL, and RyuJIT. The regions are a C compiler's code, of our own guest.</summary>
public class CompileBenchmarks
{
    private const int Several = 8;
    private readonly EmittedRegion[] _emitted = new EmittedRegion[Several];
    private GuestRegions _regions = null!;

    /// <summary>Guest instructions of the region; 400 is the most there are in one.</summary>
    [Params(12, 50, 100, 200, 400)]
    public int Instructions { get; set; }

    [GlobalSetup]
    public void SetUp() => _regions = new GuestRegions(Instructions);

    [GlobalCleanup]
    public void Cleanup() => _regions.Dispose();

    [IterationSetup(Target = nameof(JitQuick))]
    public void EmitForQuick() => EmitAll(_regions.Quick);

    [IterationSetup(Target = nameof(JitOptimized))]
    public void EmitForOptimized() => EmitAll(_regions.Optimized);

    [Benchmark(OperationsPerInvoke = Several)]
    public void EmitQuick() => EmitAll(_regions.Quick);

    [Benchmark(OperationsPerInvoke = Several)]
    public void EmitOptimized() => EmitAll(_regions.Optimized);

    [Benchmark(OperationsPerInvoke = Several)]
    public void JitQuick() => CompileAll();

    [Benchmark(OperationsPerInvoke = Several)]
    public void JitOptimized() => CompileAll();

    private void EmitAll(EmitTarget target)
    {
        for (int i = 0; i < Several; i++)
        {
            _emitted[i] = _regions.Emit(target);
        }
    }

    private void CompileAll()
    {
        foreach (EmittedRegion region in _emitted)
        {
            CompiledCode.Compile(region).KeepAlive();
        }
    }
}
