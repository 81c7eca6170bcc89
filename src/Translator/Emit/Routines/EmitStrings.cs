using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>String instructions, forwards; those with REP but LODS are in <see cref="EmitRepeatedStrings"/>. Backwards they are the interpreter's.</summary>
internal static class EmitStrings
{
    public static bool Movs(InstructionEmitter e, in Instruction i)
    {
        if (!IsFlat(i, out int size))
        {
            return false;
        }

        if (IsRepeated(i))
        {
            return EmitRepeatedStrings.Movs(e, size);
        }

        LeaveIfBackward(e);
        Value value = e.Load(e.Place(Gpr.Esi, 0, size, write: false), size);
        e.Store(e.Place(Gpr.Edi, 0, size, write: true), value, size);
        Advance(e, Gpr.Esi, size);
        Advance(e, Gpr.Edi, size);
        return true;
    }

    public static bool Lods(InstructionEmitter e, in Instruction i)
    {
        if (!IsFlat(i, out int size) || IsRepeated(i))
        {
            return false;
        }

        LeaveIfBackward(e);
        Value value = e.Load(e.Place(Gpr.Esi, 0, size, write: false), size);
        Advance(e, Gpr.Esi, size);
        e.SetRegister(Accumulator(size), value);
        return true;
    }

    public static bool Stos(InstructionEmitter e, in Instruction i)
    {
        if (!IsFlat(i, out int size))
        {
            return false;
        }

        if (IsRepeated(i))
        {
            return EmitRepeatedStrings.Stos(e, size);
        }

        LeaveIfBackward(e);
        e.Store(e.Place(Gpr.Edi, 0, size, write: true), e.RegisterValue(Accumulator(size)), size);
        Advance(e, Gpr.Edi, size);
        return true;
    }

    public static bool Scas(InstructionEmitter e, in Instruction i)
    {
        if (!IsFlat(i, out int size))
        {
            return false;
        }

        if (IsRepeated(i))
        {
            return EmitRepeatedStrings.Scas(e, i, size);
        }

        LeaveIfBackward(e);
        Value b = e.Load(e.Place(Gpr.Edi, 0, size, write: false), size);
        e.ForgetFlags();
        Advance(e, Gpr.Edi, size);
        e.SetFlags(new SubtractFlags(size, e.RegisterValue(Accumulator(size)), b, null));
        return true;
    }

    public static bool Cmps(InstructionEmitter e, in Instruction i)
    {
        if (!IsFlat(i, out int size))
        {
            return false;
        }

        if (IsRepeated(i))
        {
            return EmitRepeatedStrings.Cmps(e, i, size);
        }

        LeaveIfBackward(e);
        Value a = e.Load(e.Place(Gpr.Esi, 0, size, write: false), size);
        Value b = e.Load(e.Place(Gpr.Edi, 0, size, write: false), size);
        e.ForgetFlags();
        Advance(e, Gpr.Esi, size);
        Advance(e, Gpr.Edi, size);
        e.SetFlags(new SubtractFlags(size, a, b, null));
        return true;
    }

    private static bool IsFlat(in Instruction i, out int size)
    {
        size = i.MemorySize.GetSize();
        return size <= 4 && (i.SegmentPrefix is Register.None or Register.DS or Register.ES or Register.SS);
    }

    private static bool IsRepeated(in Instruction i) => i.HasRepPrefix || i.HasRepePrefix || i.HasRepnePrefix;

    private static void LeaveIfBackward(InstructionEmitter e)
    {
        e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
        e.Constant((int)Flags.Df);
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
    }

    private static Register Accumulator(int size) => size switch { 1 => Register.AL, 2 => Register.AX, _ => Register.EAX };

    private static void Advance(InstructionEmitter e, Gpr register, int size)
    {
        e.Push(Value.Register((int)register));
        e.Constant(size);
        e.Il.Emit(OpCodes.Add);
        e.SetRegister(register, e.StoreValue());
    }
}
