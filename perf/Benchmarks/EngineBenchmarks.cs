using BenchmarkDotNet.Attributes;
using Dbt.Translator;

namespace Dbt.Perf.Benchmarks;

/// <summary>Compute kernels in assembly on each engine, settled.</summary>
public class EngineBenchmarks
{
    private KernelRun _run = null!;

    /// <summary>Name of the kernel.</summary>
    [ParamsSource(nameof(KernelNames))]
    public string Kernel { get; set; } = "sum";

    /// <summary>All kernels.</summary>
    public static IEnumerable<string> KernelNames => Kernels.All.Keys;

    [GlobalSetup(Target = nameof(Interpreter))]
    public void SetUpInterpreter() => SetUp(EngineKind.Interpreter);

    [GlobalSetup(Target = nameof(Quick))]
    public void SetUpQuick() => SetUp(EngineKind.Quick);

    [GlobalSetup(Target = nameof(Optimized))]
    public void SetUpOptimized() => SetUp(EngineKind.Optimized);

    [GlobalSetup(Target = nameof(Tiered))]
    public void SetUpTiered() => SetUp(EngineKind.Tiered);

    [Benchmark]
    public uint Interpreter() => Run();

    [Benchmark]
    public uint Quick() => Run();

    [Benchmark]
    public uint Optimized() => Run();

    [Benchmark]
    public uint Tiered() => Run();

    [GlobalCleanup]
    public void Cleanup() => _run.Dispose();

    private void SetUp(EngineKind kind)
    {
        _run = new KernelRun(Kernels.All[Kernel].Code, new EngineOptions { Kind = kind });
        Settling.Run(() => Run(), () => _run.Statistics);
    }

    private uint Run() => _run.Once(Kernels.All[Kernel].Work);
}
