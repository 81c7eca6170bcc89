using Dbt.Translator;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>SSE and x87 in translated code: loops do not leave it, and what it leaves behind is the processor's state in full.</summary>
public sealed unsafe class TranslatedFloatingPointTests
{
    private const uint Code = 0x10000;
    private const int Data = 0x100000;
    private const int Count = 100;

    private static readonly Dictionary<string, Action<Assembler>> Kernels = new()
    {
        ["sse"] = Sse,
        ["x87"] = X87,
        ["mmx"] = Mmx,
        ["x87 and mmx"] = X87AndMmx,
        ["mxcsr"] = Mxcsr,
        ["strings"] = Strings,
    };

    public static TheoryData<string, string> Loops
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string engine in (string[])["quick", "optimized", "optimized-unlinked", "tiered"])
            {
                foreach (string kernel in Kernels.Keys)
                {
                    data.Add(engine, kernel);
                }
            }

            return data;
        }
    }

    /// <summary>INT 0x80 at the end is all that is interpreted.</summary>
    [X64Theory]
    [MemberData(nameof(Loops))]
    public void AWarmLoopHasNoSideExits(string engineName, string kernel)
    {
        using TestPlatform platform = Prepare(kernel);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Run(engine, platform, 50);
        long exits = engine.Statistics.SideExits.Values.Sum();
        ulong interpreted = platform.Cpu->RetiredInterpreted;
        Run(engine, platform, 1);
        Assert.InRange(engine.Statistics.SideExits.Values.Sum(), exits, exits + 1);
        Assert.Equal(interpreted + 1, platform.Cpu->RetiredInterpreted);
    }

    /// <summary>Registers, flags, tags and the last instruction's pointers, byte by byte as the interpreter leaves them.</summary>
    [X64Theory]
    [MemberData(nameof(Loops))]
    public void TheWholeAreaIsAsTheInterpreterLeavesIt(string engineName, string kernel)
    {
        Assert.Equal(Area("interpreter", kernel, 0x037F, 0x1F80), Area(engineName, kernel, 0x037F, 0x1F80));
        Assert.Equal(Area("interpreter", kernel, 0x0C7F, 0xFFC0), Area(engineName, kernel, 0x0C7F, 0xFFC0));
    }

    /// <summary>A guest that wants exceptions gets them: its code is interpreted.</summary>
    [X64Theory]
    [InlineData("quick", "sse", 0x037F, 0x0F80, Vector.Simd)]
    [InlineData("optimized", "sse", 0x037F, 0x0F80, Vector.Simd)]
    [InlineData("quick", "x87", 0x035F, 0x1F80, Vector.X87)]
    [InlineData("optimized", "x87", 0x035F, 0x1F80, Vector.X87)]
    public void UnmaskedExceptionsAreRaised(string engineName, string kernel, int controlWord, int mxcsr, Vector vector)
    {
        using TestPlatform platform = Prepare(kernel);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Run(engine, platform, 3);
        SetControl(platform, controlWord, mxcsr);
        platform.Cpu->Eip = Code;
        platform.Faults.Clear();
        engine.Run(platform.Cpu);
        Assert.Contains(platform.Faults, fault => fault.Vector == vector);
    }

    /// <summary>The host's own MXCSR and x87 unit are the runtime's again after a run.</summary>
    [X64Theory]
    [InlineData("optimized", "sse")]
    [InlineData("optimized", "x87")]
    public void NothingStaysLiveAfterARun(string engineName, string kernel)
    {
        using TestPlatform platform = Prepare(kernel);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        SetControl(platform, 0x0F7F, 0x7F80);
        Run(engine, platform, 2);
        Assert.Equal(0, platform.Cpu->LiveUnits);

        // A third towards zero would be less.
        Assert.Equal(0x3FD5555555555555, BitConverter.DoubleToInt64Bits(One() / 3));
        Assert.Equal(0x3FE5555555555555, BitConverter.DoubleToInt64Bits(2 * One() / 3));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static double One() => 1;

    private static byte[] Area(string engineName, string kernel, int controlWord, int mxcsr)
    {
        using TestPlatform platform = Prepare(kernel);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        SetControl(platform, controlWord, mxcsr);
        Run(engine, platform, 12);
        return new Span<byte>(&platform.Cpu->Fx, 288).ToArray();
    }

    private static TestPlatform Prepare(string kernel)
    {
        var platform = new TestPlatform();
        SetControl(platform, 0x037F, 0x1F80);
        for (uint i = 0; i < Count * 2; i++)
        {
            platform.Write32(Data + (i * 4), (i & 1) == 0 ? 0x12345678 : 0x3FF00000 + (i << 4));
        }

        platform.Assemble(Code, Kernels[kernel]);
        return platform;
    }

    private static void SetControl(TestPlatform platform, int controlWord, int mxcsr)
    {
        var area = (FxState*)&platform.Cpu->Fx;
        area->ControlWord = (ushort)controlWord;
        area->Mxcsr = (uint)mxcsr;
    }

    private static void Sse(Assembler a)
    {
        Label next = a.CreateLabel(), less = a.CreateLabel();
        a.mov(ecx, Count);
        a.mov(esi, Data);
        a.xorpd(xmm0, xmm0);
        a.Label(ref next);
        a.movsd(xmm1, __qword_ptr[esi]);
        a.mulsd(xmm1, __qword_ptr[esi]);
        a.addsd(xmm0, xmm1);
        a.sqrtsd(xmm2, xmm0);
        a.comisd(xmm2, xmm1);
        a.jb(less);
        a.pshufd(xmm3, xmm0, 0x4E);
        a.addpd(xmm3, xmm0);
        a.Label(ref less);
        a.cvttsd2si(eax, xmm2);
        a.add(esi, 8);
        a.dec(ecx);
        a.jnz(next);
        a.@int(0x80);
    }

    private static void X87(Assembler a)
    {
        Label next = a.CreateLabel(), less = a.CreateLabel();
        a.mov(ecx, Count);
        a.mov(esi, Data);
        a.fldz();
        a.Label(ref next);
        a.fld(__qword_ptr[esi]);
        a.fmul(__qword_ptr[esi]);
        a.faddp(st1, st0);
        a.fld(st0);
        a.fsqrt();
        a.fnstcw(__word_ptr[Data + 0x1000]);
        a.fldcw(__word_ptr[Data + 0x1000]);
        a.fistp(__dword_ptr[Data + 0x1008]);
        a.fcom(__qword_ptr[esi]);
        a.fnstsw(ax);
        a.fld1();
        a.fcomip(st0, st1);
        a.jb(less);
        a.fabs();
        a.Label(ref less);
        a.add(esi, 8);
        a.dec(ecx);
        a.jnz(next);
        a.fstp(__tbyte_ptr[Data + 0x1010]);
        a.@int(0x80);
    }

    private static void Mmx(Assembler a)
    {
        Label next = a.CreateLabel();
        a.mov(ecx, Count);
        a.mov(esi, Data);
        a.movd(mm0, ecx);
        a.pxor(mm1, mm1);
        a.Label(ref next);
        a.movd(mm2, __dword_ptr[esi]);
        a.paddq(mm1, mm2);
        a.movd(mm3, __dword_ptr[esi + 4]);
        a.pmuludq(mm3, mm0);
        a.paddq(mm1, mm3);
        a.movd(__dword_ptr[esi + 0x1000], mm1);
        a.psrlq(mm1, 32);
        a.punpckhbw(mm3, mm2);
        a.pmovmskb(edx, mm3);
        a.movq2dq(xmm1, mm3);
        a.add(esi, 8);
        a.dec(ecx);
        a.jnz(next);
        a.movd(eax, mm1);
        a.emms();
        a.movd(mm5, eax);
        a.@int(0x80);
    }

    // TOP is 0 again before each change from the one to the other, once with EMMS between and once without.
    private static void X87AndMmx(Assembler a)
    {
        Label next = a.CreateLabel();
        a.mov(ecx, Count);
        a.mov(esi, Data);
        a.emms();
        a.Label(ref next);
        a.fld(__qword_ptr[esi]);
        a.fsqrt();
        a.fstp(__qword_ptr[Data + 0x1000]);
        a.movq(mm1, __qword_ptr[esi]);
        a.paddd(mm1, __qword_ptr[Data + 0x1000]);
        a.movq(__qword_ptr[Data + 0x1008], mm1);
        a.fxch(st0, st1);
        a.fst(__qword_ptr[Data + 0x1018]);
        a.emms();
        a.fld(__qword_ptr[Data + 0x1008]);
        a.fstp(__qword_ptr[Data + 0x1010]);
        a.add(esi, 8);
        a.dec(ecx);
        a.jnz(next);
        a.@int(0x80);
    }

    // The same division towards zero and towards plus infinity: the second result is another.
    private static void Mxcsr(Assembler a)
    {
        Label next = a.CreateLabel();
        a.mov(ecx, Count);
        a.mov(esi, Data);
        a.stmxcsr(__dword_ptr[Data + 0x1000]);
        a.Label(ref next);
        a.movsd(xmm1, __qword_ptr[esi]);
        a.cvtsi2sd(xmm2, ecx);
        a.movapd(xmm3, xmm1);
        a.mov(eax, __dword_ptr[Data + 0x1000]);
        a.or(eax, 0x6000);
        a.mov(__dword_ptr[Data + 0x1004], eax);
        a.ldmxcsr(__dword_ptr[Data + 0x1004]);
        a.divsd(xmm1, xmm2);
        a.roundsd(xmm4, xmm1, 12);
        a.xor(eax, 0x2000);
        a.mov(__dword_ptr[Data + 0x1004], eax);
        a.ldmxcsr(__dword_ptr[Data + 0x1004]);
        a.divsd(xmm3, xmm2);
        a.stmxcsr(__dword_ptr[esi + 0x1010]);
        a.subsd(xmm3, xmm1);
        a.addsd(xmm5, xmm3);
        a.add(esi, 8);
        a.dec(ecx);
        a.jnz(next);
        a.ldmxcsr(__dword_ptr[Data + 0x1000]);
        a.@int(0x80);
    }

    private static void Strings(Assembler a)
    {
        Label next = a.CreateLabel(), none = a.CreateLabel();
        a.mov(edi, Data + 0x1000);
        a.mov(esi, Data);
        a.mov(ebx, Count);
        a.mov(eax, 7);
        a.mov(edx, 12);
        a.Label(ref next);
        a.movdqu(xmm1, __xmmword_ptr[esi]);
        a.pcmpistri(xmm1, __xmmword_ptr[esi + 8], 0x44);
        a.jnc(none);
        a.pcmpestrm(xmm1, __xmmword_ptr[esi + 4], 0x40);
        a.maskmovdqu(xmm1, xmm0);
        a.Label(ref none);
        a.add(edx, ecx);
        a.add(esi, 8);
        a.dec(ebx);
        a.jnz(next);
        a.@int(0x80);
    }

    private static void Run(Engine engine, TestPlatform platform, int times)
    {
        for (int i = 0; i < times; i++)
        {
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
        }
    }
}
