using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>CLI and STI in ring 0. In other rings IOPL decides, which is the interpreter's, as are faults.</summary>
internal static class EmitSystem
{
    public static bool Cli(InstructionEmitter e, in Instruction i)
    {
        RequireRing0(e);
        e.StoreState(StateLayout.Eflags, () =>
        {
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant(~Flags.If);
            e.Il.Emit(OpCodes.And);
        });
        return true;
    }

    /// <summary>
    /// No interrupt may come between STI and the next instruction. Translated code looks for one at edges and entries only, so the shadow
    /// needs no mark where the next instruction is in the same block; an interrupt that waits already is the interpreter's.
    /// </summary>
    public static bool Sti(InstructionEmitter e, in Instruction i)
    {
        int next = e.Position + 1;
        if (next == e.Block.Instructions.Count || Translatable.Routine(e.Block.Instructions[next], e.Region) is null)
        {
            return false;
        }

        RequireRing0(e);
        e.StateAddress(StateLayout.InterruptWaits);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(OpCodes.Ldind_I4);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        e.StoreState(StateLayout.Eflags, () =>
        {
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant(Flags.If);
            e.Il.Emit(OpCodes.Or);
        });
        return true;
    }

    private static void RequireRing0(InstructionEmitter e)
    {
        e.LoadState(StateLayout.Cpl, OpCodes.Ldind_I4);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
    }
}
