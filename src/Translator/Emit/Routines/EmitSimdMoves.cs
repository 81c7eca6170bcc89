using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>Moves between XMM registers, memory and general registers; what all of <see cref="EmitSimd"/> reaches operands with.</summary>
internal static class EmitSimdMoves
{
    private static readonly MethodInfo SignBits = typeof(Vector128).GetMethod(nameof(Vector128.ExtractMostSignificantBits))!.MakeGenericMethod(typeof(byte));

    /// <summary>Whether SSE runs in this mode and all vector registers are XMM.</summary>
    public static bool IsTranslated(InstructionEmitter e, in Instruction i)
    {
        if ((e.Mode & CpuMode.SseTrap) != 0)
        {
            return false;
        }

        for (int operand = 0; operand < i.OpCount; operand++)
        {
            if (i.GetOpKind(operand) == OpKind.Register && i.GetOpRegister(operand).IsMM())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The host address of the memory operand; misaligned ones leave where that faults.</summary>
    public static LocalBuilder Host(InstructionEmitter e, in Instruction i, int size, bool write, bool aligned)
    {
        LocalBuilder host = e.Host(i, size, write);
        if (aligned)
        {
            e.Il.Emit(OpCodes.Ldloc, host);
            e.Il.Emit(OpCodes.Conv_I4);
            e.Constant(15);
            e.Il.Emit(OpCodes.And);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Unaligned));
        }

        return host;
    }

    /// <summary>Pushes the address of an XMM register, or of a part of it.</summary>
    public static void XmmAddress(InstructionEmitter e, Register register, int offset = 0) =>
        e.StateAddress(StateLayout.Xmm(register - Register.XMM0) + offset);

    /// <summary>Pushes the address of operand 1: a register, or memory at a checked address.</summary>
    public static void SourceAddress(InstructionEmitter e, in Instruction i, LocalBuilder? host)
    {
        if (host is null)
        {
            XmmAddress(e, i.Op1Register);
        }
        else
        {
            e.Il.Emit(OpCodes.Ldloc, host);
        }
    }

    /// <summary>Loads a vector through the address on the stack.</summary>
    public static void Load(InstructionEmitter e, Type vector)
    {
        e.Il.Emit(OpCodes.Unaligned, (byte)1);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(OpCodes.Ldobj, vector);
    }

    /// <summary>Stores the vector on the stack through the address below it.</summary>
    public static void Store(InstructionEmitter e, Type vector)
    {
        e.Il.Emit(OpCodes.Unaligned, (byte)1);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(OpCodes.Stobj, vector);
    }

    /// <summary>MOVAPS and its like.</summary>
    public static bool Aligned(InstructionEmitter e, in Instruction i) => Whole(e, i, aligned: true);

    /// <summary>MOVUPS and its like.</summary>
    public static bool Unaligned(InstructionEmitter e, in Instruction i) => Whole(e, i, aligned: false);

    /// <summary>MOVD.</summary>
    public static bool Movd(InstructionEmitter e, in Instruction i)
    {
        if (!IsTranslated(e, i))
        {
            return false;
        }

        if (i.Op0Kind == OpKind.Register && i.Op0Register.IsXMM())
        {
            Value value = e.Source(i, 1, 4);
            Scalar(e, i.Op0Register, () => e.PushWide(value));
            return true;
        }

        LocalBuilder? host = i.Op0Kind == OpKind.Memory ? e.Host(i, 4, write: true) : null;
        XmmAddress(e, i.Op1Register);
        e.Il.Emit(OpCodes.Ldind_I4);
        Value low = e.StoreValue();
        if (host is null)
        {
            e.SetRegister(i.Op0Register, low);
        }
        else
        {
            e.Store(host, low, 4);
        }

        return true;
    }

    /// <summary>MOVQ: the upper half of a register that is written becomes 0.</summary>
    public static bool Movq(InstructionEmitter e, in Instruction i) => Scalar(e, i, 8, clearsAlways: true);

    /// <summary>MOVSS: a load clears the rest, a move leaves it.</summary>
    public static bool Movss(InstructionEmitter e, in Instruction i) => Scalar(e, i, 4, clearsAlways: false);

    /// <summary>MOVSD: a load clears the rest, a move leaves it.</summary>
    public static bool Movsd(InstructionEmitter e, in Instruction i) =>
        i.Code != Code.Movsd_m32_m32 && Scalar(e, i, 8, clearsAlways: false);

    /// <summary>MOVLPS and MOVLPD.</summary>
    public static bool Low(InstructionEmitter e, in Instruction i) => Half(e, i, 0);

    /// <summary>MOVHPS and MOVHPD.</summary>
    public static bool High(InstructionEmitter e, in Instruction i) => Half(e, i, 8);

    /// <summary>PMOVMSKB.</summary>
    public static bool Pmovmskb(InstructionEmitter e, in Instruction i)
    {
        if (!IsTranslated(e, i))
        {
            return false;
        }

        XmmAddress(e, i.Op1Register);
        Load(e, typeof(Vector128<byte>));
        e.Il.Emit(OpCodes.Call, SignBits);
        e.SetRegister(i.Op0Register, e.StoreValue());
        return true;
    }

    private static bool Whole(InstructionEmitter e, in Instruction i, bool aligned)
    {
        if (!IsTranslated(e, i))
        {
            return false;
        }

        bool stores = i.Op0Kind == OpKind.Memory;
        LocalBuilder? host = stores || i.Op1Kind == OpKind.Memory ? Host(e, i, 16, stores, aligned) : null;
        if (stores)
        {
            e.Il.Emit(OpCodes.Ldloc, host!);
            XmmAddress(e, i.Op1Register);
        }
        else
        {
            XmmAddress(e, i.Op0Register);
            SourceAddress(e, i, host);
        }

        Load(e, typeof(Vector128<ulong>));
        Store(e, typeof(Vector128<ulong>));
        return true;
    }

    private static bool Scalar(InstructionEmitter e, in Instruction i, int size, bool clearsAlways)
    {
        if (!IsTranslated(e, i))
        {
            return false;
        }

        if (i.Op0Kind == OpKind.Memory)
        {
            LocalBuilder to = e.Host(i, size, write: true);
            e.Il.Emit(OpCodes.Ldloc, to);
            XmmAddress(e, i.Op1Register);
            LoadScalar(e, size);
            StoreScalar(e, size);
            return true;
        }

        LocalBuilder? host = i.Op1Kind == OpKind.Memory ? e.Host(i, size, write: false) : null;
        if (host is not null || clearsAlways)
        {
            SourceAddress(e, i, host);
            LoadScalar(e, size);
            if (size == 4)
            {
                e.Il.Emit(OpCodes.Conv_U8);
            }

            LocalBuilder low = e.StoreTemp64();
            Scalar(e, i.Op0Register, () => e.Il.Emit(OpCodes.Ldloc, low));
            return true;
        }

        XmmAddress(e, i.Op0Register);
        XmmAddress(e, i.Op1Register);
        LoadScalar(e, size);
        StoreScalar(e, size);
        return true;
    }

    private static bool Half(InstructionEmitter e, in Instruction i, int half)
    {
        // MOVHLPS and MOVLHPS are mnemonics of their own: here one operand is memory.
        if (!IsTranslated(e, i))
        {
            return false;
        }

        bool stores = i.Op0Kind == OpKind.Memory;
        LocalBuilder host = e.Host(i, 8, stores);
        if (stores)
        {
            e.Il.Emit(OpCodes.Ldloc, host);
            XmmAddress(e, i.Op1Register, half);
        }
        else
        {
            XmmAddress(e, i.Op0Register, half);
            e.Il.Emit(OpCodes.Ldloc, host);
        }

        LoadScalar(e, 8);
        StoreScalar(e, 8);
        return true;
    }

    // A register whose upper half becomes 0.
    private static void Scalar(InstructionEmitter e, Register register, Action pushLow)
    {
        XmmAddress(e, register);
        pushLow();
        e.Il.Emit(OpCodes.Stind_I8);
        XmmAddress(e, register, 8);
        e.Constant(0);
        e.Il.Emit(OpCodes.Conv_I8);
        e.Il.Emit(OpCodes.Stind_I8);
    }

    private static void LoadScalar(InstructionEmitter e, int size)
    {
        e.Il.Emit(OpCodes.Unaligned, (byte)1);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(size == 4 ? OpCodes.Ldind_I4 : OpCodes.Ldind_I8);
    }

    private static void StoreScalar(InstructionEmitter e, int size)
    {
        e.Il.Emit(OpCodes.Unaligned, (byte)1);
        e.Il.Emit(OpCodes.Volatile);
        e.Il.Emit(size == 4 ? OpCodes.Stind_I4 : OpCodes.Stind_I8);
    }
}
