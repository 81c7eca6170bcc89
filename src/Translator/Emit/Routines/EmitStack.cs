using System.Reflection.Emit;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Stack instructions with 32-bit operands.</summary>
internal static class EmitStack
{
    private const uint Pushed = ~(Flags.Rf | Flags.Vm | Flags.Status);

    public static bool Push(InstructionEmitter e, in Instruction i)
    {
        if (i.StackPointerIncrement != -4)
        {
            return false;
        }

        PushValue(e, e.Source(i, 0, 4));
        return true;
    }

    public static bool Pop(InstructionEmitter e, in Instruction i)
    {
        if (i.StackPointerIncrement != 4)
        {
            return false;
        }

        if (i.Op0Kind == OpKind.Memory)
        {
            return PopMemory(e, i);
        }

        Value value = PopValue(e, 0);
        e.SetRegister(i.Op0Register, value);
        return true;
    }

    public static bool Leave(InstructionEmitter e, in Instruction i)
    {
        if (i.Code != Code.Leaved)
        {
            return false;
        }

        Value value = e.Load(e.Place(Gpr.Ebp, 0, 4, write: false), 4);
        MoveStack(e, Gpr.Ebp, 4);
        e.SetRegister(Gpr.Ebp, value);
        return true;
    }

    public static bool Pushfd(InstructionEmitter e, in Instruction i)
    {
        GuestPlace place = e.Place(Gpr.Esp, -4, 4, write: true);
        e.Flags.PushStatus(e);
        e.LoadState(StateLayout.Eflags, OpCodes.Ldind_I4);
        e.Constant(Pushed);
        e.Il.Emit(OpCodes.And);
        e.Il.Emit(OpCodes.Or);
        e.Constant((int)Flags.Fixed);
        e.Il.Emit(OpCodes.Or);
        e.Store(place, e.StoreValue(), 4);
        MoveStack(e, Gpr.Esp, -4);
        return true;
    }

    /// <summary>Pushes a value on the guest's stack. May leave.</summary>
    public static void PushValue(InstructionEmitter e, Value value)
    {
        GuestPlace place = e.Place(Gpr.Esp, -4, 4, write: true);
        e.Store(place, value, 4);
        MoveStack(e, Gpr.Esp, -4);
    }

    /// <summary>Pops a value and <paramref name="extra"/> bytes more. May leave.</summary>
    public static Value PopValue(InstructionEmitter e, int extra)
    {
        Value value = e.Load(e.Place(Gpr.Esp, 0, 4, write: false), 4);
        MoveStack(e, Gpr.Esp, 4 + extra);
        return value;
    }

    // The address is reckoned with ESP as it is afterwards: what names ESP is left out.
    private static bool PopMemory(InstructionEmitter e, in Instruction i)
    {
        if (i.MemoryBase == Register.ESP)
        {
            return false;
        }

        GuestPlace place = e.Place(i, 4, write: true);
        Value value = e.Load(e.Place(Gpr.Esp, 0, 4, write: false), 4);
        e.Store(place, value, 4);
        MoveStack(e, Gpr.Esp, 4);
        return true;
    }

    /// <summary>Sets ESP to a register and so many bytes.</summary>
    public static void MoveStack(InstructionEmitter e, Gpr from, int bytes)
    {
        e.Push(Value.Register((int)from));
        e.Constant(bytes);
        e.Il.Emit(OpCodes.Add);
        e.SetRegister(Gpr.Esp, e.StoreValue());
    }
}
