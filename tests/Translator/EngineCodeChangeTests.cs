using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>Guest code that changes: by itself, by others, by another thread, and by pages mapped elsewhere.</summary>
public sealed unsafe class EngineCodeChangeTests
{
    private const uint Code = 0x10000;
    private const uint Function = 0x14000;

    public static TheoryData<string> Engines => [.. EngineUnderTest.Names, "interpreter"];

    [Theory]
    [MemberData(nameof(Engines))]
    public void AStoreIntoTheNextInstructionIsSeenByIt(string engineName)
    {
        using var platform = new TestPlatform();

        // mov eax, imm32 at Code + 0x20, whose immediate the loop overwrites just before it runs.
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 20);
            a.xor(ebx, ebx);
            a.Label(ref again);
            a.mov(__dword_ptr[Code + 0x21], ecx);
            a.nop();
            while (Length(a) < 0x20)
            {
                a.nop();
            }

            a.mov(eax, 0x1234);
            a.add(ebx, eax);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        Run(engineName, platform, Code);
        Assert.Equal(210u, platform.Cpu->Gpr[(int)Gpr.Ebx]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AStoreIntoItsOwnLoopIsSeenInTheNextRound(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel(), patched = a.CreateLabel();
            a.mov(ecx, 50);
            a.xor(ebx, ebx);
            a.Label(ref again);
            a.add(ebx, 1);
            a.mov(__byte_ptr[Code + 9], cl); // the immediate of the addition
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        Assert.Equal(1, platform.Memory[Code + 9]);
        Run(engineName, platform, Code);

        // 1 in the first round, then what the round before wrote: 50, 49, ..., 2.
        Assert.Equal(1u + Enumerable.Range(2, 49).Aggregate(0u, (sum, n) => sum + (uint)n), platform.Cpu->Gpr[(int)Gpr.Ebx]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AFunctionRewrittenBetweenCallsIsCalledAnew(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 100);
            a.xor(ebx, ebx);
            a.Label(ref again);
            a.call(Function);
            a.add(ebx, eax);
            a.mov(__dword_ptr[Function + 1], ecx);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Assemble(Function, a =>
        {
            a.mov(eax, 7);
            a.ret();
        });
        Run(engineName, platform, Code);
        Assert.Equal(7u + Enumerable.Range(2, 99).Aggregate(0u, (sum, n) => sum + (uint)n), platform.Cpu->Gpr[(int)Gpr.Ebx]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void CodeWrittenFromOutsideBetweenRunsIsSeen(string engineName)
    {
        using var platform = new TestPlatform();
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 30);
            a.xor(eax, eax);
            a.Label(ref again);
            a.call(Function);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        for (int increment = 1; increment < 6; increment++)
        {
            platform.Assemble(Function, a =>
            {
                a.add(eax, increment);
                a.ret();
            });
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
            Assert.Equal((uint)(30 * increment), platform.Cpu->Gpr[(int)Gpr.Eax]);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnEndlessLoopStopsWhenAnotherThreadRewritesIt(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.Label(ref again);
            a.inc(eax);
            a.jmp(again);
        });
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        var writer = new Thread(() =>
        {
            // Once it has gone round a few times, the jump becomes INT 0x80.
            SpinWait.SpinUntil(() => platform.Resolves > 0);
            Thread.Sleep(30);
            platform.Write(Code + 1, 0xCD, 0x80);
        });
        writer.Start();
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        writer.Join();
        Assert.Equal([0x80], platform.Interrupts);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void DataNextToCodeIsWrittenWithoutLosingTheCode(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 500);
            a.Label(ref again);
            a.add(__dword_ptr[Code + 0x800], ecx);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        EngineStatistics statistics = Run(engineName, platform, Code);
        Assert.Equal(500u * 501 / 2, platform.Read32(Code + 0x800));
        Assert.Equal(0, statistics.Invalidations);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void APageMappedElsewhereRunsWhatIsThereNow(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 30);
            a.xor(eax, eax);
            a.Label(ref again);
            a.call(Function);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        for (uint other = 0; other < 2; other++)
        {
            platform.Assemble(Function + (other * 0x4000), a =>
            {
                a.add(eax, 1 + ((int)other * 10));
                a.ret();
            });
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        for (int i = 0; i < 6; i++)
        {
            platform.Map(Function, Function + ((uint)(i & 1) * 0x4000));
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
            Assert.Equal(i % 2 == 0 ? 30u : 330u, platform.Cpu->Gpr[(int)Gpr.Eax]);
        }

        // A remapping alone drops nothing.
        Assert.Equal(0, engine.Statistics.Invalidations);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void EachOfTwoAddressSpacesRunsItsOwnCode(string engineName)
    {
        // One function is at another place in the other space, one is the same and calls it: links, computed jumps and regions over both pages lead there from code that both share.
        const uint shared = 0x16000, elsewhere = 0x4000;
        const int turns = 3000;
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel(), same = a.CreateLabel();
            a.mov(ecx, turns);
            a.xor(eax, eax);
            a.Label(ref again);
            a.call(Function);
            a.mov(edx, Function);
            a.call(edx);
            a.call(shared);
            a.test(ecx, 3);
            a.jnz(same);
            a.@int(0x81);
            a.Label(ref same);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Assemble(shared, a =>
        {
            a.inc(eax);
            a.call(Function);
            a.ret();
        });
        for (uint other = 0; other < 2; other++)
        {
            platform.Assemble(Function + (other * elsewhere), a =>
            {
                a.add(eax, 1 + ((int)other * 100));
                a.ret();
            });
        }

        platform.SwitchSpace();
        platform.Map(Function, Function + elsewhere);
        platform.SwitchSpace();
        int space = 0;
        platform.OnInterrupt = vector =>
        {
            if (vector != 0x81)
            {
                return false;
            }

            platform.SwitchSpace();
            space ^= 1;
            return true;
        };

        int expected = 0, at = 0;
        for (int left = turns; left > 0; left--)
        {
            expected += 1 + (3 * (1 + (at * 100)));
            at ^= left % 4 == 0 ? 1 : 0;
        }

        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.Equal((uint)expected, platform.Cpu->Gpr[(int)Gpr.Eax]);
        Assert.Equal(at, space);
        Assert.Equal(0, engine.Statistics.Invalidations);
    }

    private static EngineStatistics Run(string engineName, TestPlatform platform, uint eip)
    {
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Cpu->Eip = eip;
        engine.Run(platform.Cpu);
        return engine.Statistics;
    }

    private static long Length(Assembler a)
    {
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), Code);
        return stream.Length;
    }
}
