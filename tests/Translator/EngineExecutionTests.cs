using Dbt.Translator;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>How engines run: loops stop when asked, translations link, faults are precise, counters are exact.</summary>
public sealed unsafe class EngineExecutionTests
{
    private const uint Code = 0x10000;
    private const uint Data = 0x100000;

    public static TheoryData<string> Engines => [.. EngineUnderTest.Names, "interpreter"];

    public static TheoryData<string> Translating => ["quick", "optimized", "tiered", "tiered-background", "tiered-direct", "tiered-direct-background"];

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnEndlessLoopLeavesWhenAttentionIsRaised(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label outer = a.CreateLabel(), inner = a.CreateLabel();
            a.Label(ref outer);
            a.mov(ecx, 1000);
            a.Label(ref inner);
            a.dec(ecx);
            a.jnz(inner);
            a.jmp(outer);
        });
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        using var stopper = new Timer(_ => platform.Stop(), null, 50, Timeout.Infinite);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.InRange(platform.Cpu->Eip, Code, Code + 0x20);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void TwoFunctionsThatCallEachOtherForEverLeaveWhenAttentionIsRaised(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a => a.jmp(Code + 0x2000));
        platform.Assemble(Code + 0x2000, a => a.jmp(Code));
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        using var stopper = new Timer(_ => platform.Stop(), null, 50, Timeout.Infinite);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.Contains(platform.Cpu->Eip, new[] { Code, Code + 0x2000 });
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AFaultInALoopFindsExactRegistersAndFlags(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(esi, Data);
            a.xor(eax, eax);
            a.stc();
            a.Label(ref again);
            a.inc(eax);
            a.mov(ebx, __dword_ptr[esi]);
            a.lea(esi, __[esi + 4]);
            a.jmp(again);
        });
        platform.Protect(Data + 0x2000, PageRights.None);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Fault fault = Assert.Single(platform.Faults);
        Assert.Equal(Vector.PageFault, fault.Vector);
        Assert.Equal(Data + 0x2000, fault.Address);
        Assert.Equal(0x801u, platform.Cpu->Gpr[(int)Gpr.Eax]);
        Assert.Equal(Data + 0x2000, platform.Cpu->Gpr[(int)Gpr.Esi]);
        Assert.Equal(Flags.Cf, LazyFlags.Read(platform.Cpu) & Flags.Status);
        Assert.Equal(3u + (0x801 * 4) - 3, Retired(platform));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AFaultThatIsMendedIsTakenUpWhereItWas(string engineName)
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(edi, Data);
            a.mov(ecx, 0x1000);
            a.Label(ref again);
            a.mov(__dword_ptr[edi], ecx);
            a.add(edi, 4);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        for (uint page = 0; page < 4; page++)
        {
            platform.Protect(Data + (page << 12), PageRights.Present | PageRights.User);
        }

        platform.OnFault = fault =>
        {
            platform.Protect(fault.Address, PageRights.All);
            return true;
        };
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.Equal(4, platform.Faults.Count);
        for (uint i = 0; i < 0x1000; i++)
        {
            Assert.Equal(0x1000 - i, platform.Read32(Data + (i * 4)));
        }
    }

    [Theory]
    [MemberData(nameof(Translating))]
    public void AWarmLoopHasNoSideExits(string engineName)
    {
        using var platform = new TestPlatform();
        AssembleSum(platform);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        RunTimes(engine, platform, 50);
        long before = engine.Statistics.SideExits.Values.Sum();
        ulong interpreted = platform.Cpu->RetiredInterpreted;
        RunTimes(engine, platform, 1);

        // INT 0x80 is the interpreter's, as a block of its own or by a side exit; everything else is translated by now.
        Assert.InRange(engine.Statistics.SideExits.Values.Sum(), before, before + 1);
        Assert.Equal(interpreted + 1, platform.Cpu->RetiredInterpreted);
    }

    [Fact]
    public void OneTranslationRunsALoopOfRegionsWithoutTheDispatcher()
    {
        using var platform = new TestPlatform();
        AssembleSum(platform);
        using Engine engine = EngineUnderTest.Create("optimized", platform);
        RunTimes(engine, platform, 3);
        EngineStatistics statistics = engine.Statistics;

        // The main one, and where the first round was taken up behind the call after a TLB miss.
        Assert.InRange(statistics.RegionsCompiled, 1, 2);
        Assert.Equal(0, statistics.BlocksCompiled);
        Assert.True(statistics.OptimizedInstructions > 3 * 1000, $"{statistics.OptimizedInstructions} instructions in regions");
    }

    [Fact]
    public void TheTieredEngineReachesTheOptimisedTierByItself()
    {
        using var platform = new TestPlatform();
        AssembleSum(platform);
        using Engine engine = EngineFactory.Create(new EngineOptions { QuickThreshold = 3, OptimizeThreshold = 20, BackgroundCompile = false }, platform, platform.Cpu);
        RunTimes(engine, platform, 4);
        EngineStatistics statistics = engine.Statistics;
        Assert.True(statistics.InterpretedInstructions > 0 && statistics.QuickInstructions > 0 && statistics.OptimizedInstructions > 0);
        Assert.True(statistics.OptimizedInstructions > statistics.QuickInstructions);
        Assert.True(statistics.IlBytes > 0);
    }

    [Fact]
    public void SideExitsAreCountedByReason()
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 10);
            a.Label(ref again);
            a.cpuid();
            a.mov(__dword_ptr[Data + 0x3000], ecx);
            a.mov(eax, __dword_ptr[Data + 0xFFE]);
            a.mov(ecx, __dword_ptr[Data + 0x100]);
            a.dec(ecx);
            a.mov(__dword_ptr[Data + 0x100], ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Write32(Data + 0x100, 10);
        using Engine engine = EngineUnderTest.Create("optimized", platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Dictionary<string, long> exits = engine.Statistics.SideExits;
        Assert.InRange(exits["page-cross"], 9, 10);
        Assert.Equal(1, exits["tlb-miss-write"]);
        Assert.InRange(exits["untranslated:cpuid"], 1, 10);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void RingAndSegmentChangesAreFollowed(string engineName)
    {
        using var platform = new TestPlatform(ring: 1);
        platform.Gdt[7] = 0x00CFB2001000FFFF; // data, ring 1, base 0x1000
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 40);
            a.xor(ebx, ebx);
            a.Label(ref again);
            a.mov(eax, 0x39);
            a.mov(fs, ax);
            a.mov(eax, __dword_ptr.fs[Data]);
            a.add(ebx, eax);
            a.mov(eax, 0x21);
            a.mov(fs, ax);
            a.add(ebx, __dword_ptr.fs[Data]);
            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        platform.Write32(Data, 1);
        platform.Write32(Data + 0x1000, 1000);
        using Engine engine = EngineUnderTest.Create(engineName, platform);
        platform.Cpu->Eip = Code;
        engine.Run(platform.Cpu);
        Assert.Empty(platform.Faults);
        Assert.Equal(40u * 1001, platform.Cpu->Gpr[(int)Gpr.Ebx]);
    }

    [Fact]
    public void AComputedJumpStaysInItsRegion()
    {
        // A machine of eight instructions whose program is a table of addresses: each turn of the loop jumps to another.
        const int kinds = 8;
        const uint rounds = 4000;
        using var platform = new TestPlatform();
        var places = new Label[kinds];
        platform.Assemble(Code, a =>
        {
            Label next = a.CreateLabel(), end = a.CreateLabel();
            a.mov(ecx, rounds);
            a.Label(ref next);
            a.dec(ecx);
            a.jz(end);
            a.mov(edx, ecx);
            a.and(edx, kinds - 1);
            a.jmp(__dword_ptr[(edx * 4) + Data]);
            for (int i = 0; i < kinds; i++)
            {
                places[i] = a.CreateLabel();
                a.Label(ref places[i]);
                a.nop();
                a.add(eax, i + 1);
                a.rol(eax, (byte)i);
                a.jmp(next);
            }

            a.Label(ref end);
            a.@int(0x80);
        });

        // The table, found by the NOP that each place begins with.
        uint address = Code;
        for (int i = 0; i < kinds; i++)
        {
            do
            {
                address++;
                Assert.InRange(address, Code, Code + 0x400);
            }
            while (platform.Memory[address] != 0x90);

            *(uint*)(platform.Memory + Data + (i * 4)) = address;
        }

        uint expected = 0;
        for (uint left = rounds - 1; left != 0; left--)
        {
            int kind = (int)(left % kinds);
            expected = uint.RotateLeft(expected + (uint)kind + 1, kind);
        }

        using Engine engine = EngineFactory.Create(
            new EngineOptions { Kind = EngineKind.Tiered, RegionThreshold = 300, BackgroundCompile = false }, platform, platform.Cpu);
        for (int run = 0; run < 3; run++)
        {
            platform.Cpu->Gpr[(int)Gpr.Eax] = 0;
            platform.Cpu->Eip = Code;
            long before = engine.Statistics.LookUps;
            engine.Run(platform.Cpu);
            Assert.Equal(expected, platform.Cpu->Gpr[(int)Gpr.Eax]);
            if (run == 2)
            {
                Assert.InRange(engine.Statistics.LookUps - before, 0, 20);
            }
        }

        Assert.InRange(engine.Statistics.RegionsCompiled, 1, 3);
    }

    [Fact]
    public void BlocksOfALoopDontEachGetARegion()
    {
        using var platform = new TestPlatform();
        platform.Assemble(Code, a =>
        {
            Label again = a.CreateLabel();
            a.mov(ecx, 100_000);
            a.Label(ref again);
            for (int i = 0; i < 20; i++)
            {
                Label over = a.CreateLabel();
                a.add(eax, ecx);
                a.test(eax, 1 << i);
                a.jz(over);
                a.inc(ebx);
                a.Label(ref over);
            }

            a.dec(ecx);
            a.jnz(again);
            a.@int(0x80);
        });
        using Engine engine = EngineFactory.Create(
            new EngineOptions { Kind = EngineKind.Tiered, RegionThreshold = 500, BackgroundCompile = true }, platform, platform.Cpu);
        RunTimes(engine, platform, 3);
        Assert.InRange(engine.Statistics.RegionsCompiled, 1, 6);
    }

    private static void AssembleSum(TestPlatform platform) => platform.Assemble(Code, a =>
    {
        Label again = a.CreateLabel(), function = a.CreateLabel();
        a.mov(ecx, 200);
        a.xor(eax, eax);
        a.Label(ref again);
        a.call(function);
        a.dec(ecx);
        a.jnz(again);
        a.@int(0x80);
        a.Label(ref function);
        a.add(eax, __dword_ptr[(ecx * 4) + Data]);
        a.ret();
    });

    private static void RunTimes(Engine engine, TestPlatform platform, int times)
    {
        for (int i = 0; i < times; i++)
        {
            platform.Cpu->Eip = Code;
            engine.Run(platform.Cpu);
            Thread.Sleep(times > 10 ? 2 : 0);
        }
    }

    private static ulong Retired(TestPlatform platform) =>
        platform.Cpu->RetiredInterpreted + platform.Cpu->RetiredQuick + platform.Cpu->RetiredOptimized;
}
