using System.Runtime.InteropServices;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>x87, MMX and SSE as native thunks.</summary>
public sealed unsafe class InterpreterFpuTests : IDisposable
{
    private const uint Start = 0x1000, Data = 0x10000;

    private readonly TestPlatform _machine = new();

    public InterpreterFpuTests()
    {
        _machine.Cpu->Gpr[(int)Gpr.Ebx] = Data;
        *(uint*)((byte*)&_machine.Cpu->Fx + 24) = 0x1F80;
    }

    public void Dispose() => _machine.Dispose();

    [X64Fact]
    public void X87KeepsEightyBits()
    {
        // 1/3 in 80 bits times 3 is 1 again, after rounding; in 64 bits its bytes would differ.
        Run(a =>
        {
            a.fninit();
            a.fld1();
            a.push(3);
            a.fidiv(__dword_ptr[esp]);
            a.fstp(__tbyte_ptr[ebx]);
            a.fld(__tbyte_ptr[ebx]);
            a.fild(__dword_ptr[esp]);
            a.fmulp(st1, st0);
            a.fistp(__dword_ptr[ebx + 16]);
            a.fnstsw(ax);
        });
        Assert.Equal("ABAAAAAAAAAAAAAAFD3F", Convert.ToHexString(new ReadOnlySpan<byte>(_machine.Memory + Data, 10)));
        Assert.Equal(1u, _machine.Read32(Data + 16));
        Assert.Equal(0u, (Reg(Gpr.Eax) >> 11) & 7);
    }

    [X64Fact]
    public void UnmaskedZeroDivideWaitsForTheNextInstruction()
    {
        _machine.Write(Data, 0x7B, 0x03); // all but ZE masked
        Run(a =>
        {
            a.fninit();
            a.fldcw(__word_ptr[ebx]);
            a.fld1();
            a.fldz();
            a.fdivp(st1, st0);
            a.fnstsw(ax);
            a.wait();
        });
        Assert.Equal(Vector.X87, Assert.Single(_machine.Faults).Vector);
        Assert.Equal(0x8084u | (6 << 11), Reg(Gpr.Eax) & 0xFFFF & ~0x4700u | ((Reg(Gpr.Eax) >> 11) & 7) << 11);
    }

    [X64Fact]
    public void SseAddsAndCompares()
    {
        float[] left = [1, 2, 3, 4], right = [10, 20, 30, 40];
        MemoryMarshal.AsBytes(left.AsSpan()).CopyTo(Bytes(Data, 16));
        MemoryMarshal.AsBytes(right.AsSpan()).CopyTo(Bytes(Data + 16, 16));
        Run(a =>
        {
            a.movaps(xmm3, __xmmword_ptr[ebx]);
            a.addps(xmm3, __xmmword_ptr[ebx + 16]);
            a.movups(__xmmword_ptr[ebx + 33], xmm3);
            a.cvttss2si(ecx, xmm3);
            a.movmskps(edx, xmm3);
            a.stc();
            a.ucomiss(xmm3, __dword_ptr[ebx]);
            a.seta(al);
            a.mov(esi, 0x12345678);
            a.movd(xmm1, esi);
            a.pshufd(xmm2, xmm1, 0);
            a.movd(edi, xmm2);
        });
        Assert.Equal([11f, 22f, 33f, 44f], MemoryMarshal.Cast<byte, float>(Bytes(Data + 33, 16)).ToArray());
        Assert.Equal((11u, 0u, 1u, 0x12345678u), (Reg(Gpr.Ecx), Reg(Gpr.Edx), Reg(Gpr.Eax) & 0xFF, Reg(Gpr.Edi)));
    }

    [X64Fact]
    public void UnmaskedSimdExceptionsFaultWithoutResult()
    {
        _machine.Write32(Data, 0x1F80 & ~0x200u); // zero divide unmasked
        Run(a =>
        {
            a.ldmxcsr(__dword_ptr[ebx]);
            a.mov(eax, 0x3F800000);
            a.movd(xmm0, eax);
            a.pxor(xmm1, xmm1);
            a.divss(xmm0, xmm1);
        });
        Assert.Equal(Vector.Simd, Assert.Single(_machine.Faults).Vector);
        byte* fx = (byte*)&_machine.Cpu->Fx;
        Assert.Equal(0x3F800000u, *(uint*)(fx + 160));
        Assert.Equal(4u, *(uint*)(fx + 24) & 0x3F);
    }

    [X64Fact]
    public void MmxWorksAndEmptiesAgain()
    {
        Run(a =>
        {
            a.mov(eax, 0x01020304);
            a.movd(mm3, eax);
            a.paddb(mm3, mm3);
            a.movd(ecx, mm3);
            a.emms();
            a.fnstenv(__[ebx]);
        });
        Assert.Equal(0x02040608u, Reg(Gpr.Ecx));
        Assert.Equal(0xFFFFFFFFu, _machine.Read32(Data + 8));
    }

    [Fact]
    public void TaskSwitchedMakesItUnavailable()
    {
        _machine.Cpu->Cr0 |= 8;
        _machine.Cpu->RefreshMode();
        Run(a => a.fninit());
        Assert.Equal(Vector.DeviceNotAvailable, Assert.Single(_machine.Faults).Vector);
    }

    [Fact]
    public void SseNeedsTheKernelsConsent()
    {
        _machine.Cpu->Cr4 = 0;
        Run(a => a.movaps(xmm0, xmm1));
        Assert.Equal(Vector.InvalidOpcode, Assert.Single(_machine.Faults).Vector);
    }

    [Fact]
    public void TheEnvironmentNamesTheLastInstruction()
    {
        uint at = 0;
        Run(a =>
        {
            a.fninit();
            a.fld(__dword_ptr[ebx + 256]);
            at = Start + 2;
            a.fnstcw(__word_ptr[ebx + 128]);
            a.fnstenv(__[ebx]);
        });

        // FLD m32 is D9 /0, here with an address of 32 bits: modrm 83. What controls the unit is not remembered.
        Assert.Equal((at, 0x0183u << 16 | _machine.Cpu->Segments[SegmentIndex.Cs].Selector), (_machine.Read32(Data + 12), _machine.Read32(Data + 16)));
        Assert.Equal(Data + 256, _machine.Read32(Data + 20));
    }

    [Fact]
    public void InVirtual8086ModeTheEnvironmentHasLinearAddresses()
    {
        FxState state = default;
        (state.ControlWord, state.Opcode, state.CodeSelector, state.InstructionPointer, state.DataSelector, state.DataPointer) = (0x37F, 0x183, 0x1234, 0x567, 0xF000, 0xFFF0);
        byte* memory = stackalloc byte[28];
        foreach (int size in new[] { 14, 28 })
        {
            X87Environment.Store(&state, memory, size, virtual8086: true);
            uint Word(int index) => size == 28 ? ((uint*)memory)[index] : ((ushort*)memory)[index];
            Assert.Equal([0x28A7u, 0x1183u, 0xFFF0u, 0xF000u], new[] { Word(3), Word(4), Word(5), Word(6) });
            FxState back = default;
            X87Environment.Load(&back, memory, size, virtual8086: true);
            Assert.Equal((0x128A7u, 0xFFFF0u, (ushort)0x183), (back.InstructionPointer, back.DataPointer, back.Opcode));
        }
    }

    /// <summary>SDM vol. 3, table 2-3: which of MP (2), EM (4), TS (8) make which instruction fault.</summary>
    [Theory]
    [InlineData(2u, null, null, null)]
    [InlineData(4u, null, Vector.DeviceNotAvailable, Vector.InvalidOpcode)]
    [InlineData(6u, null, Vector.DeviceNotAvailable, Vector.InvalidOpcode)]
    [InlineData(8u, null, Vector.DeviceNotAvailable, Vector.DeviceNotAvailable)]
    [InlineData(10u, Vector.DeviceNotAvailable, Vector.DeviceNotAvailable, Vector.DeviceNotAvailable)]
    [InlineData(12u, null, Vector.DeviceNotAvailable, Vector.InvalidOpcode)]
    public void ControlBitsMakeTheUnitUnavailable(uint bits, Vector? wait, Vector? x87, Vector? mmx)
    {
        Assert.Equal(wait, FaultOf(bits, a => a.wait()));
        Assert.Equal(x87, FaultOf(bits, a => a.fld1()));
        Assert.Equal(x87, FaultOf(bits, a => a.fnstsw(ax)));
        Assert.Equal(x87, FaultOf(bits, a => a.fxsave(__[ebx])));
        Assert.Equal(mmx, FaultOf(bits, a => a.pxor(mm0, mm0)));
        Assert.Equal(mmx, FaultOf(bits, a => a.xorps(xmm0, xmm0)));
    }

    [X64Fact]
    public void MisalignedOperandsAreProtectionFaults()
    {
        Run(a => a.movaps(xmm0, __xmmword_ptr[ebx + 8]));
        Assert.Equal(Vector.GeneralProtection, Assert.Single(_machine.Faults).Vector);
    }

    [X64Fact]
    public void StateGoesThroughFnsaveAndFrstor()
    {
        Run(a =>
        {
            a.fninit();
            a.fldpi();
            a.fld1();
            a.fnsave(__[ebx]);
            a.fldz();
            a.frstor(__[ebx]);
            a.fstp(__qword_ptr[ebx + 256]);
            a.fstp(__qword_ptr[ebx + 264]);
            a.fnstsw(ax);
        });
        Assert.Equal(1.0, *(double*)(_machine.Memory + Data + 256));
        Assert.Equal(Math.PI, *(double*)(_machine.Memory + Data + 264));
        Assert.Equal(0xFFFF0FFFu, _machine.Read32(Data + 8)); // two valid registers, six empty
        Assert.Equal(0u, Reg(Gpr.Eax) & 0x3800);
    }

    [X64Fact]
    public void StateGoesThroughFxsaveAndFxrstor()
    {
        Run(a =>
        {
            a.fninit();
            a.fldpi();
            a.mov(eax, 77);
            a.movd(xmm7, eax);
            a.fxsave(__[ebx]);
            a.fninit();
            a.pxor(xmm7, xmm7);
            a.fxrstor(__[ebx]);
            a.movd(ecx, xmm7);
            a.fstp(__qword_ptr[ebx + 512]);
        });
        Assert.Equal(77u, Reg(Gpr.Ecx));
        Assert.Equal(Math.PI, *(double*)(_machine.Memory + Data + 512));
    }

    [X64Fact]
    public void FcomiSetsFlagsAndFcmovReadsThem()
    {
        Run(a =>
        {
            a.fninit();
            a.fldpi();
            a.fld1();
            a.fcomi(st0, st1);
            a.setb(cl);
            a.fcmovb(st0, st1);
            a.fstp(__qword_ptr[ebx]);
        });
        Assert.Equal(1u, Reg(Gpr.Ecx) & 0xFF);
        Assert.Equal(Math.PI, *(double*)(_machine.Memory + Data));
    }

    [X64Fact]
    public void AFaultingStoreLeavesTheStackAlone()
    {
        _machine.Protect(Data + 0x1000, PageRights.Present | PageRights.User);
        Run(a =>
        {
            a.fninit();
            a.fldpi();
            a.fstp(__qword_ptr[ebx + 0xFFC]);
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.PageFault, Data + 0x1000), (fault.Vector, fault.Address));
        Assert.Equal(7, (*(ushort*)((byte*)&_machine.Cpu->Fx + 2) >> 11) & 7);
        Assert.Equal(0u, _machine.Read32(Data + 0xFFC));
    }

    [X64Fact]
    public void AvxIsReportedByName()
    {
        Run(a => a.vaddps(ymm0, ymm1, ymm2));
        Assert.Equal(Vector.InvalidOpcode, Assert.Single(_machine.Faults).Vector);
        Assert.Equal("Vaddps", Assert.Single(_machine.Unimplemented));
    }

    private Vector? FaultOf(uint bits, Action<Assembler> code)
    {
        _machine.Faults.Clear();
        *(ushort*)&_machine.Cpu->Fx = 0x37F;
        _machine.Cpu->Cr0 = (_machine.Cpu->Cr0 & ~0xEu) | bits;
        _machine.Cpu->RefreshMode();
        Run(code);
        return _machine.Faults.Count == 0 ? null : Assert.Single(_machine.Faults).Vector;
    }

    private uint Reg(Gpr register) => _machine.Cpu->Gpr[(int)register];

    private Span<byte> Bytes(uint address, int count) => new(_machine.Memory + address, count);

    private void Run(Action<Assembler> code)
    {
        uint end = _machine.Assemble(Start, code);
        _machine.Assemble(end, a => a.@int(0x80));
        _machine.Cpu->Eip = Start;
        using var engine = new InterpreterEngine(_machine, _machine.Cpu);
        engine.Run(_machine.Cpu);
    }
}
