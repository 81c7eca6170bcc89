using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// SSE's moves, logic and integers on XMM registers, as .NET's vector intrinsics, which RyuJIT makes the host's instruction of the same
/// meaning. Registers live in the processor's state. What rounds or raises floating-point exceptions, and MMX, is left to the interpreter.
/// </summary>
internal static class EmitSimd
{
    private static readonly Dictionary<Mnemonic, EmitRoutine> Routines = Make();

    /// <summary>The routine of a mnemonic; null where it is not translated on this host.</summary>
    public static EmitRoutine? Find(Mnemonic mnemonic) => Routines.GetValueOrDefault(mnemonic);

    private static Dictionary<Mnemonic, EmitRoutine> Make()
    {
        var routines = new Dictionary<Mnemonic, EmitRoutine>
        {
            [Mnemonic.Movaps] = EmitSimdMoves.Aligned,
            [Mnemonic.Movapd] = EmitSimdMoves.Aligned,
            [Mnemonic.Movdqa] = EmitSimdMoves.Aligned,
            [Mnemonic.Movntps] = EmitSimdMoves.Aligned,
            [Mnemonic.Movntpd] = EmitSimdMoves.Aligned,
            [Mnemonic.Movntdq] = EmitSimdMoves.Aligned,
            [Mnemonic.Movups] = EmitSimdMoves.Unaligned,
            [Mnemonic.Movupd] = EmitSimdMoves.Unaligned,
            [Mnemonic.Movdqu] = EmitSimdMoves.Unaligned,
            [Mnemonic.Lddqu] = EmitSimdMoves.Unaligned,
            [Mnemonic.Movd] = EmitSimdMoves.Movd,
            [Mnemonic.Movq] = EmitSimdMoves.Movq,
            [Mnemonic.Movss] = EmitSimdMoves.Movss,
            [Mnemonic.Movsd] = EmitSimdMoves.Movsd,
            [Mnemonic.Movlps] = EmitSimdMoves.Low,
            [Mnemonic.Movlpd] = EmitSimdMoves.Low,
            [Mnemonic.Movhps] = EmitSimdMoves.High,
            [Mnemonic.Movhpd] = EmitSimdMoves.High,
            [Mnemonic.Pmovmskb] = EmitSimdMoves.Pmovmskb,
        };
        AddPortable(routines);
        AddHost(routines);
        return routines;
    }

    // Vector128's own: any host.
    private static void AddPortable(Dictionary<Mnemonic, EmitRoutine> routines)
    {
        void Add<T>(string name, params Mnemonic[] mnemonics)
        {
            MethodInfo method = Generic(name).MakeGenericMethod(typeof(T));
            foreach (Mnemonic mnemonic in mnemonics)
            {
                routines.Add(mnemonic, Operation(method));
            }
        }

        Add<ulong>(nameof(Vector128.BitwiseAnd), Mnemonic.Pand, Mnemonic.Andps, Mnemonic.Andpd);
        Add<ulong>(nameof(Vector128.BitwiseOr), Mnemonic.Por, Mnemonic.Orps, Mnemonic.Orpd);
        Add<ulong>(nameof(Vector128.Xor), Mnemonic.Pxor, Mnemonic.Xorps, Mnemonic.Xorpd);
        Add<byte>(nameof(Vector128.Add), Mnemonic.Paddb);
        Add<ushort>(nameof(Vector128.Add), Mnemonic.Paddw);
        Add<uint>(nameof(Vector128.Add), Mnemonic.Paddd);
        Add<ulong>(nameof(Vector128.Add), Mnemonic.Paddq);
        Add<byte>(nameof(Vector128.Subtract), Mnemonic.Psubb);
        Add<ushort>(nameof(Vector128.Subtract), Mnemonic.Psubw);
        Add<uint>(nameof(Vector128.Subtract), Mnemonic.Psubd);
        Add<ulong>(nameof(Vector128.Subtract), Mnemonic.Psubq);
        Add<sbyte>(nameof(Vector128.AddSaturate), Mnemonic.Paddsb);
        Add<short>(nameof(Vector128.AddSaturate), Mnemonic.Paddsw);
        Add<byte>(nameof(Vector128.AddSaturate), Mnemonic.Paddusb);
        Add<ushort>(nameof(Vector128.AddSaturate), Mnemonic.Paddusw);
        Add<sbyte>(nameof(Vector128.SubtractSaturate), Mnemonic.Psubsb);
        Add<short>(nameof(Vector128.SubtractSaturate), Mnemonic.Psubsw);
        Add<byte>(nameof(Vector128.SubtractSaturate), Mnemonic.Psubusb);
        Add<ushort>(nameof(Vector128.SubtractSaturate), Mnemonic.Psubusw);
        Add<byte>(nameof(Vector128.Equals), Mnemonic.Pcmpeqb);
        Add<ushort>(nameof(Vector128.Equals), Mnemonic.Pcmpeqw);
        Add<uint>(nameof(Vector128.Equals), Mnemonic.Pcmpeqd);
        Add<ulong>(nameof(Vector128.Equals), Mnemonic.Pcmpeqq);
        Add<sbyte>(nameof(Vector128.GreaterThan), Mnemonic.Pcmpgtb);
        Add<short>(nameof(Vector128.GreaterThan), Mnemonic.Pcmpgtw);
        Add<int>(nameof(Vector128.GreaterThan), Mnemonic.Pcmpgtd);
        Add<long>(nameof(Vector128.GreaterThan), Mnemonic.Pcmpgtq);
        Add<byte>(nameof(Vector128.Min), Mnemonic.Pminub);
        Add<short>(nameof(Vector128.Min), Mnemonic.Pminsw);
        Add<byte>(nameof(Vector128.Max), Mnemonic.Pmaxub);
        Add<short>(nameof(Vector128.Max), Mnemonic.Pmaxsw);
        Add<short>(nameof(Vector128.Multiply), Mnemonic.Pmullw);
        Add<int>(nameof(Vector128.Multiply), Mnemonic.Pmulld);
    }

    // The host's own. A host without them leaves the instruction to the interpreter; the table is the same everywhere.
    private static void AddHost(Dictionary<Mnemonic, EmitRoutine> routines)
    {
        void Add<T>(Mnemonic mnemonic, Type set, string name, bool immediate = false, bool unary = false)
        {
            Type[] parameters = [typeof(Vector128<T>), .. unary ? Type.EmptyTypes : [typeof(Vector128<T>)], .. immediate ? [typeof(byte)] : Type.EmptyTypes];
            routines.Add(mnemonic, IsSupported(set) ? Operation(EmitMethods.Of(set, name, parameters)) : Untranslated);
        }

        Type set = typeof(Sse2);
        Add<byte>(Mnemonic.Pandn, set, nameof(Sse2.AndNot));
        Add<float>(Mnemonic.Andnps, typeof(Sse), nameof(Sse.AndNot));
        Add<double>(Mnemonic.Andnpd, set, nameof(Sse2.AndNot));
        Add<byte>(Mnemonic.Punpcklbw, set, nameof(Sse2.UnpackLow));
        Add<short>(Mnemonic.Punpcklwd, set, nameof(Sse2.UnpackLow));
        Add<int>(Mnemonic.Punpckldq, set, nameof(Sse2.UnpackLow));
        Add<long>(Mnemonic.Punpcklqdq, set, nameof(Sse2.UnpackLow));
        Add<byte>(Mnemonic.Punpckhbw, set, nameof(Sse2.UnpackHigh));
        Add<short>(Mnemonic.Punpckhwd, set, nameof(Sse2.UnpackHigh));
        Add<int>(Mnemonic.Punpckhdq, set, nameof(Sse2.UnpackHigh));
        Add<long>(Mnemonic.Punpckhqdq, set, nameof(Sse2.UnpackHigh));
        Add<short>(Mnemonic.Packsswb, set, nameof(Sse2.PackSignedSaturate));
        Add<int>(Mnemonic.Packssdw, set, nameof(Sse2.PackSignedSaturate));
        Add<short>(Mnemonic.Packuswb, set, nameof(Sse2.PackUnsignedSaturate));
        Add<byte>(Mnemonic.Pavgb, set, nameof(Sse2.Average));
        Add<ushort>(Mnemonic.Pavgw, set, nameof(Sse2.Average));
        Add<short>(Mnemonic.Pmaddwd, set, nameof(Sse2.MultiplyAddAdjacent));
        Add<short>(Mnemonic.Pmulhw, set, nameof(Sse2.MultiplyHigh));
        Add<ushort>(Mnemonic.Pmulhuw, set, nameof(Sse2.MultiplyHigh));
        Add<uint>(Mnemonic.Pmuludq, set, nameof(Sse2.Multiply));
        Add<byte>(Mnemonic.Psadbw, set, nameof(Sse2.SumAbsoluteDifferences));
        Add<int>(Mnemonic.Pshufd, set, nameof(Sse2.Shuffle), immediate: true, unary: true);
        Add<short>(Mnemonic.Pshuflw, set, nameof(Sse2.ShuffleLow), immediate: true, unary: true);
        Add<short>(Mnemonic.Pshufhw, set, nameof(Sse2.ShuffleHigh), immediate: true, unary: true);
        Add<float>(Mnemonic.Shufps, typeof(Sse), nameof(Sse.Shuffle), immediate: true);
        Add<byte>(Mnemonic.Pslldq, set, nameof(Sse2.ShiftLeftLogical128BitLane), immediate: true, unary: true);
        Add<byte>(Mnemonic.Psrldq, set, nameof(Sse2.ShiftRightLogical128BitLane), immediate: true, unary: true);
        Add<short>(Mnemonic.Psllw, set, nameof(Sse2.ShiftLeftLogical), immediate: true, unary: true);
        Add<int>(Mnemonic.Pslld, set, nameof(Sse2.ShiftLeftLogical), immediate: true, unary: true);
        Add<long>(Mnemonic.Psllq, set, nameof(Sse2.ShiftLeftLogical), immediate: true, unary: true);
        Add<short>(Mnemonic.Psrlw, set, nameof(Sse2.ShiftRightLogical), immediate: true, unary: true);
        Add<int>(Mnemonic.Psrld, set, nameof(Sse2.ShiftRightLogical), immediate: true, unary: true);
        Add<long>(Mnemonic.Psrlq, set, nameof(Sse2.ShiftRightLogical), immediate: true, unary: true);
        Add<short>(Mnemonic.Psraw, set, nameof(Sse2.ShiftRightArithmetic), immediate: true, unary: true);
        Add<int>(Mnemonic.Psrad, set, nameof(Sse2.ShiftRightArithmetic), immediate: true, unary: true);

        Add<byte>(Mnemonic.Pshufb, typeof(Ssse3), nameof(Ssse3.Shuffle));
        Add<byte>(Mnemonic.Palignr, typeof(Ssse3), nameof(Ssse3.AlignRight), immediate: true);

        Add<byte>(Mnemonic.Aesenc, typeof(Aes), nameof(Aes.Encrypt));
        Add<byte>(Mnemonic.Aesenclast, typeof(Aes), nameof(Aes.EncryptLast));
        Add<byte>(Mnemonic.Aesdec, typeof(Aes), nameof(Aes.Decrypt));
        Add<byte>(Mnemonic.Aesdeclast, typeof(Aes), nameof(Aes.DecryptLast));

        Add<ulong>(Mnemonic.Pclmulqdq, typeof(Pclmulqdq), nameof(Pclmulqdq.CarrylessMultiply), immediate: true);
    }

    private static bool IsSupported(Type set) =>
        set == typeof(Sse) ? Sse.IsSupported
        : set == typeof(Sse2) ? Sse2.IsSupported
        : set == typeof(Ssse3) ? Ssse3.IsSupported
        : set == typeof(Aes) ? Aes.IsSupported
        : set == typeof(Pclmulqdq) && Pclmulqdq.IsSupported;

    private static bool Untranslated(InstructionEmitter e, in Instruction i) => false;

    private static MethodInfo Generic(string name) => typeof(Vector128).GetMethods().Single(method =>
        method.Name == name && method.IsGenericMethodDefinition && method.GetParameters() is { Length: 2 } parameters
        && parameters.All(parameter => parameter.ParameterType.IsGenericType && parameter.ParameterType.GetGenericTypeDefinition() == typeof(Vector128<>)));

    // One or two vectors, perhaps an immediate, to a vector. A single one is operand 1, or operand 0 where operand 1 is the immediate.
    private static EmitRoutine Operation(MethodInfo method)
    {
        ParameterInfo[] parameters = method.GetParameters();
        Type vector = parameters[0].ParameterType;
        bool immediate = parameters[^1].ParameterType == typeof(byte);
        bool unary = parameters.Length - (immediate ? 1 : 0) == 1;
        return (InstructionEmitter e, in Instruction i) =>
        {
            bool secondIsImmediate = i.Op1Kind == OpKind.Immediate8;
            if (!EmitSimdMoves.IsTranslated(e, i) || (unary && i.OpCount == 2 && !secondIsImmediate))
            {
                return false;
            }

            LocalBuilder? host = i.Op1Kind == OpKind.Memory ? EmitSimdMoves.Host(e, i, 16, write: false, aligned: true) : null;
            EmitSimdMoves.XmmAddress(e, i.Op0Register);
            if (!unary || secondIsImmediate)
            {
                EmitSimdMoves.XmmAddress(e, i.Op0Register);
                EmitSimdMoves.Load(e, vector);
            }

            if (!secondIsImmediate)
            {
                EmitSimdMoves.SourceAddress(e, i, host);
                EmitSimdMoves.Load(e, vector);
            }

            if (immediate)
            {
                e.Constant(i.Immediate8);
            }

            e.Il.Emit(OpCodes.Call, method);
            EmitSimdMoves.Store(e, method.ReturnType);
            return true;
        };
    }
}
