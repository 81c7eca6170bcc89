using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>x87 instructions that have a fast form, where nothing keeps it from being used; else <see cref="NativeOperations"/> has them.</summary>
internal static unsafe class FastX87Operations
{
    private const uint Cr0EmTs = 4 | 8;
    private const ushort AllMasks = 0x3F;

    /// <summary>Whether the unit is available, all exceptions are masked, and none waits.</summary>
    public static bool Apply(CpuState* cpu)
    {
        var state = (FxState*)&cpu->Fx;
        return (cpu->Cr0 & Cr0EmTs) == 0 && (state->ControlWord & AllMasks) == AllMasks && (state->StatusWord & FxState.ErrorSummary) == 0;
    }

    /// <summary>Carries an instruction out under <see cref="Apply"/>'s conditions.</summary>
    public static bool Execute(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, NativeThunk thunk)
    {
        var state = (FxState*)&cpu->Fx;
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
