using BenchmarkDotNet.Attributes;
using Dbt.Translator;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Benchmarks;

/// <summary>What it costs to go from one block to the next, by the way that it takes. A block is three instructions, which are in the time.</summary>
public class TransferBenchmarks
{
    private const int Transfers = 400_000, SettlingRuns = 50;

    // Both blocks fit into one region, or just one does.
    private const int Together = 400, Alone = 3;

    private KernelRun _run = null!;

    [GlobalSetup(Target = nameof(InsideARegion))]
    public void SetUpInsideARegion() => SetUp(Direct, new EngineOptions { Kind = EngineKind.Optimized, MaxRegionInstructions = Together });

    [GlobalSetup(Target = nameof(Linked))]
    public void SetUpLinked() => SetUp(Direct, new EngineOptions { Kind = EngineKind.Optimized, MaxRegionInstructions = Alone });

    [GlobalSetup(Target = nameof(ThroughTheJumpTable))]
    public void SetUpThroughTheJumpTable() => SetUp(Computed, new EngineOptions { Kind = EngineKind.Optimized, MaxRegionInstructions = Alone });

    [GlobalSetup(Target = nameof(ThroughTheDispatcher))]
    public void SetUpThroughTheDispatcher() =>
        SetUp(Direct, new EngineOptions { Kind = EngineKind.Optimized, MaxRegionInstructions = Alone, LinkBlocks = false });

    [Benchmark(OperationsPerInvoke = Transfers)]
    public uint InsideARegion() => Run();

    [Benchmark(OperationsPerInvoke = Transfers)]
    public uint Linked() => Run();

    [Benchmark(OperationsPerInvoke = Transfers)]
    public uint ThroughTheJumpTable() => Run();

    [Benchmark(OperationsPerInvoke = Transfers)]
    public uint ThroughTheDispatcher() => Run();

    [GlobalCleanup]
    public void Cleanup() => _run.Dispose();

    private void SetUp(Action<Assembler> code, EngineOptions options)
    {
        _run = new KernelRun(code, options);
        for (int i = 0; i < SettlingRuns; i++)
        {
            Run();
        }
    }

    private uint Run() => _run.Once(Transfers / 2);

    // Two blocks that jump to one another, ECX times.
    private static void Direct(Assembler a)
    {
        Label first = a.CreateLabel(), second = a.CreateLabel(), end = a.CreateLabel();
        a.Label(ref first);
        a.add(eax, 3);
        a.xor(eax, edx);
        a.jmp(second);
        a.Label(ref end);
        a.@int(0x20);
        a.Label(ref second);
        a.dec(ecx);
        a.je(end);
        a.jmp(first);
    }

    // The same by registers, which calls fill with the places behind them.
    private static void Computed(Assembler a)
    {
        Label first = a.CreateLabel(), second = a.CreateLabel(), end = a.CreateLabel(), takeFirst = a.CreateLabel(), takeSecond = a.CreateLabel();
        a.call(takeFirst);
        a.Label(ref first);
        a.add(eax, 3);
        a.xor(eax, edx);
        a.jmp(edi);
        a.Label(ref end);
        a.@int(0x20);
        a.Label(ref takeFirst);
        a.pop(esi);
        a.call(takeSecond);
        a.Label(ref second);
        a.dec(ecx);
        a.je(end);
        a.jmp(esi);
        a.Label(ref takeSecond);
        a.pop(edi);
        a.jmp(first);
    }
}
