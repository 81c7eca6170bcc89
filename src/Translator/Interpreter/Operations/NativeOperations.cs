using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>
/// x87, MMX and SSE by the host's own instructions, or by managed code that does what they do. x87 runs with the guest's own masks: an
/// unmasked exception there only marks the status word, and the host's next waiting instruction, which would raise it, never comes.
/// SSE runs with all exceptions masked, since it would fault at once; those that the guest has unmasked are found in the flags
/// afterwards.
/// </summary>
internal static unsafe class NativeOperations
{
    private const uint Cr0Em = 4;
    private const uint Cr0Ts = 8;
    private const int UsedArea = 288;
    private const uint X87Before = 1 | 2 | 4;
    private const uint X87AfterStore = 8 | 16;

    private const uint SimdBefore = 1 | 2 | 4;
    private const uint SimdUnderflow = 0x10;
    private const uint SimdFlushToZero = 0x8000;

    // All exceptions masked, to nearest, no flushing: what .NET's threads have too.
    private const uint SimdDefault = 0x1F80;

    private enum Result
    {
        Done,

        /// <summary>An unmasked x87 exception: memory is not written, and the next waiting instruction raises #MF.</summary>
        NotStored,

        Faulted,
    }

    /// <summary>The routine of every row that has a thunk.</summary>
    public static bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        NativeThunk thunk = NativeThunks.Get((int)d.Extra);
        if (thunk.Fast != null && FastX87Operations.Apply(cpu))
        {
            return FastX87Operations.Execute(interpreter, cpu, in d, thunk);
        }

        if ((thunk.UsesXmm && !SseEnabled(cpu)) || !Available(cpu, thunk.Class) || (thunk.Class != NativeClass.Sse && !NothingPending(cpu)))
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
        if (result == Result.Faulted)
        {
            interpreter.AbandonWrite();
            return false;
        }

        if (thunk.WritesMemory)
        {
            if (result == Result.NotStored)
            {
                interpreter.AbandonWrite();
            }
            else
            {
                Copy(bounce, memory, thunk.MemorySize);
                interpreter.Commit(cpu);
            }
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

    /// <summary>Whether CR4 lets instructions on XMM registers run: #UD where OSFXSR is clear (SDM vol. 3, 2.5).</summary>
    public static bool SseEnabled(CpuState* cpu) => (cpu->Cr4 & ControlBits.Cr4Osfxsr) != 0 || Interpreter.Undefined(cpu);

    /// <summary>Whether CR0 lets the instruction run: #NM, or #UD for MMX and SSE under EM (SDM vol. 3, tables 2-3 and 13-1).</summary>
    public static bool Available(CpuState* cpu, NativeClass kind)
    {
        if ((cpu->Cr0 & (Cr0Em | Cr0Ts)) == 0)
        {
            return true;
        }

        bool emulated = (cpu->Cr0 & Cr0Em) != 0 && kind != NativeClass.X87;
        return Interpreter.Raise(cpu, emulated ? Vector.InvalidOpcode : Vector.DeviceNotAvailable);
    }

    /// <summary>#MF where an unmasked x87 exception waits. What passes here may be loaded into the host's x87 unit and go on.</summary>
    public static bool NothingPending(CpuState* cpu)
    {
        var state = (FxState*)&cpu->Fx;
        return ((state->StatusWord & FxState.ErrorSummary) == 0 && (state->StatusWord & 0x3F & ~state->ControlWord) == 0)
            || Interpreter.Raise(cpu, Vector.X87);
    }

    private static Result Sse(CpuState* cpu, NativeThunk thunk, byte* bounce, NativeRegisters* registers)
    {
        var guest = (FxState*)&cpu->Fx;
        if (!thunk.UsesMxcsr)
        {
            if (thunk.ExpectsMmx)
            {
                guest->EnterMmx();
            }

            thunk.Run((byte*)guest, bounce, registers);
            if (thunk.WrittenXmm >= 0)
            {
                Unsafe.CopyBlockUnaligned((byte*)guest + 160 + (16 * thunk.WrittenXmm), registers->Xmm, 16);
            }

            return Result.Done;
        }

        uint control = guest->Mxcsr & 0xFFFF;
        if ((control & ~0x3Fu) == SimdDefault && thunk.Quick != null)
        {
            // Flags that the guest has already, or none: there is nothing to tell apart.
            thunk.Quick((byte*)guest, bounce, registers);
            if ((registers->Mxcsr & ~0x3Fu) == SimdDefault && (registers->Mxcsr & 0x3F & ~control) == 0)
            {
                if (thunk.WrittenXmm >= 0)
                {
                    Unsafe.CopyBlockUnaligned((byte*)guest + 160 + (16 * thunk.WrittenXmm), registers->Xmm, 16);
                }

                return Result.Done;
            }
        }

        uint masked = (control & ~0x3Fu) | 0x1F80;
        uint underflow = 0;
        if ((control & (SimdUnderflow << 7)) == 0)
        {
            // Unmasked, a tiny result raises underflow also where it is exact, and is not flushed to zero. Masked, only flushing
            // tells of an exact one.
            NativeRegisters trial = *registers;
            trial.Mxcsr = masked | SimdFlushToZero;
            thunk.Run((byte*)guest, bounce, &trial);
            underflow = trial.Mxcsr & SimdUnderflow;
            masked &= ~SimdFlushToZero;
        }

        registers->Mxcsr = masked;
        thunk.Run((byte*)guest, bounce, registers);
        registers->Mxcsr |= underflow;
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
        uint simdControl = guest->Mxcsr & 0xFFFF;
        work->Mxcsr = (simdControl & ~0x3Fu) | 0x1F80;
        thunk.Run((byte*)work, bounce, registers);
        if (!CheckSimd(cpu, simdControl, work->Mxcsr))
        {
            if (thunk.Class == NativeClass.Mmx)
            {
                guest->EnterMmx();
            }

            return Result.Faulted;
        }

        work->Mxcsr = simdControl | (work->Mxcsr & 0x3F);
        if (thunk.Class == NativeClass.X87)
        {
            // The host's pointers are ours; the guest's name its own instruction.
            work->Opcode = (ushort)d.Immediate;
            work->InstructionPointer = cpu->Eip;
            work->CodeSelector = cpu->Segments[SegmentIndex.Cs].Selector;
            work->DataPointer = thunk.MemorySize != 0 ? Interpreter.EffectiveAddress(cpu, in d) : guest->DataPointer;
            work->DataSelector = thunk.MemorySize != 0 ? cpu->Segments[(int)d.Segment].Selector : guest->DataSelector;
        }

        uint raised = work->StatusWord & 0x3Fu & ~(uint)guest->ControlWord;
        Unsafe.CopyBlockUnaligned(guest, work, UsedArea);
        return (raised & (X87Before | X87AfterStore)) != 0 ? Result.NotStored : Result.Done;
    }

    // #XM (#UD where CR4.OSXMMEXCPT is clear) where an exception that the guest has unmasked was raised: its flags are set, and nothing else changes. Where that is one of
    // those found before anything is computed, there are no flags of a result.
    private static bool CheckSimd(CpuState* cpu, uint control, uint after)
    {
        uint raised = after & 0x3F;
        uint unmasked = raised & ~(control >> 7);
        if ((unmasked & SimdBefore) != 0)
        {
            raised &= SimdBefore;
        }

        ((FxState*)&cpu->Fx)->Mxcsr = control | raised;
        return unmasked == 0 || Interpreter.Raise(cpu, (cpu->Cr4 & ControlBits.Cr4Osxmmexcpt) != 0 ? Vector.Simd : Vector.InvalidOpcode);
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
