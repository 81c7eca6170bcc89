using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Integer arithmetic, logic, comparison, packing; ciphers.
internal static partial class EmitSimd
{
    private static void AddIntegers()
    {
        Type sse2 = typeof(Sse2), ssse3 = typeof(Ssse3), sse41 = typeof(Sse41), aes = typeof(Aes);
        Type i8 = typeof(sbyte), u8 = typeof(byte), i16 = typeof(short), u16 = typeof(ushort), i32 = typeof(int), u32 = typeof(uint), i64 = typeof(long);

        foreach (Mnemonic and in (Mnemonic[])[Mnemonic.Pand, Mnemonic.Andps, Mnemonic.Andpd])
        {
            Binary(and, sse2, nameof(Sse2.And), u8);
        }

        foreach (Mnemonic or in (Mnemonic[])[Mnemonic.Por, Mnemonic.Orps, Mnemonic.Orpd])
        {
            Binary(or, sse2, nameof(Sse2.Or), u8);
        }

        foreach (Mnemonic xor in (Mnemonic[])[Mnemonic.Pxor, Mnemonic.Xorps, Mnemonic.Xorpd])
        {
            BinaryIdiom(xor, sse2, nameof(Sse2.Xor), u8);
        }

        foreach (Mnemonic not in (Mnemonic[])[Mnemonic.Pandn, Mnemonic.Andnps, Mnemonic.Andnpd])
        {
            BinaryIdiom(not, sse2, nameof(Sse2.AndNot), u8);
        }

        Binary(Mnemonic.Paddb, sse2, nameof(Sse2.Add), u8);
        Binary(Mnemonic.Paddw, sse2, nameof(Sse2.Add), i16);
        Binary(Mnemonic.Paddd, sse2, nameof(Sse2.Add), i32);
        Binary(Mnemonic.Paddq, sse2, nameof(Sse2.Add), i64);
        Binary(Mnemonic.Paddsb, sse2, nameof(Sse2.AddSaturate), i8);
        Binary(Mnemonic.Paddsw, sse2, nameof(Sse2.AddSaturate), i16);
        Binary(Mnemonic.Paddusb, sse2, nameof(Sse2.AddSaturate), u8);
        Binary(Mnemonic.Paddusw, sse2, nameof(Sse2.AddSaturate), u16);
        BinaryIdiom(Mnemonic.Psubb, sse2, nameof(Sse2.Subtract), u8);
        BinaryIdiom(Mnemonic.Psubw, sse2, nameof(Sse2.Subtract), i16);
        BinaryIdiom(Mnemonic.Psubd, sse2, nameof(Sse2.Subtract), i32);
        BinaryIdiom(Mnemonic.Psubq, sse2, nameof(Sse2.Subtract), i64);
        BinaryIdiom(Mnemonic.Psubsb, sse2, nameof(Sse2.SubtractSaturate), i8);
        BinaryIdiom(Mnemonic.Psubsw, sse2, nameof(Sse2.SubtractSaturate), i16);
        BinaryIdiom(Mnemonic.Psubusb, sse2, nameof(Sse2.SubtractSaturate), u8);
        BinaryIdiom(Mnemonic.Psubusw, sse2, nameof(Sse2.SubtractSaturate), u16);
        Binary(Mnemonic.Pavgb, sse2, nameof(Sse2.Average), u8);
        Binary(Mnemonic.Pavgw, sse2, nameof(Sse2.Average), u16);
        BinaryIdiom(Mnemonic.Pcmpeqb, sse2, nameof(Sse2.CompareEqual), u8, ones: true);
        BinaryIdiom(Mnemonic.Pcmpeqw, sse2, nameof(Sse2.CompareEqual), i16, ones: true);
        BinaryIdiom(Mnemonic.Pcmpeqd, sse2, nameof(Sse2.CompareEqual), i32, ones: true);
        BinaryIdiom(Mnemonic.Pcmpeqq, sse41, nameof(Sse41.CompareEqual), i64, ones: true);
        BinaryIdiom(Mnemonic.Pcmpgtb, sse2, nameof(Sse2.CompareGreaterThan), i8);
        BinaryIdiom(Mnemonic.Pcmpgtw, sse2, nameof(Sse2.CompareGreaterThan), i16);
        BinaryIdiom(Mnemonic.Pcmpgtd, sse2, nameof(Sse2.CompareGreaterThan), i32);
        BinaryIdiom(Mnemonic.Pcmpgtq, typeof(Sse42), nameof(Sse42.CompareGreaterThan), i64);
        Binary(Mnemonic.Pmaxsw, sse2, nameof(Sse2.Max), i16);
        Binary(Mnemonic.Pmaxub, sse2, nameof(Sse2.Max), u8);
        Binary(Mnemonic.Pminsw, sse2, nameof(Sse2.Min), i16);
        Binary(Mnemonic.Pminub, sse2, nameof(Sse2.Min), u8);
        Binary(Mnemonic.Pmaxsb, sse41, nameof(Sse41.Max), i8);
        Binary(Mnemonic.Pmaxsd, sse41, nameof(Sse41.Max), i32);
        Binary(Mnemonic.Pmaxuw, sse41, nameof(Sse41.Max), u16);
        Binary(Mnemonic.Pmaxud, sse41, nameof(Sse41.Max), u32);
        Binary(Mnemonic.Pminsb, sse41, nameof(Sse41.Min), i8);
        Binary(Mnemonic.Pminsd, sse41, nameof(Sse41.Min), i32);
        Binary(Mnemonic.Pminuw, sse41, nameof(Sse41.Min), u16);
        Binary(Mnemonic.Pminud, sse41, nameof(Sse41.Min), u32);
        Binary(Mnemonic.Pmulhw, sse2, nameof(Sse2.MultiplyHigh), i16);
        Binary(Mnemonic.Pmulhuw, sse2, nameof(Sse2.MultiplyHigh), u16);
        Binary(Mnemonic.Pmullw, sse2, nameof(Sse2.MultiplyLow), i16);
        Binary(Mnemonic.Pmuludq, sse2, nameof(Sse2.Multiply), u32);
        Binary(Mnemonic.Pmaddwd, sse2, nameof(Sse2.MultiplyAddAdjacent), i16);
        Binary(Mnemonic.Psadbw, sse2, nameof(Sse2.SumAbsoluteDifferences), u8);
        Binary(Mnemonic.Pmuldq, sse41, nameof(Sse41.Multiply), i32);
        Binary(Mnemonic.Pmulld, sse41, nameof(Sse41.MultiplyLow), i32);
        Binary(Mnemonic.Pmaddubsw, ssse3, nameof(Ssse3.MultiplyAddAdjacent), u8, i8);
        Binary(Mnemonic.Pmulhrsw, ssse3, nameof(Ssse3.MultiplyHighRoundScale), i16);
        Binary(Mnemonic.Phaddw, ssse3, nameof(Ssse3.HorizontalAdd), i16);
        Binary(Mnemonic.Phaddd, ssse3, nameof(Ssse3.HorizontalAdd), i32);
        Binary(Mnemonic.Phaddsw, ssse3, nameof(Ssse3.HorizontalAddSaturate), i16);
        Binary(Mnemonic.Phsubw, ssse3, nameof(Ssse3.HorizontalSubtract), i16);
        Binary(Mnemonic.Phsubd, ssse3, nameof(Ssse3.HorizontalSubtract), i32);
        Binary(Mnemonic.Phsubsw, ssse3, nameof(Ssse3.HorizontalSubtractSaturate), i16);
        Binary(Mnemonic.Psignb, ssse3, nameof(Ssse3.Sign), i8);
        Binary(Mnemonic.Psignw, ssse3, nameof(Ssse3.Sign), i16);
        Binary(Mnemonic.Psignd, ssse3, nameof(Ssse3.Sign), i32);
        Unary(Mnemonic.Pabsb, ssse3, nameof(Ssse3.Abs), i8);
        Unary(Mnemonic.Pabsw, ssse3, nameof(Ssse3.Abs), i16);
        Unary(Mnemonic.Pabsd, ssse3, nameof(Ssse3.Abs), i32);
        Unary(Mnemonic.Phminposuw, sse41, nameof(Sse41.MinHorizontal), u16);
        BinaryImmediate(Mnemonic.Mpsadbw, sse41, nameof(Sse41.MultipleSumAbsoluteDifferences), u8);

        Binary(Mnemonic.Aesenc, aes, nameof(Aes.Encrypt), u8);
        Binary(Mnemonic.Aesenclast, aes, nameof(Aes.EncryptLast), u8);
        Binary(Mnemonic.Aesdec, aes, nameof(Aes.Decrypt), u8);
        Binary(Mnemonic.Aesdeclast, aes, nameof(Aes.DecryptLast), u8);
        Unary(Mnemonic.Aesimc, aes, nameof(Aes.InverseMixColumns), u8);
        UnaryImmediate(Mnemonic.Aeskeygenassist, aes, nameof(Aes.KeygenAssist), u8);
        BinaryImmediate(Mnemonic.Pclmulqdq, typeof(Pclmulqdq), nameof(Pclmulqdq.CarrylessMultiply), i64);
    }

    private static void AddShifts()
    {
        Type i16 = typeof(short), i32 = typeof(int), i64 = typeof(long);
        Shift(Mnemonic.Psllw, nameof(Sse2.ShiftLeftLogical), i16);
        Shift(Mnemonic.Pslld, nameof(Sse2.ShiftLeftLogical), i32);
        Shift(Mnemonic.Psllq, nameof(Sse2.ShiftLeftLogical), i64);
        Shift(Mnemonic.Psrlw, nameof(Sse2.ShiftRightLogical), i16);
        Shift(Mnemonic.Psrld, nameof(Sse2.ShiftRightLogical), i32);
        Shift(Mnemonic.Psrlq, nameof(Sse2.ShiftRightLogical), i64);
        Shift(Mnemonic.Psraw, nameof(Sse2.ShiftRightArithmetic), i16);
        Shift(Mnemonic.Psrad, nameof(Sse2.ShiftRightArithmetic), i32);
        ShiftBytes(Mnemonic.Pslldq, nameof(Sse2.ShiftLeftLogical128BitLane));
        ShiftBytes(Mnemonic.Psrldq, nameof(Sse2.ShiftRightLogical128BitLane));
    }

    private static void Shift(Mnemonic mnemonic, string name, Type element)
    {
        MethodInfo byCount = VectorMethods.Of(typeof(Sse2), name, V(element), typeof(byte));
        MethodInfo byVector = VectorMethods.Of(typeof(Sse2), name, V(element), V(element));
        Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            if (InstructionEmitter.IsImmediate(i, 1))
            {
                if (EmitMmx.IsMmx(i))
                {
                    e.EnterMmx();
                }

                e.PushVector(to);
                e.Constant(i.Immediate8);
                e.Il.Emit(OpCodes.Call, byCount);
            }
            else
            {
                VectorSource source = e.Vector(i, 1, 16, aligned: true);
                e.PushVector(to);
                e.PushVector(source);
                e.Il.Emit(OpCodes.Call, byVector);
            }

            e.SetVector(to);
            return true;
        });
    }

    private static void ShiftBytes(Mnemonic mnemonic, string name)
    {
        MethodInfo method = VectorMethods.Of(typeof(Sse2), name, V(typeof(byte)), typeof(byte));
        Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
        {
            e.PushVector(Xmm(i, 0));
            e.Constant(i.Immediate8);
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(Xmm(i, 0));
            return true;
        });
    }
}
