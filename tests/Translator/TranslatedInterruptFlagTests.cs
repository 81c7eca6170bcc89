using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>CLI and STI in translated code: in ring 0 without leaving, with the shadow of STI, and with #GP in other rings.</summary>
public sealed unsafe class TranslatedInterruptFlagTests
{
    private const uint Code = 0x10000, Data = 0x100000;

    public static TheoryData<string> Translating => ["quick", "optimized", "tiered-direct"];

    [Theory]
    [MemberData(nameof(Translating))]
    public void AWarmLoopInRing0HasNoSideExits(string engineName)
    {
        using var platform = new TestPlatform(ring: 0);
        Assemble(platform);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        for (int run = 0; run < 30; run++)
        {
            Run(engine, platform);
        }

        ulong interpreted = platform.Cpu->RetiredInterpreted;
        Run(engine, platform);
        Assert.Equal(interpreted + 1, platform.Cpu->RetiredInterpreted);
        Assert.Equal(Flags.If, platform.Cpu->Eflags & Flags.If);
        Assert.Equal((200u, 0u), (platform.Read32(Data), platform.Read32(Data + 4)));
    }

    /// <summary>An interrupt that waits is seen behind the instruction that follows STI, neither before nor much later.</summary>
    [Theory]
    [MemberData(nameof(Translating))]
    [InlineData("interpreter")]
    public void AWaitingInterruptComesBehindTheShadow(string engineName)
    {
        using var platform = new TestPlatform(ring: 0);
        uint behind = 0;
        platform.Assemble(Code, a =>
        {
            Label wait = a.CreateLabel();
            a.cli();
            a.inc(__dword_ptr[Data]);
            a.sti();
            a.inc(eax);
            behind = Code + 9;
            a.Label(ref wait);
            a.nop();
            a.jmp(wait);
        });
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        for (int run = 0; run < 20; run++)
        {
            platform.Cpu->InterruptWaits = 1;
            platform.Stop();
            platform.Cpu->Attention = 0;
            platform.Cpu->Gpr[(int)Gpr.Eax] = 0;
            Run(engine, platform);
            Assert.Equal((behind, 1u), (platform.Cpu->Eip, platform.Cpu->Gpr[(int)Gpr.Eax]));
        }
    }

    [Theory]
    [MemberData(nameof(Translating))]
    public void OtherRingsFault(string engineName)
    {
        using var platform = new TestPlatform(ring: 3);
        Assemble(platform);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        Run(engine, platform);
        Assert.Equal(Vector.GeneralProtection, Assert.Single(platform.Faults).Vector);
        Assert.Equal(Code + 5, platform.Cpu->Eip);
    }

    private static void Assemble(TestPlatform platform) => platform.Assemble(Code, a =>
    {
        Label again = a.CreateLabel();
        a.mov(ecx, 100);
        a.Label(ref again);
        a.cli();
        a.pushfd();
        a.pop(eax);
        a.and(eax, 0x200);
        a.add(__dword_ptr[Data + 4], eax);
        a.sti();
        a.pushfd();
        a.pop(eax);
        a.shr(eax, 9);
        a.and(eax, 1);
        a.lea(eax, __[eax + eax]);
        a.add(__dword_ptr[Data + 8], eax);
        a.mov(edx, __dword_ptr[Data + 8]);
        a.dec(ecx);
        a.jnz(again);
        a.mov(__dword_ptr[Data + 8], ecx);
        a.mov(__dword_ptr[Data], edx);
        a.@int(0x80);
    });

    private static void Run(Engine engine, TestPlatform platform)
    {
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
    }
}
