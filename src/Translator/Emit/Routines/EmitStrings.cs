using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>String instructions without REP, forwards. With REP, or backwards, they are the interpreter's.</summary>
internal static class EmitStrings
{
    public static bool Movs(InstructionEmitter e, in Instruction i)
    {
        if (!Begin(e, i, out int size, out bool source) || !source)
        {
            return false;
        }

        Value value = e.Load(e.Host(Gpr.Esi, 0, size, write: false), size);
        e.Store(e.Host(Gpr.Edi, 0, size, write: true), value, size);
        Advance(e, Gpr.Esi, size);
        Advance(e, Gpr.Edi, size);
        return true;
    }

    public static bool Lods(InstructionEmitter e, in Instruction i)
    {
        if (!Begin(e, i, out int size, out bool source) || !source)
        {
            return false;
        }

        Value value = e.Load(e.Host(Gpr.Esi, 0, size, write: false), size);
        Advance(e, Gpr.Esi, size);
        e.SetRegister(Accumulator(size), value);
        return true;
    }

    public static bool Stos(InstructionEmitter e, in Instruction i)
    {
        if (!Begin(e, i, out int size, out _))
        {
            return false;
        }

        e.Store(e.Host(Gpr.Edi, 0, size, write: true), e.RegisterValue(Accumulator(size)), size);
        Advance(e, Gpr.Edi, size);
        return true;
    }

    public static bool Scas(InstructionEmitter e, in Instruction i)
    {
        if (!Begin(e, i, out int size, out _))
        {
            return false;
        }

        Value b = e.Load(e.Host(Gpr.Edi, 0, size, write: false), size);
        e.ForgetFlags();
        Advance(e, Gpr.Edi, size);
        e.SetFlags(new SubtractFlags(size, e.RegisterValue(Accumulator(size)), b, null));
        return true;
    }

    public static bool Cmps(InstructionEmitter e, in Instruction i)
    {
        if (!Begin(e, i, out int size, out bool source) || !source)
        {
            return false;
        }

        Value a = e.Load(e.Host(Gpr.Esi, 0, size, write: false), size);
        Value b = e.Load(e.Host(Gpr.Edi, 0, size, write: false), size);
        e.ForgetFlags();
        Advance(e, Gpr.Esi, size);
        Advance(e, Gpr.Edi, size);
        e.SetFlags(new SubtractFlags(size, a, b, null));
        return true;
    }

    private static bool Begin(InstructionEmitter e, in Instruction i, out int size, out bool flatSource)
    {
        size = i.MemorySize.GetSize();
        flatSource = i.SegmentPrefix is Register.None or Register.DS or Register.ES or Register.SS;
        if (i.HasRepPrefix || i.HasRepePrefix || i.HasRepnePrefix || !flatSource || size > 4)
        {
            return false;
        }

        e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
        e.Constant((int)Flags.Df);
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
        return true;
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
