using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Interleaving, packing, shuffling, blending, widening.
internal static partial class EmitSimd
{
    private static void AddShuffles()
    {
        Type sse2 = typeof(Sse2), ssse3 = typeof(Ssse3), sse41 = typeof(Sse41);
        Type i8 = typeof(sbyte), u8 = typeof(byte), i16 = typeof(short), u16 = typeof(ushort), i32 = typeof(int), u32 = typeof(uint), i64 = typeof(long);
        Type f32 = typeof(float), f64 = typeof(double);

        Binary(Mnemonic.Packsswb, sse2, nameof(Sse2.PackSignedSaturate), i16);
        Binary(Mnemonic.Packssdw, sse2, nameof(Sse2.PackSignedSaturate), i32);
        Binary(Mnemonic.Packuswb, sse2, nameof(Sse2.PackUnsignedSaturate), i16);
        Binary(Mnemonic.Packusdw, sse41, nameof(Sse41.PackUnsignedSaturate), i32);
        Binary(Mnemonic.Punpcklbw, sse2, nameof(Sse2.UnpackLow), u8);
        Binary(Mnemonic.Punpcklwd, sse2, nameof(Sse2.UnpackLow), i16);
        Binary(Mnemonic.Punpckldq, sse2, nameof(Sse2.UnpackLow), i32);
        Binary(Mnemonic.Punpcklqdq, sse2, nameof(Sse2.UnpackLow), i64);
        Binary(Mnemonic.Punpckhbw, sse2, nameof(Sse2.UnpackHigh), u8);
        Binary(Mnemonic.Punpckhwd, sse2, nameof(Sse2.UnpackHigh), i16);
        Binary(Mnemonic.Punpckhdq, sse2, nameof(Sse2.UnpackHigh), i32);
        Binary(Mnemonic.Punpckhqdq, sse2, nameof(Sse2.UnpackHigh), i64);
        Binary(Mnemonic.Unpcklps, typeof(Sse), nameof(Sse.UnpackLow), f32);
        Binary(Mnemonic.Unpckhps, typeof(Sse), nameof(Sse.UnpackHigh), f32);
        Binary(Mnemonic.Unpcklpd, sse2, nameof(Sse2.UnpackLow), f64);
        Binary(Mnemonic.Unpckhpd, sse2, nameof(Sse2.UnpackHigh), f64);
        Binary(Mnemonic.Pshufb, ssse3, nameof(Ssse3.Shuffle), u8);
        BinaryImmediate(Mnemonic.Palignr, ssse3, nameof(Ssse3.AlignRight), u8);
        UnaryImmediate(Mnemonic.Pshufd, sse2, nameof(Sse2.Shuffle), i32);
        UnaryImmediate(Mnemonic.Pshuflw, sse2, nameof(Sse2.ShuffleLow), i16);
        UnaryImmediate(Mnemonic.Pshufhw, sse2, nameof(Sse2.ShuffleHigh), i16);
        BinaryImmediate(Mnemonic.Shufps, typeof(Sse), nameof(Sse.Shuffle), f32);
        BinaryImmediate(Mnemonic.Shufpd, sse2, nameof(Sse2.Shuffle), f64);
        BinaryImmediate(Mnemonic.Pblendw, sse41, nameof(Sse41.Blend), i16);
        BinaryImmediate(Mnemonic.Blendps, sse41, nameof(Sse41.Blend), f32);
        BinaryImmediate(Mnemonic.Blendpd, sse41, nameof(Sse41.Blend), f64);
        BlendVariable(Mnemonic.Pblendvb, u8);
        BlendVariable(Mnemonic.Blendvps, f32);
        BlendVariable(Mnemonic.Blendvpd, f64);

        Unary(Mnemonic.Pmovsxbw, sse41, nameof(Sse41.ConvertToVector128Int16), i8, 8);
        Unary(Mnemonic.Pmovsxbd, sse41, nameof(Sse41.ConvertToVector128Int32), i8, 4);
        Unary(Mnemonic.Pmovsxbq, sse41, nameof(Sse41.ConvertToVector128Int64), i8, 2);
        Unary(Mnemonic.Pmovsxwd, sse41, nameof(Sse41.ConvertToVector128Int32), i16, 8);
        Unary(Mnemonic.Pmovsxwq, sse41, nameof(Sse41.ConvertToVector128Int64), i16, 4);
        Unary(Mnemonic.Pmovsxdq, sse41, nameof(Sse41.ConvertToVector128Int64), i32, 8);
        Unary(Mnemonic.Pmovzxbw, sse41, nameof(Sse41.ConvertToVector128Int16), u8, 8);
        Unary(Mnemonic.Pmovzxbd, sse41, nameof(Sse41.ConvertToVector128Int32), u8, 4);
        Unary(Mnemonic.Pmovzxbq, sse41, nameof(Sse41.ConvertToVector128Int64), u8, 2);
        Unary(Mnemonic.Pmovzxwd, sse41, nameof(Sse41.ConvertToVector128Int32), u16, 8);
        Unary(Mnemonic.Pmovzxwq, sse41, nameof(Sse41.ConvertToVector128Int64), u16, 4);
        Unary(Mnemonic.Pmovzxdq, sse41, nameof(Sse41.ConvertToVector128Int64), u32, 8);

        // Bits of SSE3 that only move.
        Unary(Mnemonic.Movddup, typeof(Sse3), nameof(Sse3.MoveAndDuplicate), f64, 8);
        Unary(Mnemonic.Movshdup, typeof(Sse3), nameof(Sse3.MoveHighAndDuplicate), f32);
        Unary(Mnemonic.Movsldup, typeof(Sse3), nameof(Sse3.MoveLowAndDuplicate), f32);
        Binary(Mnemonic.Movhlps, typeof(Sse), nameof(Sse.MoveHighToLow), f32);
        Binary(Mnemonic.Movlhps, typeof(Sse), nameof(Sse.MoveLowToHigh), f32);
        AddInsertps();
    }

    /// <summary>The mask is in XMM0, which the encoding does not name.</summary>
    private static void BlendVariable(Mnemonic mnemonic, Type element)
    {
        MethodInfo method = VectorMethods.Of(typeof(Sse41), nameof(Sse41.BlendVariable), V(element), V(element), V(element));
        Add(mnemonic, typeof(Sse41), (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            e.PushVector(to);
            e.PushVector(source);
            e.PushVector(0);
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(to);
            return true;
        });
    }

    private static void AddInsertps()
    {
        MethodInfo method = VectorMethods.Of(typeof(Sse41), nameof(Sse41.Insert), V(typeof(float)), V(typeof(float)), typeof(byte));
        Add(Mnemonic.Insertps, typeof(Sse41), (InstructionEmitter e, in Instruction i) =>
        {
            // From memory there is but one element to choose.
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 4, aligned: false);
            e.PushVector(to);
            e.PushVector(source);
            e.Constant(source.Memory is null ? i.Immediate8 : i.Immediate8 & 0x3F);
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(to);
            return true;
        });
    }
}
