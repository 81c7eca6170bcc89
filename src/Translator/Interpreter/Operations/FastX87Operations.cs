using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>The routine of x87 instructions that have a fast form; whatever keeps it from being used goes to <see cref="NativeOperations"/>.</summary>
internal static unsafe class FastX87Operations
{
    private const uint Cr0EmTs = 4 | 8;
    private const ushort AllMasks = 0x3F;

    /// <summary>The routine.</summary>
    public static bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        var state = (FxState*)&cpu->Fx;
        if ((cpu->Cr0 & Cr0EmTs) != 0 || (state->ControlWord & AllMasks) != AllMasks || (state->StatusWord & FxState.ErrorSummary) != 0)
        {
            return NativeOperations.Execute(interpreter, cpu, in d);
        }

        NativeThunk thunk = NativeThunks.Get((int)d.Extra);
        byte* memory = null;
        if (thunk.MemorySize != 0)
        {
            memory = interpreter.Open(cpu, in d, thunk.MemorySize, thunk.WritesMemory ? MemoryAccess.Write : MemoryAccess.Read);
            if (memory == null)
            {
                return false;
            }

            state->DataPointer = Interpreter.EffectiveAddress(cpu, in d);
            state->DataSelector = cpu->Segments[(int)d.Segment].Selector;
        }

        state->Opcode = (ushort)d.Immediate;
        state->InstructionPointer = cpu->Eip;
        state->CodeSelector = cpu->Segments[SegmentIndex.Cs].Selector;
        FastX87 fast = thunk.Fast!;
        if (!fast.TryRun(cpu, state, memory))
        {
            NativeRegisters registers = default;
            registers.Eflags = thunk.ReadsFlags || thunk.WritesFlags ? LazyFlags.Status(cpu) | Flags.Fixed : Flags.Fixed;
            fast.Portable.Run((byte*)state, memory, &registers);
            if (thunk.WritesFlags)
            {
                LazyFlags.SetStatus(cpu, registers.Eflags & Flags.Status);
            }
        }

        if (thunk.WritesMemory)
        {
            interpreter.Commit(cpu);
        }

        return true;
    }
}
