using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>Segmentation, privilege, far returns, 16-bit code.</summary>
public sealed unsafe class InterpreterSegmentTests : IDisposable
{
    private const uint Start = 0x1000;
    private const ushort Small = 0x43, Down = 0x4B, Code16 = 0x53, Absent = 0x5B, Stack16 = 0x63;

    private readonly TestPlatform _machine = new();

    public InterpreterSegmentTests()
    {
        _machine.Gdt[Small >> 3] = Descriptor(0x30000, 0xFF, 0xF3, 0x4);
        _machine.Gdt[Down >> 3] = Descriptor(0x30000, 0xFFF, 0xF7, 0x4);
        _machine.Gdt[Code16 >> 3] = Descriptor(0, 0xFFFF, 0xFB, 0);
        _machine.Gdt[Absent >> 3] = Descriptor(0, 0xFFFF, 0x73, 0x4);
        _machine.Gdt[Stack16 >> 3] = Descriptor(0x40000, 0xFFFF, 0xF3, 0);
    }

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void LimitsAreKept()
    {
        Run(a =>
        {
            a.mov(eax, (uint)Small);
            a.mov(es, eax);
            a.mov(ebx, 0xFC);
            a.mov(__dword_ptr.es[ebx], 0x12345678);
            a.inc(ebx);
            a.mov(__dword_ptr.es[ebx], 0x12345678);
        });
        Assert.Equal(0x12345678u, _machine.Read32(0x300FC));
        Assert.Equal(Vector.GeneralProtection, Assert.Single(_machine.Faults).Vector);
        Assert.Equal(0xFDu, Reg(Gpr.Ebx));
    }

    [Fact]
    public void ExpandDownSegmentsBeginAboveTheirLimit()
    {
        Run(a =>
        {
            a.mov(eax, (uint)Down);
            a.mov(es, eax);
            a.mov(ebx, 0x1000);
            a.mov(__byte_ptr.es[ebx], 7);
            a.dec(ebx);
            a.mov(__byte_ptr.es[ebx], 7);
        });
        Assert.Equal(7, _machine.Memory[0x31000]);
        Assert.Equal(Vector.GeneralProtection, Assert.Single(_machine.Faults).Vector);
        Assert.Equal(0xFFFu, Reg(Gpr.Ebx));
    }

    [Fact]
    public void AbsentSegmentsAreNotPresent()
    {
        Run(a =>
        {
            a.mov(eax, (uint)Absent);
            a.mov(ds, eax);
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.SegmentNotPresent, (uint)Absent & ~3u), (fault.Vector, fault.ErrorCode));
        Assert.Equal(TestPlatform.Data3, _machine.Cpu->Segments[SegmentIndex.Ds].Selector);
    }

    [Fact]
    public void NullSegmentsLoadButDoNotServe()
    {
        Run(a =>
        {
            a.xor(eax, eax);
            a.mov(ds, eax);
            a.mov(eax, __dword_ptr[0x2000]);
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.GeneralProtection, 0u), (fault.Vector, fault.ErrorCode));
    }

    [Fact]
    public void StackOfAnotherRingIsRefused()
    {
        Run(a =>
        {
            a.mov(eax, (uint)TestPlatform.Data1);
            a.mov(ss, eax);
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.GeneralProtection, (uint)TestPlatform.Data1 & ~3u), (fault.Vector, fault.ErrorCode));
    }

    [Fact]
    public void IretLeavesRing1ForRing3()
    {
        _machine.SetRing(1);
        _machine.Cpu->Eflags |= Flags.If | (1u << 12);
        uint target = 0x5000;
        _machine.Assemble(target, a => a.@int(0x81));
        Run(a =>
        {
            a.mov(eax, (uint)TestPlatform.Data1);
            a.mov(fs, eax);
            a.push((uint)TestPlatform.Data3);
            a.push(0x8000);
            a.push(0x3246); // IOPL 3: may not change
            a.push((uint)TestPlatform.Code3);
            a.push(target);
            a.iretd();
        });
        Assert.Equal(0x81, Assert.Single(_machine.Interrupts));
        Assert.Equal(3, _machine.Cpu->Cpl);
        Assert.Equal(0x8000u, Reg(Gpr.Esp));
        Assert.Equal(1u << 12, _machine.Cpu->Eflags & Flags.Iopl);
        Assert.False(_machine.Cpu->Segments[SegmentIndex.Fs].Present);
        Assert.True((_machine.Cpu->Mode & CpuMode.User) != 0);
    }

    [Fact]
    public void IretToAnInnerRingIsRefused()
    {
        Run(a =>
        {
            a.push(0x202);
            a.push((uint)TestPlatform.Code1);
            a.push(0x5000);
            a.iretd();
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.GeneralProtection, (uint)TestPlatform.Code1 & ~3u), (fault.Vector, fault.ErrorCode));
        Assert.Equal(3, _machine.Cpu->Cpl);
    }

    [Fact]
    public void FarCallReturns()
    {
        uint target = 0x5000;
        _machine.Assemble(target, a =>
        {
            a.mov(edx, 5);
            a.retf();
        });
        uint esp = Reg(Gpr.Esp);
        Run(a =>
        {
            a.call(TestPlatform.Code3, target);
            a.inc(edx);
        });
        Assert.Empty(_machine.Faults);
        Assert.Equal(6u, Reg(Gpr.Edx));
        Assert.Equal(esp, Reg(Gpr.Esp));
    }

    [Fact]
    public void SixteenBitCodeRuns()
    {
        _machine.Assemble(
            0x5000,
            a =>
            {
                a.mov(ax, 0x7FFF);
                a.add(ax, 1);
                a.mov(bx, 0x6000);
                a.mov(__word_ptr[bx + 2], ax);
                a.@int(0x80);
            },
            16);
        Run(a => a.jmp(Code16, 0x5000u));
        Assert.Empty(_machine.Faults);
        Assert.Equal(0x8000u, _machine.Read32(0x6002) & 0xFFFF);
    }

    [Fact]
    public void SixteenBitStackUsesSp()
    {
        Set(Gpr.Esp, 0x12340000);
        Set(Gpr.Eax, 0xAABBCCDD);
        Run(a =>
        {
            a.mov(ecx, (uint)Stack16);
            a.mov(ss, ecx);
            a.push(ax);
        });
        Assert.Equal(0x1234FFFEu, Reg(Gpr.Esp));
        Assert.Equal(0xCCDDu, *(ushort*)(_machine.Memory + 0x4FFFE));
    }

    [Fact]
    public void LoadAccessRightsAndLimit()
    {
        Run(a =>
        {
            a.mov(ecx, (uint)Small);
            a.lar(eax, ecx);
            a.setz(dl);
            a.lsl(ebx, ecx);
            a.mov(esi, (uint)TestPlatform.Code0);
            a.lar(edi, esi);
            a.setz(dh);
        });
        Assert.Equal(0x0040F300u, Reg(Gpr.Eax));
        Assert.Equal(0xFFu, Reg(Gpr.Ebx));
        Assert.Equal(1u, Reg(Gpr.Edx) & 0xFFFF);
    }

    [Fact]
    public void AnInstructionAcrossTwoPagesFaultsOnTheSecond()
    {
        _machine.Write(0x1FFE, 0xB8, 1, 2, 3, 4);
        _machine.Protect(0x2000, PageRights.None);
        _machine.Cpu->Eip = 0x1FFE;
        RunOn();
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.PageFault, 0x2000u), (fault.Vector, fault.Address));
        Assert.Equal(0x1FFEu, Assert.Single(_machine.FaultEips));
    }

    private static ulong Descriptor(uint address, uint limit, byte access, byte flags) =>
        (limit & 0xFFFF) | ((ulong)(address & 0xFFFFFF) << 16) | ((ulong)access << 40)
        | ((ulong)((limit >> 16) & 0xF) << 48) | ((ulong)flags << 52) | ((ulong)(address >> 24) << 56);

    private uint Reg(Gpr register) => _machine.Cpu->Gpr[(int)register];

    private void Set(Gpr register, uint value) => _machine.Cpu->Gpr[(int)register] = value;

    private void Run(Action<Assembler> code)
    {
        uint end = _machine.Assemble(Start, code);
        _machine.Assemble(end, a => a.@int(0x80));
        _machine.Cpu->Eip = Start;
        RunOn();
    }

    private void RunOn()
    {
        using var engine = new InterpreterEngine(_machine, _machine.Cpu);
        engine.Run(_machine.Cpu);
    }
}
