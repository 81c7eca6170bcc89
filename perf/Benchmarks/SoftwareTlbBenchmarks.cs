using BenchmarkDotNet.Attributes;
using Dbt.Tests.Translator.Protection;
using Dbt.Translator;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Benchmarks;

/// <summary>Reads of one word in each of many pages: entries of the software TLB that are there, that are not, and that a kernel's switch of address spaces has dropped. By page.</summary>
public unsafe class SoftwareTlbBenchmarks
{
    private const int Pages = 1024, Rounds = 16, SwitchPages = 64, Switches = 2000;
    private const uint FirstPage = 0x400000, Tables = 0x800000;
    private const int SettlingRuns = 50;

    private KernelRun _run = null!;
    private ProtectionMachine _machine = null!;

    /// <summary>How guest code is executed.</summary>
    [Params(EngineKind.Interpreter, EngineKind.Optimized)]
    public EngineKind Engine { get; set; }

    [GlobalSetup(Targets = [nameof(Hit), nameof(Miss)])]
    public void SetUp()
    {
        _run = new KernelRun(ReadPages, new EngineOptions { Kind = Engine });
        for (int i = 0; i < SettlingRuns; i++)
        {
            _run.Once(Pages);
        }
    }

    [GlobalCleanup(Targets = [nameof(Hit), nameof(Miss)])]
    public void Cleanup() => _run.Dispose();

    [IterationSetup(Target = nameof(AfterASwitchOfCr3))]
    public void SetUpMachine()
    {
        var assembler = new Assembler(32);
        SwitchAndRead(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), MonitorLayout.Image);
        _machine = new ProtectionMachine(stream.ToArray());

        // The first 4 MiB by pages of 4 KiB, in two address spaces that are alike.
        for (uint i = 0; i < 1024; i++)
        {
            *(uint*)(_machine.Memory + Tables + 0x2000 + (i * 4)) = (i << 12) | 7;
        }

        *(uint*)(_machine.Memory + Tables) = (Tables + 0x2000) | 7;
        *(uint*)(_machine.Memory + Tables + 0x1000) = (Tables + 0x2000) | 7;
    }

    [IterationCleanup(Target = nameof(AfterASwitchOfCr3))]
    public void CleanupMachine() => _machine.Dispose();

    [Benchmark(OperationsPerInvoke = Pages * Rounds)]
    public void Hit()
    {
        for (int round = 0; round < Rounds; round++)
        {
            _run.Once(Pages);
        }
    }

    [Benchmark(OperationsPerInvoke = Pages * Rounds)]
    public void Miss()
    {
        for (int round = 0; round < Rounds; round++)
        {
            _run.DropTranslations();
            _run.Once(Pages);
        }
    }

    [Benchmark(OperationsPerInvoke = SwitchPages * Switches)]
    public void AfterASwitchOfCr3()
    {
        _machine.Run(new EngineOptions { Kind = Engine }, MonitorLayout.Image);
        if (_machine.ShutdownReason is { } reason)
        {
            throw new InvalidOperationException($"The machine shut down: {reason}");
        }
    }

    private static void ReadPages(Assembler a)
    {
        Label next = a.CreateLabel();
        a.mov(esi, FirstPage);
        a.Label(ref next);
        a.add(eax, __dword_ptr[esi]);
        a.add(esi, 4096);
        a.dec(ecx);
        a.jne(next);
        a.@int(0x20);
    }

    private static void SwitchAndRead(Assembler a)
    {
        Label next = a.CreateLabel(), page = a.CreateLabel();
        a.mov(ebx, Tables);
        a.mov(cr3, ebx);
        a.mov(eax, cr0);
        a.or(eax, unchecked((int)0x80000000));
        a.mov(cr0, eax);
        a.mov(edi, Switches);
        a.Label(ref next);
        a.xor(ebx, 0x1000);
        a.mov(cr3, ebx);
        a.mov(ecx, SwitchPages);
        a.mov(esi, 0x200000);
        a.Label(ref page);
        a.add(eax, __dword_ptr[esi]);
        a.add(esi, 4096);
        a.dec(ecx);
        a.jne(page);
        a.dec(edi);
        a.jne(next);
        a.@out(0xF4, al);
    }
}
