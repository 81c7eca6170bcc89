using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>CLI and STI in ring 0, POPFD, RDTSC and RDTSCP. In other rings IOPL decides, which is the interpreter's, as are faults.</summary>
internal static class EmitSystem
{
    // CR4.TSD.
    private const int TimeStampDisable = 4;

    private static readonly MethodInfo ReadCounter = typeof(TimeStampCounter).GetMethod(nameof(TimeStampCounter.Read))!;

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

    /// <summary>RDTSC, and RDTSCP, which gives IA32_TSC_AUX too.</summary>
    public static bool Rdtsc(InstructionEmitter e, in Instruction i)
    {
        if (!EmitHostCall.TryBegin(e))
        {
            return false;
        }

        if ((e.Mode & (CpuMode.User | CpuMode.CplShift0 | CpuMode.CplShift1)) != 0)
        {
            e.LoadState(StateLayout.Cr4, OpCodes.Ldind_I4);
            e.Constant(TimeStampDisable);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        }

        e.Il.Emit(OpCodes.Ldarg_0);
        e.Il.Emit(OpCodes.Call, ReadCounter);
        LocalBuilder counter = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, counter);
        e.Il.Emit(OpCodes.Conv_I4);
        e.SetRegister(Gpr.Eax, e.StoreValue());
        e.Il.Emit(OpCodes.Ldloc, counter);
        e.Constant(32);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Il.Emit(OpCodes.Conv_I4);
        e.SetRegister(Gpr.Edx, e.StoreValue());
        if (i.Mnemonic == Mnemonic.Rdtscp)
        {
            e.LoadState(StateLayout.TscAux, OpCodes.Ldind_I4);
            e.SetRegister(Gpr.Ecx, e.StoreValue());
        }

        return true;
    }

    /// <summary>POPFD that changes status flags, DF and, in ring 0, IF. All else is rare, and changes what code is translated for.</summary>
    public static bool Popfd(InstructionEmitter e, in Instruction i)
    {
        const uint Kept = Flags.Tf | Flags.Nt | Flags.Rf | Flags.Ac | Flags.Id;
        if (i.StackPointerIncrement != 4)
        {
            return false;
        }

        bool user = (e.Mode & CpuMode.User) != 0;
        Value value = e.Load(e.Place(Gpr.Esp, 0, 4, write: false), 4);
        if (user)
        {
            // With an IOPL it may change IF, which stays as it is otherwise.
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant((int)Flags.Iopl);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        }
        else
        {
            RequireRing0(e);
        }

        e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
        e.Push(value);
        e.Il.Emit(OpCodes.Xor);
        e.Constant((int)(user ? Kept : Kept | Flags.Iopl));
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        if (!user)
        {
            LeaveIfInterruptWaits(e, value);
        }

        EmitStack.MoveStack(e, Gpr.Esp, 4);
        uint changed = user ? Flags.Df : Flags.Df | Flags.If;
        e.StoreState(StateLayout.Eflags, () =>
        {
            e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
            e.Constant((int)~changed);
            e.Il.Emit(OpCodes.And);
            e.Push(value);
            e.Constant((int)changed);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Or);
        });
        e.Push(value);
        e.Constant((int)Flags.Status);
        e.Il.Emit(OpCodes.And);
        LocalBuilder status = e.StoreTemp();
        e.SetFlags(new ComputedFlags((emitter, _) => emitter.Il.Emit(OpCodes.Ldloc, status)));
        return true;
    }

    // Where the value sets IF.
    private static void LeaveIfInterruptWaits(InstructionEmitter e, Value value)
    {
        e.Push(value);
        e.Constant((int)Flags.If);
        e.Il.Emit(OpCodes.And);
        e.StateAddress(StateLayout.InterruptWaits);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(OpCodes.Ldind_I4);
        e.Constant(0);
        e.Il.Emit(OpCodes.Cgt_Un);
        e.Constant(System.Numerics.BitOperations.Log2(Flags.If));
        e.Il.Emit(OpCodes.Shl);
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
    }

    private static void RequireRing0(InstructionEmitter e)
    {
        e.LoadState(StateLayout.Cpl, OpCodes.Ldind_I4);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
    }
}
