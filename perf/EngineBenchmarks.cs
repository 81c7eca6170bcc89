using BenchmarkDotNet.Attributes;
using Dbt.Translator;

namespace Dbt.Perf;

/// <summary>Compute kernels on each engine, the interpreter as the baseline.</summary>
public class EngineBenchmarks
{
    private KernelRun _run = null!;

    /// <summary>Name of the kernel.</summary>
    [ParamsSource(nameof(KernelNames))]
    public string Kernel { get; set; } = "sum";

    /// <summary>Which tiers run.</summary>
    [ParamsAllValues]
    public EngineKind Kind { get; set; }

    /// <summary>All kernels.</summary>
    public static IEnumerable<string> KernelNames => Kernels.All.Keys;

    /// <summary>Assembles the kernel and lets the tiers settle.</summary>
    [GlobalSetup]
    public void Setup()
    {
        _run = new KernelRun(Kernels.All[Kernel].Code, new EngineOptions { Kind = Kind });
        for (int i = 0; i < 20; i++)
        {
            Run();
        }
    }

    /// <summary>One run; the result is the kernel's checksum.</summary>
    [Benchmark]
    public uint Run() => _run.Once(Kernels.All[Kernel].Work);

    /// <summary>Frees what the setup took.</summary>
    [GlobalCleanup]
    public void Cleanup() => _run.Dispose();
}
