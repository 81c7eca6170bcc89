using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>Programs that engines with a common store run. All begin at <see cref="Code"/>.</summary>
internal static unsafe class StoredPrograms
{
    public const uint Code = 0x10000, Function = 0x14000, Data = 0x20000;
    public const uint Rounds = 200;

    // eax = 1 + 2 + ... + Rounds, times step.
    public static void WriteSum(TestPlatform platform, uint step) => platform.Assemble(Code, a =>
    {
        Label again = a.CreateLabel();
        a.xor(eax, eax);
        a.xor(edx, edx);
        a.mov(ecx, Rounds);
        a.Label(ref again);
        a.add(edx, (int)step);
        a.add(eax, edx);
        a.dec(ecx);
        a.jnz(again);
        a.@int(0x80);
    });

    public const uint ImmediateOffset = 11;

    public static uint SumOf(uint step) => step * (Rounds * (Rounds + 1) / 2);

    public static void WriteCaller(TestPlatform platform, uint added)
    {
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(ecx, Rounds);
            a.Label(ref again);
            a.call(Function);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Assemble(Function, a =>
        {
            a.add(eax, (int)added);
            a.ret();
        });
    }

    public static uint RunCaller(CodeStore store, uint added, out EngineStatistics statistics)
    {
        using var platform = new TestPlatform();
        WriteCaller(platform, added);
        using Engine engine = EngineFactory.Create(Options(store), platform, platform.Cpu);
        Run(engine, platform);
        statistics = engine.Statistics;
        return platform.Cpu->Gpr[(int)Gpr.Eax];
    }

    // x87, SSE with a stub, rotates through flags and REP MOVS in one loop.
    public static uint RunMixed(CodeStore store, out EngineStatistics statistics)
    {
        using var platform = new TestPlatform();
        var area = (FxState*)&platform.Cpu->Fx;
        area->ControlWord = 0x037F;
        area->Mxcsr = 0x1F80;
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ebx, Rounds);
            a.xor(ebp, ebp);
            a.Label(ref again);
            a.mov(__dword_ptr[Data], ebx);
            a.fild(__dword_ptr[Data]);
            a.fsqrt();
            a.fistp(__dword_ptr[Data + 4]);
            a.movd(xmm0, ebx);
            a.cvtdq2pd(xmm1, xmm0);
            a.sqrtsd(xmm1, xmm1);
            a.cvttsd2si(edx, xmm1);
            a.add(ebp, edx);
            a.add(ebp, __dword_ptr[Data + 4]);
            a.mov(cl, bl);
            a.ror(ebp, cl);
            a.adc(ebp, 7);
            a.rol(ebp, cl);
            a.dec(ebx);
            a.jnz(again);
            a.mov(esi, Data);
            a.mov(edi, Data + 0x100);
            a.mov(ecx, 64);
            a.rep.movsb();
            a.xor(ebp, __dword_ptr[Data + 0x104]);
            a.@int(0x80);
        });
        using Engine engine = EngineFactory.Create(Options(store), platform, platform.Cpu);
        Run(engine, platform);
        statistics = engine.Statistics;
        return platform.Cpu->Gpr[(int)Gpr.Ebp];
    }

    public static EngineStatistics RunSum(CodeStore store, out uint sum, uint step = 1, EngineOptions? options = null, int ring = 3)
    {
        using var platform = new TestPlatform(ring: ring);
        WriteSum(platform, step);
        using Engine engine = EngineFactory.Create(options ?? Options(store), platform, platform.Cpu);
        Run(engine, platform);
        sum = platform.Cpu->Gpr[(int)Gpr.Eax];
        return engine.Statistics;
    }

    public static EngineOptions Options(CodeStore store) => new() { Kind = EngineKind.Optimized, WarmUp = 0, Store = store };

    public static void Run(Engine engine, TestPlatform platform)
    {
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
    }
}
