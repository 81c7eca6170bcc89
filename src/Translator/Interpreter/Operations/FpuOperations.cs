using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// What controls and saves the x87 and SSE state: on the guest's FX area alone, without native code. The waiting forms
/// (FSTCW, FINIT, ...) are WAIT and the other as far as the decoder is concerned; where it names them, they wait first.
/// </summary>
internal static unsafe class FpuOperations
{
    private const uint Cr0Mp = 2;
    private const uint Cr0Ts = 8;

    /// <summary>WAIT.</summary>
    public static bool Wait(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if ((cpu->Cr0 & (Cr0Mp | Cr0Ts)) == (Cr0Mp | Cr0Ts))
        {
            return Interpreter.Raise(cpu, Vector.DeviceNotAvailable);
        }

        return NativeOperations.NothingPending(cpu);
    }

    /// <summary>FNINIT.</summary>
    public static bool Fninit(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!NativeOperations.Available(cpu, NativeClass.X87))
        {
            return false;
        }

        Initialise(State(cpu));
        return true;
    }

    /// <summary>FNCLEX.</summary>
    public static bool Fnclex(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!NativeOperations.Available(cpu, NativeClass.X87))
        {
            return false;
        }

        State(cpu)->StatusWord &= 0x7F00;
        return true;
    }

    /// <summary>FNSTCW.</summary>
    public static bool Fnstcw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        NativeOperations.Available(cpu, NativeClass.X87) && interpreter.TryStore0(cpu, in d, 2, State(cpu)->ControlWord);

    /// <summary>FNSTSW.</summary>
    public static bool Fnstsw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        NativeOperations.Available(cpu, NativeClass.X87) && interpreter.TryStore0(cpu, in d, 2, State(cpu)->StatusWord);

    /// <summary>FLDCW.</summary>
    public static bool Fldcw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!NativeOperations.Available(cpu, NativeClass.X87) || !NativeOperations.NothingPending(cpu)
            || !interpreter.TryOperand0(cpu, in d, 2, out uint value))
        {
            return false;
        }

        State(cpu)->ControlWord = Control(value);
        State(cpu)->UpdateSummary();
        return true;
    }

    /// <summary>FNOP, and the instructions of older coprocessors that do nothing.</summary>
    public static bool Nop(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => NativeOperations.Available(cpu, NativeClass.X87);

    /// <summary>FNSTENV; masks all exceptions afterwards.</summary>
    public static bool Fnstenv(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = X87Environment.Size(d.Size);
        if (!NativeOperations.Available(cpu, NativeClass.X87))
        {
            return false;
        }

        byte* memory = OpenEnvironment(interpreter, cpu, in d, size, MemoryAccess.Write);
        if (memory == null)
        {
            return false;
        }

        X87Environment.Store(State(cpu), memory, size, IsVirtual8086(cpu));
        interpreter.Commit(cpu);
        State(cpu)->ControlWord |= 0x3F;
        State(cpu)->UpdateSummary();
        return true;
    }

    /// <summary>FLDENV.</summary>
    public static bool Fldenv(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = X87Environment.Size(d.Size);
        if (!NativeOperations.Available(cpu, NativeClass.X87) || !NativeOperations.NothingPending(cpu))
        {
            return false;
        }

        byte* memory = OpenEnvironment(interpreter, cpu, in d, size, MemoryAccess.Read);
        if (memory == null)
        {
            return false;
        }

        X87Environment.Load(State(cpu), memory, size, IsVirtual8086(cpu));
        return true;
    }

    /// <summary>FNSAVE; initialises afterwards.</summary>
    public static bool Fnsave(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = X87Environment.Size(d.Size);
        if (!NativeOperations.Available(cpu, NativeClass.X87))
        {
            return false;
        }

        byte* memory = OpenEnvironment(interpreter, cpu, in d, size + 80, MemoryAccess.Write);
        if (memory == null)
        {
            return false;
        }

        FxState* state = State(cpu);
        X87Environment.Store(state, memory, size, IsVirtual8086(cpu));
        for (int i = 0; i < 8; i++)
        {
            Unsafe.CopyBlockUnaligned(memory + size + (i * 10), state->Stack + (i * 16), 10);
        }

        interpreter.Commit(cpu);
        Initialise(state);
        return true;
    }

    /// <summary>FRSTOR.</summary>
    public static bool Frstor(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        int size = X87Environment.Size(d.Size);
        if (!NativeOperations.Available(cpu, NativeClass.X87) || !NativeOperations.NothingPending(cpu))
        {
            return false;
        }

        byte* memory = OpenEnvironment(interpreter, cpu, in d, size + 80, MemoryAccess.Read);
        if (memory == null)
        {
            return false;
        }

        FxState* state = State(cpu);
        X87Environment.Load(state, memory, size, IsVirtual8086(cpu));
        for (int i = 0; i < 8; i++)
        {
            Unsafe.InitBlockUnaligned(state->Stack + (i * 16), 0, 16);
            Unsafe.CopyBlockUnaligned(state->Stack + (i * 16), memory + size + (i * 10), 10);
        }

        return true;
    }

    /// <summary>FXSAVE.</summary>
    public static bool Fxsave(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte* memory = OpenFx(interpreter, cpu, in d, MemoryAccess.Write);
        if (memory == null)
        {
            return false;
        }

        FxState* state = State(cpu);
        state->MxcsrMask = 0xFFFF;
        Unsafe.CopyBlockUnaligned(memory, state, 288);
        interpreter.Commit(cpu);
        return true;
    }

    /// <summary>FXRSTOR; #GP(0) for reserved bits of MXCSR.</summary>
    public static bool Fxrstor(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        byte* memory = OpenFx(interpreter, cpu, in d, MemoryAccess.Read);
        if (memory == null)
        {
            return false;
        }

        // Copied once, then checked: another processor may write the original meanwhile.
        Unsafe.CopyBlockUnaligned(interpreter.FxWork, memory, 288);
        var source = (FxState*)interpreter.FxWork;
        if ((source->Mxcsr & 0xFFFF0000) != 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        source->ControlWord = Control(source->ControlWord);
        source->UpdateSummary();
        Unsafe.CopyBlockUnaligned(State(cpu), source, 288);
        return true;
    }

    /// <summary>LDMXCSR; #GP(0) for reserved bits.</summary>
    public static bool Ldmxcsr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!NativeOperations.SseEnabled(cpu) || !NativeOperations.Available(cpu, NativeClass.Sse) || !interpreter.TryOperand0(cpu, in d, 4, out uint value))
        {
            return false;
        }

        if ((value & 0xFFFF0000) != 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        State(cpu)->Mxcsr = value;
        return true;
    }

    /// <summary>STMXCSR.</summary>
    public static bool Stmxcsr(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        NativeOperations.SseEnabled(cpu) && NativeOperations.Available(cpu, NativeClass.Sse) && interpreter.TryStore0(cpu, in d, 4, State(cpu)->Mxcsr);

    /// <summary>MOVNTI: a plain store of a general register.</summary>
    public static bool Movnti(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.TryOperand1(cpu, in d, 4, out uint value) && interpreter.TryStore0(cpu, in d, 4, value);

    /// <summary>MASKMOVDQU: bytes of an XMM register to DS:EDI where the mask's bytes have bit 7 set.</summary>
    public static bool Maskmovdqu(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        FxState* state = State(cpu);
        return NativeOperations.SseEnabled(cpu)
            && NativeOperations.Available(cpu, NativeClass.Sse)
            && StoreMasked(interpreter, cpu, in d, state->Xmm + (16 * d.Register1), state->Xmm + (16 * d.Register2), 16);
    }

    /// <summary>MASKMOVQ: the same with MMX registers.</summary>
    public static bool Maskmovq(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!NativeOperations.Available(cpu, NativeClass.Mmx) || !NativeOperations.NothingPending(cpu))
        {
            return false;
        }

        // An MMX instruction first of all, also where the store then faults.
        FxState* state = State(cpu);
        state->EnterMmx();
        return StoreMasked(interpreter, cpu, in d, MmxRegister(state, d.Register1), MmxRegister(state, d.Register2), 8);
    }

    private static bool IsVirtual8086(CpuState* cpu) => (cpu->Eflags & Flags.Vm) != 0;

    private static FxState* State(CpuState* cpu) => (FxState*)&cpu->Fx;

    // Bit 6 reads as 1, bits 13 to 15 and 7 as 0 on every processor that has FXSAVE.
    private static ushort Control(uint value) => (ushort)((value & 0x1F7F) | 0x40);

    private static void Initialise(FxState* state)
    {
        state->RotateToZero();
        state->ControlWord = 0x37F;
        state->StatusWord = 0;
        state->Tags = 0;
        state->Opcode = 0;
        state->InstructionPointer = state->DataPointer = 0;
        state->CodeSelector = state->DataSelector = 0;
    }

    private static byte* MmxRegister(FxState* state, int number) => state->Stack + (16 * ((number - state->Top) & 7));

    // First field and last byte are looked at before the rest, as the host does: the address of a fault is one of theirs.
    private static byte* OpenEnvironment(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, int size, MemoryAccess access)
    {
        byte* edge = interpreter.Open(cpu, in d, size is 14 or 94 ? 2 : 4, access);
        uint offset = Interpreter.EffectiveAddress(cpu, in d);
        if (edge != null && offset + (uint)size > offset)
        {
            edge = interpreter.OpenBehind(cpu, in d, size - 1, 1, access);
        }

        interpreter.AbandonWrite();
        return edge == null ? null : interpreter.Open(cpu, in d, size, access);
    }

    private static byte* OpenFx(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, MemoryAccess access)
    {
        // FXSAVE and FXRSTOR answer EM and TS with #NM, like x87.
        if (!NativeOperations.Available(cpu, NativeClass.X87))
        {
            return null;
        }

        // First the alignment, then the last byte, then the rest.
        if (((cpu->Segments[(int)d.Segment].Base + Interpreter.EffectiveAddress(cpu, in d)) & 15) != 0)
        {
            Interpreter.GeneralProtection(cpu);
            return null;
        }

        byte* last = interpreter.OpenBehind(cpu, in d, 511, 1, access);
        interpreter.AbandonWrite();
        return last == null ? null : interpreter.Open(cpu, in d, 512, access);
    }

    private static bool StoreMasked(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, byte* data, byte* mask, int size)
    {
        uint offset = cpu->Gpr[(int)Gpr.Edi];
        if ((d.Flags & DecodedFlags.Address16) != 0)
        {
            offset &= 0xFFFF;
        }

        byte* memory = interpreter.OpenAt(cpu, (SegmentIndex)d.Segment, offset, size, MemoryAccess.Write);
        if (memory == null)
        {
            // Where the second half wraps around at 4 GiB, an absent page before that faults first.
            if (offset > uint.MaxValue - (uint)(size - 1)
                && Interpreter.TryLinear(cpu, (SegmentIndex)d.Segment, offset, 8, MemoryAccess.Write, out uint linear))
            {
                interpreter.TryResolve(cpu, linear, MemoryAccess.Write, out _);
            }

            return false;
        }

        for (int i = 0; i < size; i++)
        {
            if ((mask[i] & 0x80) != 0)
            {
                memory[i] = data[i];
            }
        }

        interpreter.Commit(cpu);
        return true;
    }
}
