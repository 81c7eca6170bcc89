using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// MMX. A register is the low half of a vector local, of whose upper half nothing is known (<see cref="InstructionEmitter.EnterMmx"/>). Most
/// instructions are their XMM form, in <see cref="EmitSimd"/>; here are those whose XMM form looks at the upper half or has another meaning.
/// MASKMOVQ is left to the interpreter.
/// </summary>
internal static partial class EmitMmx
{
    private static readonly HashSet<Mnemonic> Shared =
    [
        Mnemonic.Pand, Mnemonic.Pandn, Mnemonic.Por, Mnemonic.Pxor,
        Mnemonic.Paddb, Mnemonic.Paddw, Mnemonic.Paddd, Mnemonic.Paddq, Mnemonic.Paddsb, Mnemonic.Paddsw, Mnemonic.Paddusb, Mnemonic.Paddusw,
        Mnemonic.Psubb, Mnemonic.Psubw, Mnemonic.Psubd, Mnemonic.Psubq, Mnemonic.Psubsb, Mnemonic.Psubsw, Mnemonic.Psubusb, Mnemonic.Psubusw,
        Mnemonic.Pavgb, Mnemonic.Pavgw, Mnemonic.Pmaxsw, Mnemonic.Pmaxub, Mnemonic.Pminsw, Mnemonic.Pminub,
        Mnemonic.Pcmpeqb, Mnemonic.Pcmpeqw, Mnemonic.Pcmpeqd, Mnemonic.Pcmpgtb, Mnemonic.Pcmpgtw, Mnemonic.Pcmpgtd,
        Mnemonic.Pmulhw, Mnemonic.Pmulhuw, Mnemonic.Pmullw, Mnemonic.Pmuludq, Mnemonic.Pmaddwd, Mnemonic.Pmaddubsw, Mnemonic.Pmulhrsw,
        Mnemonic.Psadbw, Mnemonic.Psignb, Mnemonic.Psignw, Mnemonic.Psignd, Mnemonic.Pabsb, Mnemonic.Pabsw, Mnemonic.Pabsd,
        Mnemonic.Psllw, Mnemonic.Pslld, Mnemonic.Psllq, Mnemonic.Psrlw, Mnemonic.Psrld, Mnemonic.Psrlq, Mnemonic.Psraw, Mnemonic.Psrad,
        Mnemonic.Punpcklbw, Mnemonic.Punpcklwd, Mnemonic.Punpckldq,
    ];

    private static readonly Dictionary<Mnemonic, EmitRoutine> Own = [];
    private static readonly MethodInfo Join = VectorMethods.Of(typeof(Sse2), nameof(Sse2.UnpackLow), V(typeof(long)), V(typeof(long)));
    private static readonly MethodInfo ClearUpper = VectorMethods.Of(typeof(Sse2), nameof(Sse2.MoveScalar), V(typeof(long)));
    private static readonly MethodInfo ShiftBytes =
        VectorMethods.Of(typeof(Sse2), nameof(Sse2.ShiftRightLogical128BitLane), V(typeof(byte)), typeof(byte));

    static EmitMmx()
    {
        AddPacks();
        AddMoves();
        AddConversions();
    }

    /// <summary>Whether an instruction is one of MMX: it names an MMX register, or is EMMS.</summary>
    public static bool IsMmx(in Instruction instruction) => instruction.Mnemonic == Mnemonic.Emms || Names(instruction, static register => register.IsMM());

    /// <summary>Whether an instruction names an XMM register.</summary>
    public static bool UsesXmm(in Instruction instruction) => Names(instruction, static register => register.IsXMM());

    /// <summary>Whether the MMX form of an instruction is translated.</summary>
    public static bool IsTranslated(Mnemonic mnemonic) => Shared.Contains(mnemonic) || Own.ContainsKey(mnemonic);

    /// <summary>Adds what is here to the routines of XMM forms.</summary>
    public static void AddTo(Dictionary<Mnemonic, EmitRoutine> routines)
    {
        foreach ((Mnemonic mnemonic, EmitRoutine mmx) in Own)
        {
            EmitRoutine? xmm = routines.GetValueOrDefault(mnemonic);
            routines[mnemonic] = xmm is null ? mmx : (InstructionEmitter e, in Instruction i) => IsMmx(i) ? mmx(e, i) : xmm(e, i);
        }
    }

    private static bool Names(in Instruction instruction, Func<Register, bool> kind)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            if (instruction.GetOpKind(i) == OpKind.Register && kind(instruction.GetOpRegister(i)))
            {
                return true;
            }
        }

        return false;
    }

    private static Type V(Type element) => VectorMethods.Vector(element);

    private static int Number(in Instruction i, int operand) => InstructionEmitter.VectorNumber(i.GetOpRegister(operand));

    private static void Add(Mnemonic mnemonic, Type host, EmitRoutine routine) =>
        Own.Add(mnemonic, VectorMethods.IsSupported(host) ? routine : (InstructionEmitter e, in Instruction i) => false);

    private static void AddPacks()
    {
        Type sse2 = typeof(Sse2), ssse3 = typeof(Ssse3), i16 = typeof(short), i32 = typeof(int), u8 = typeof(byte);
        Joined(Mnemonic.Packsswb, sse2, nameof(Sse2.PackSignedSaturate), i16);
        Joined(Mnemonic.Packssdw, sse2, nameof(Sse2.PackSignedSaturate), i32);
        Joined(Mnemonic.Packuswb, sse2, nameof(Sse2.PackUnsignedSaturate), i16);
        Joined(Mnemonic.Phaddw, ssse3, nameof(Ssse3.HorizontalAdd), i16);
        Joined(Mnemonic.Phaddd, ssse3, nameof(Ssse3.HorizontalAdd), i32);
        Joined(Mnemonic.Phaddsw, ssse3, nameof(Ssse3.HorizontalAddSaturate), i16);
        Joined(Mnemonic.Phsubw, ssse3, nameof(Ssse3.HorizontalSubtract), i16);
        Joined(Mnemonic.Phsubd, ssse3, nameof(Ssse3.HorizontalSubtract), i32);
        Joined(Mnemonic.Phsubsw, ssse3, nameof(Ssse3.HorizontalSubtractSaturate), i16);
        UnpackHigh(Mnemonic.Punpckhbw, u8);
        UnpackHigh(Mnemonic.Punpckhwd, i16);
        UnpackHigh(Mnemonic.Punpckhdq, i32);
        AddShuffles(ssse3);
    }

    private static void AddShuffles(Type ssse3)
    {
        const long BytesOfEight = unchecked((long)0x8787878787878787);
        MethodInfo and = VectorMethods.Of(typeof(Sse2), nameof(Sse2.And), V(typeof(byte)), V(typeof(byte)));
        MethodInfo shuffle = VectorMethods.Of(ssse3, nameof(Ssse3.Shuffle), V(typeof(byte)), V(typeof(byte)));
        MethodInfo create = VectorMethods.Of(typeof(Vector128), nameof(Vector128.CreateScalar), typeof(long));
        MethodInfo shuffleWords = VectorMethods.Of(typeof(Sse2), nameof(Sse2.ShuffleLow), V(typeof(short)), typeof(byte));
        Add(Mnemonic.Pshufb, ssse3, (InstructionEmitter e, in Instruction i) =>
        {
            // Bit 3 of a place would choose from the upper half.
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(Number(i, 0));
            e.PushVector(source);
            e.Il.Emit(OpCodes.Ldc_I8, BytesOfEight);
            e.Il.Emit(OpCodes.Call, create);
            e.Il.Emit(OpCodes.Call, and);
            e.Il.Emit(OpCodes.Call, shuffle);
            e.SetVector(Number(i, 0));
            return true;
        });
        Add(Mnemonic.Pshufw, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(e.Vector(i, 1, 8, aligned: false));
            e.Constant(i.Immediate8);
            e.Il.Emit(OpCodes.Call, shuffleWords);
            e.SetVector(Number(i, 0));
            return true;
        });
        Add(Mnemonic.Palignr, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(source);
            e.PushVector(Number(i, 0));
            e.Il.Emit(OpCodes.Call, Join);
            e.Constant(i.Immediate8);
            e.Il.Emit(OpCodes.Call, ShiftBytes);
            e.SetVector(Number(i, 0));
            return true;
        });
    }

    /// <summary>Of the sixteen bytes of both operands, and of these again: the low half of the result is what the MMX form gives.</summary>
    private static void Joined(Mnemonic mnemonic, Type host, string name, Type element)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element), V(element));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(Number(i, 0));
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, Join);
            e.Il.Emit(OpCodes.Dup);
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(Number(i, 0));
            return true;
        });
    }

    /// <summary>The upper half of what interleaving the low halves gives.</summary>
    private static void UnpackHigh(Mnemonic mnemonic, Type element)
    {
        MethodInfo method = VectorMethods.Of(typeof(Sse2), nameof(Sse2.UnpackLow), V(element), V(element));
        Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            VectorSource source = e.Vector(i, 1, 8, aligned: false);
            e.PushVector(Number(i, 0));
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, method);
            e.Constant(8);
            e.Il.Emit(OpCodes.Call, ShiftBytes);
            e.SetVector(Number(i, 0));
            return true;
        });
    }
}
