using System.Reflection;
using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// MOVS, STOS, CMPS and SCAS with REP: a call of <see cref="RepeatedStrings"/>. Where that ends early the interpreter goes on with the
/// same instruction, whose registers say how far it got.
/// </summary>
internal static class EmitRepeatedStrings
{
    private static readonly MethodInfo MoveMethod = Method(nameof(RepeatedStrings.Move));
    private static readonly MethodInfo FillMethod = Method(nameof(RepeatedStrings.Fill));
    private static readonly MethodInfo CompareMethod = Method(nameof(RepeatedStrings.Compare));
    private static readonly MethodInfo ScanMethod = Method(nameof(RepeatedStrings.Scan));

    public static bool Movs(InstructionEmitter e, int size)
    {
        if (!EmitHostCall.TryBegin(e))
        {
            return false;
        }

        PushRegisters(e, Gpr.Esi, Gpr.Edi, Gpr.Ecx);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, MoveMethod);
        EndUnconditional(e, size, moves: true);
        return true;
    }

    public static bool Stos(InstructionEmitter e, int size)
    {
        if (!EmitHostCall.TryBegin(e))
        {
            return false;
        }

        PushRegisters(e, Gpr.Edi, Gpr.Eax, Gpr.Ecx);
        e.Constant(size);
        e.Il.Emit(OpCodes.Call, FillMethod);
        EndUnconditional(e, size, moves: false);
        return true;
    }

    public static bool Cmps(InstructionEmitter e, in Instruction i, int size)
    {
        if (!EmitHostCall.TryBegin(e))
        {
            return false;
        }

        PushRegisters(e, Gpr.Esi, Gpr.Edi, Gpr.Ecx);
        e.Constant(size);
        e.Constant(i.HasRepnePrefix ? 0 : 1);
        e.Il.Emit(OpCodes.Call, CompareMethod);
        EndComparison(e, size, moves: true);
        return true;
    }

    public static bool Scas(InstructionEmitter e, in Instruction i, int size)
    {
        if (!EmitHostCall.TryBegin(e))
        {
            return false;
        }

        PushRegisters(e, Gpr.Edi, Gpr.Eax, Gpr.Ecx);
        e.Constant(size);
        e.Constant(i.HasRepnePrefix ? 0 : 1);
        e.Il.Emit(OpCodes.Call, ScanMethod);
        EndComparison(e, size, moves: false);
        return true;
    }

    private static void PushRegisters(InstructionEmitter e, Gpr first, Gpr second, Gpr third)
    {
        e.Il.Emit(OpCodes.Ldarg_0);
        e.Push(Value.Register((int)first));
        e.Push(Value.Register((int)second));
        e.Push(Value.Register((int)third));
    }

    private static void EndUnconditional(InstructionEmitter e, int size, bool moves)
    {
        Value left = e.StoreValue();
        Advance(e, left, size, moves);
        e.Push(left);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
    }

    private static void EndComparison(InstructionEmitter e, int size, bool moves)
    {
        LocalBuilder result = e.StoreTemp64();
        e.Il.Emit(OpCodes.Ldloc, result);
        e.Il.Emit(OpCodes.Conv_I4);
        Value left = e.StoreValue();

        // None compared, which includes a count of 0: the flags are still the old ones.
        e.Push(Value.Register((int)Gpr.Ecx));
        e.Push(left);
        e.Il.Emit(OpCodes.Beq, e.SideExit(SideExitKind.Rare));
        e.ForgetFlags();
        Advance(e, left, size, moves);
        e.Il.Emit(OpCodes.Ldloc, result);
        e.Constant(RepeatedStrings.FinishedBit);
        e.Il.Emit(OpCodes.Shr_Un);
        e.Il.Emit(OpCodes.Conv_I4);
        e.Il.Emit(OpCodes.Brfalse, e.SideExit(SideExitKind.Rare));
        e.LoadState(StateLayout.FlagA, OpCodes.Ldind_I4);
        Value a = e.StoreValue();
        e.LoadState(StateLayout.FlagB, OpCodes.Ldind_I4);
        e.SetFlags(new SubtractFlags(size, a, e.StoreValue(), null));
    }

    private static void Advance(InstructionEmitter e, Value left, int size, bool moves)
    {
        e.Push(Value.Register((int)Gpr.Ecx));
        e.Push(left);
        e.Il.Emit(OpCodes.Sub);
        e.Constant(size);
        e.Il.Emit(OpCodes.Mul);
        Value bytes = e.StoreValue();
        e.SetRegister(Gpr.Ecx, left);
        if (moves)
        {
            Add(e, Gpr.Esi, bytes);
        }

        Add(e, Gpr.Edi, bytes);
    }

    private static void Add(InstructionEmitter e, Gpr register, Value bytes)
    {
        e.Push(Value.Register((int)register));
        e.Push(bytes);
        e.Il.Emit(OpCodes.Add);
        e.SetRegister(register, e.StoreValue());
    }

    // Not tried out beforehand like those of EmitMethods: no unit is live when these are called.
    private static MethodInfo Method(string name)
    {
        MethodInfo method = typeof(RepeatedStrings).GetMethod(name) ?? throw new MissingMethodException(nameof(RepeatedStrings), name);
        Cache.HostHelpers.Shared.Add(method);
        return method;
    }
}
