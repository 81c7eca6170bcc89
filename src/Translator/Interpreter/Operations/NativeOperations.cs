using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// x87, MMX and SSE by the host's own instructions. All exceptions are masked while a thunk runs; those that the guest has unmasked are
/// found in the flags afterwards. What the guest would have kept in such a case is kept: operands of invalid, denormal and
/// zero-divide exceptions stay; results of overflow and underflow are the masked ones (not the biased ones of SDM vol. 1, 8.5.4).
/// </summary>
internal static unsafe class NativeOperations
{
    private const uint Cr0Em = 4;
    private const uint Cr0Ts = 8;
    private const int UsedArea = 288;
    private const uint X87Before = 1 | 2 | 4;
    private const uint X87AfterStore = 8 | 16;

    private enum Result
    {
        Done,

        /// <summary>An unmasked x87 exception: the instruction ends without its result, and the next waiting one raises #MF.</summary>
        Deferred,

        Faulted,
    }

    /// <summary>The routine of every row that has a thunk.</summary>
    public static bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        NativeThunk thunk = NativeThunks.Get((int)d.Extra);
        if (!Available(cpu, thunk.Class) || (thunk.Class != NativeClass.Sse && !NothingPending(cpu)))
        {
            return false;
        }

        byte* memory = null;
        byte* bounce = interpreter.Bounce;
        if (thunk.MemorySize != 0)
        {
            if (thunk.Aligned && ((cpu->Segments[(int)d.Segment].Base + Interpreter.EffectiveAddress(cpu, in d)) & 15) != 0)
            {
                return Interpreter.GeneralProtection(cpu);
            }

            memory = interpreter.Open(cpu, in d, thunk.MemorySize, thunk.WritesMemory ? MemoryAccess.Write : MemoryAccess.Read);
            if (memory == null)
            {
                return false;
            }

            if (thunk.ReadsMemory)
            {
                Copy(memory, bounce, thunk.MemorySize);
            }
        }

        NativeRegisters registers;
        Unsafe.SkipInit(out registers);
        registers.Eax = cpu->Gpr[(int)Gpr.Eax];
        registers.Edx = cpu->Gpr[(int)Gpr.Edx];
        registers.Explicit = thunk.Register >= 0 ? *(uint*)Interpreter.Register(cpu, thunk.Register) : 0;
        registers.Eflags = thunk.ReadsFlags || thunk.WritesFlags ? LazyFlags.Status(cpu) | Flags.Fixed : Flags.Fixed;
        Result result = thunk.WholeArea ? Whole(interpreter, cpu, in d, thunk, bounce, &registers) : Sse(cpu, thunk, bounce, &registers);
        if (result != Result.Done)
        {
            interpreter.AbandonWrite();
            return result == Result.Deferred;
        }

        if (thunk.WritesMemory)
        {
            Copy(bounce, memory, thunk.MemorySize);
            interpreter.Commit(cpu);
        }

        if (thunk.WritesRegister)
        {
            *(uint*)Interpreter.Register(cpu, thunk.Register) = registers.Explicit;
        }

        if (thunk.WritesEcx)
        {
            cpu->Gpr[(int)Gpr.Ecx] = registers.Ecx;
        }

        if (thunk.WritesFlags)
        {
            LazyFlags.SetStatus(cpu, registers.Eflags & Flags.Status);
        }

        return true;
    }

    /// <summary>Whether CR0 lets the instruction run: #NM, or #UD for MMX and SSE under EM.</summary>
    public static bool Available(CpuState* cpu, NativeClass kind)
    {
        if ((cpu->Cr0 & (Cr0Em | Cr0Ts)) == 0)
        {
            return true;
        }

        bool emulated = (cpu->Cr0 & Cr0Em) != 0 && kind != NativeClass.X87;
        return Interpreter.Raise(cpu, emulated ? Vector.InvalidOpcode : Vector.DeviceNotAvailable);
    }

    /// <summary>#MF where an unmasked x87 exception waits.</summary>
    public static bool NothingPending(CpuState* cpu) =>
        (((FxState*)&cpu->Fx)->StatusWord & FxState.ErrorSummary) == 0 || Interpreter.Raise(cpu, Vector.X87);

    private static Result Sse(CpuState* cpu, NativeThunk thunk, byte* bounce, NativeRegisters* registers)
    {
        var guest = (FxState*)&cpu->Fx;
        uint control = guest->Mxcsr & 0xFFFF;
        registers->Mxcsr = (control & ~0x3Fu) | 0x1F80;
        thunk.Code((byte*)guest, bounce, registers);
        if (!CheckSimd(cpu, control, registers->Mxcsr))
        {
            return Result.Faulted;
        }

        if (thunk.WrittenXmm >= 0)
        {
            Unsafe.CopyBlockUnaligned((byte*)guest + 160 + (16 * thunk.WrittenXmm), registers->Xmm, 16);
        }

        return Result.Done;
    }

    private static Result Whole(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, NativeThunk thunk, byte* bounce, NativeRegisters* registers)
    {
        var guest = (FxState*)&cpu->Fx;
        var work = (FxState*)interpreter.FxWork;
        Unsafe.CopyBlockUnaligned(work, guest, UsedArea);
        ushort control = guest->ControlWord;
        uint simdControl = guest->Mxcsr & 0xFFFF;
        work->ControlWord |= 0x3F;
        work->StatusWord &= 0x7F7F;
        work->Mxcsr = (simdControl & ~0x3Fu) | 0x1F80;
        thunk.Code((byte*)work, bounce, registers);
        if (!CheckSimd(cpu, simdControl, work->Mxcsr))
        {
            return Result.Faulted;
        }

        work->Mxcsr = simdControl | (work->Mxcsr & 0x3F);
        work->ControlWord = control;
        if (thunk.Class == NativeClass.X87)
        {
            // The host's pointers are ours; the guest's name its own instruction.
            work->Opcode = 0;
            work->InstructionPointer = cpu->Eip;
            work->CodeSelector = cpu->Segments[SegmentIndex.Cs].Selector;
            work->DataPointer = thunk.MemorySize != 0 ? Interpreter.EffectiveAddress(cpu, in d) : guest->DataPointer;
            work->DataSelector = thunk.MemorySize != 0 ? cpu->Segments[(int)d.Segment].Selector : guest->DataSelector;
        }

        uint raised = work->StatusWord & 0x3Fu & ~(uint)control;
        if (raised == 0)
        {
            Unsafe.CopyBlockUnaligned(guest, work, UsedArea);
            return Result.Done;
        }

        bool keep = (raised & X87Before) != 0 || (thunk.WritesMemory && (raised & X87AfterStore) != 0);
        if (keep)
        {
            // The stack stays as it was: only flags (with SF and C1) and pointers change.
            guest->StatusWord = (ushort)((guest->StatusWord & 0xFD80) | (work->StatusWord & 0x027F) | FxState.ErrorSummary | FxState.Busy);
            (guest->Opcode, guest->InstructionPointer, guest->CodeSelector) = (work->Opcode, work->InstructionPointer, work->CodeSelector);
            (guest->DataPointer, guest->DataSelector) = (work->DataPointer, work->DataSelector);
            return Result.Deferred;
        }

        work->StatusWord |= FxState.ErrorSummary | FxState.Busy;
        Unsafe.CopyBlockUnaligned(guest, work, UsedArea);
        return Result.Done;
    }

    // #XM where an exception that the guest has unmasked was raised: its flags are set, and nothing else changes.
    private static bool CheckSimd(CpuState* cpu, uint control, uint after)
    {
        uint raised = after & 0x3F;
        ((FxState*)&cpu->Fx)->Mxcsr = control | raised;
        return (raised & ~(control >> 7)) == 0 || Interpreter.Raise(cpu, Vector.Simd);
    }

    private static void Copy(byte* from, byte* to, int size)
    {
        switch (size)
        {
            case 4:
                Volatile.Write(ref *(uint*)to, Volatile.Read(ref *(uint*)from));
                break;
            case 8:
                Volatile.Write(ref *(ulong*)to, Volatile.Read(ref *(ulong*)from));
                break;
            default:
                Unsafe.CopyBlockUnaligned(to, from, (uint)size);
                break;
        }
    }
}
