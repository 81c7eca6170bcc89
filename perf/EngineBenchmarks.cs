using BenchmarkDotNet.Attributes;
using Dbt.Translator;
using Dbt.Translator.State;

namespace Dbt.Perf;

/// <summary>Compute kernels on each engine, the interpreter as the baseline.</summary>
public unsafe class EngineBenchmarks
{
    private const uint Entry = 0x10000;
    private FlatPlatform _platform = null!;
    private Engine _engine = null!;

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
        _platform = new FlatPlatform();
        _platform.Assemble(Entry, Kernels.All[Kernel].Code);
        _engine = EngineFactory.Create(new EngineOptions { Kind = Kind }, _platform, _platform.Cpu);
        for (int i = 0; i < 20; i++)
        {
            Run();
        }
    }

    /// <summary>One run; the result is the kernel's checksum.</summary>
    [Benchmark]
    public uint Run()
    {
        CpuState* cpu = _platform.Cpu;
        cpu->Eip = Entry;
        cpu->Gpr[(int)Gpr.Ecx] = Kernels.All[Kernel].Work;
        cpu->Gpr[(int)Gpr.Esp] = 0x1F0000;
        _engine.Run(cpu);
        return cpu->Gpr[(int)Gpr.Eax];
    }

    /// <summary>Frees what the setup took.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _engine.Dispose();
        _platform.Dispose();
    }
}
