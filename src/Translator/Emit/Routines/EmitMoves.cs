using System.Reflection.Emit;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Moves and conversions; none touches the flags.</summary>
internal static class EmitMoves
{
    public static bool Nop(InstructionEmitter e, in Instruction i) => true;

    /// <summary>LFENCE and SFENCE are NOPs: the host orders these accesses by itself, and RyuJIT does not reorder volatile ones.</summary>
    public static bool Mfence(InstructionEmitter e, in Instruction i)
    {
        e.Il.Emit(OpCodes.Call, EmitMethods.MemoryBarrier);
        return true;
    }

    public static bool Mov(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 0);
        if (i.Op0Kind == OpKind.Memory)
        {
            GuestPlace place = e.Place(i, size, write: true);
            e.Store(place, e.Source(i, 1, size), size);
        }
        else
        {
            e.SetRegister(i.Op0Register, e.Source(i, 1, size));
        }

        return true;
    }

    public static bool Movzx(InstructionEmitter e, in Instruction i)
    {
        e.SetRegister(i.Op0Register, e.Source(i, 1, InstructionEmitter.SizeOf(i, 1)));
        return true;
    }

    public static bool Movsx(InstructionEmitter e, in Instruction i)
    {
        int size = InstructionEmitter.SizeOf(i, 1);
        e.PushSigned(e.Source(i, 1, size), size);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    }

    public static bool Lea(InstructionEmitter e, in Instruction i)
    {
        e.PushEffectiveAddress(i);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    }

    public static bool Xchg(InstructionEmitter e, in Instruction i)
    {
        if (i.Op0Kind == OpKind.Memory || i.Op1Kind == OpKind.Memory)
        {
            return EmitLocked.Xchg(e, i);
        }

        Value first = e.Fixed(e.RegisterValue(i.Op0Register));
        Value second = e.Fixed(e.RegisterValue(i.Op1Register));
        e.SetRegister(i.Op0Register, second);
        e.SetRegister(i.Op1Register, first);
        return true;
    }

    public static bool Bswap(InstructionEmitter e, in Instruction i)
    {
        if (!i.Op0Register.IsGPR32())
        {
            return false;
        }

        e.PushRegister(i.Op0Register);
        e.Il.Emit(OpCodes.Call, EmitMethods.SwapBytes);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    }

    public static bool Cbw(InstructionEmitter e, in Instruction i) => Convert(e, Register.AL, Register.AX);

    public static bool Cwde(InstructionEmitter e, in Instruction i) => Convert(e, Register.AX, Register.EAX);

    public static bool Cwd(InstructionEmitter e, in Instruction i) => Spread(e, Register.AX, Register.DX);

    public static bool Cdq(InstructionEmitter e, in Instruction i) => Spread(e, Register.EAX, Register.EDX);

    public static bool Setcc(InstructionEmitter e, in Instruction i)
    {
        GuestPlace? place = i.Op0Kind == OpKind.Memory ? e.Place(i, 1, write: true) : default(GuestPlace?);
        e.Flags.PushComparison(e, i.ConditionCode).EmitBoolean(e.Il);
        Value value = e.StoreValue();
        if (place is { } memory)
        {
            e.Store(memory, value, 1);
        }
        else
        {
            e.SetRegister(i.Op0Register, value);
        }

        return true;
    }

    public static bool Cmovcc(InstructionEmitter e, in Instruction i)
    {
        Value value = e.Fixed(e.Source(i, 1, InstructionEmitter.SizeOf(i, 0)));

        // Both arms store, so that what the flags need of the old register is kept on both.
        LocalBuilder chosen = e.Temp();
        e.PushRegister(i.Op0Register);
        e.Il.Emit(OpCodes.Stloc, chosen);
        Label skip = e.Il.DefineLabel();
        e.Il.Emit(e.Flags.PushComparison(e, i.ConditionCode).Not().Branch(), skip);
        e.Push(value);
        e.Il.Emit(OpCodes.Stloc, chosen);
        e.Il.MarkLabel(skip);
        e.SetRegister(i.Op0Register, Value.Local(chosen));
        return true;
    }

    private static bool Convert(InstructionEmitter e, Register from, Register to)
    {
        e.PushRegister(from);
        e.SignExtend(from.GetSize());
        e.SetRegister(to, e.StoreValue());
        return true;
    }

    private static bool Spread(InstructionEmitter e, Register from, Register to)
    {
        e.PushRegister(from);
        e.SignExtend(from.GetSize());
        e.Constant(31);
        e.Il.Emit(OpCodes.Shr);
        e.SetRegister(to, e.StoreValue());
        return true;
    }
}
