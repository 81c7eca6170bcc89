using Dbt.Translator;
using Dbt.Translator.State;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Protection;

/// <summary>Breakpoints and the alignment check below a hypervisor, where no platform of the processor's own takes part.</summary>
public sealed unsafe class WatchedAccessTests
{
    private const uint Code = 0x1000, Data = 0x3000;

    public static TheoryData<string> Engines => [.. EngineUnderTest.Names];

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnInstructionBreakpointStopsBeforeIt(string engine)
    {
        using var platform = new TestPlatform();
        uint at = platform.Assemble(Code, a =>
        {
            a.inc(eax);
            a.inc(eax);
        });
        platform.Assemble(at, a => a.inc(eax));
        (platform.Cpu->Dr[0], platform.Cpu->Dr[7]) = (at, 0x401);
        Run(platform, engine);

        Assert.Equal(Vector.Debug, Assert.Single(platform.Faults).Vector);
        Assert.Equal(at, Assert.Single(platform.FaultEips));
        Assert.Equal(2u, platform.Cpu->Gpr[(int)Gpr.Eax]);
        Assert.Equal(1u, platform.Cpu->Dr[6] & 0xF);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void ADataBreakpointStopsBehindTheAccess(string engine)
    {
        using var platform = new TestPlatform();
        uint at = platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[(int)Data + 8]);
            a.push(eax);
            a.mov(__byte_ptr[(int)Data + 6], al);
        });
        platform.Assemble(at, a => a.ud2());
        (platform.Cpu->Dr[2], platform.Cpu->Dr[7]) = (Data + 4, 0x0D000410); // four bytes, writes
        Run(platform, engine);

        Assert.Equal(Vector.Debug, Assert.Single(platform.Faults).Vector);
        Assert.Equal(at, Assert.Single(platform.FaultEips));
        Assert.Equal(4u, platform.Cpu->Dr[6] & 0xF);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnUnalignedAccessFaultsUnderTheAlignmentCheck(string engine)
    {
        using var platform = new TestPlatform();
        uint at = platform.Assemble(Code, a =>
        {
            a.pushfd();
            a.or(__dword_ptr[esp], 0x40000);
            a.popfd();
            a.mov(eax, __dword_ptr[(int)Data]);
            a.mov(ax, __word_ptr[(int)Data + 2]);
            a.mov(al, __byte_ptr[(int)Data + 1]);
        });
        platform.Assemble(at, a => a.mov(eax, __dword_ptr[(int)Data + 2]));
        platform.Cpu->Cr0 |= 1u << 18;
        Run(platform, engine);

        Assert.Equal(Vector.AlignmentCheck, Assert.Single(platform.Faults).Vector);
        Assert.Equal(at, Assert.Single(platform.FaultEips));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void TheKernelIsNotCheckedForAlignment(string engine)
    {
        using var platform = new TestPlatform(ring: 1);
        platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[(int)Data + 2]);
            a.ud2();
        });
        platform.Cpu->Cr0 |= 1u << 18;
        platform.Cpu->Eflags |= Flags.Ac;
        Run(platform, engine);

        Assert.Equal(Vector.InvalidOpcode, Assert.Single(platform.Faults).Vector);
    }

    private static void Run(TestPlatform platform, string name)
    {
        platform.Cpu->Eip = Code;
        platform.Cpu->RefreshMode();
        using Engine engine = EngineUnderTest.Create(name, platform);
        engine.Run(platform.Cpu);
    }
}
