using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Conversions between integers and floating point.
internal static partial class EmitSimd
{
    private static void AddConversions()
    {
        Type sse2 = typeof(Sse2), i32 = typeof(int);
        Unary(Mnemonic.Cvtdq2ps, sse2, nameof(Sse2.ConvertToVector128Single), i32, floating: true);
        Unary(Mnemonic.Cvtdq2pd, sse2, nameof(Sse2.ConvertToVector128Double), i32, 8, floating: true);
        Unary(Mnemonic.Cvtps2pd, sse2, nameof(Sse2.ConvertToVector128Double), F32, 8, floating: true);
        Unary(Mnemonic.Cvtpd2ps, sse2, nameof(Sse2.ConvertToVector128Single), F64, floating: true);
        Unary(Mnemonic.Cvtps2dq, sse2, nameof(Sse2.ConvertToVector128Int32), F32, floating: true);
        Unary(Mnemonic.Cvttps2dq, sse2, nameof(Sse2.ConvertToVector128Int32WithTruncation), F32, floating: true);
        Unary(Mnemonic.Cvtpd2dq, sse2, nameof(Sse2.ConvertToVector128Int32), F64, floating: true);
        Unary(Mnemonic.Cvttpd2dq, sse2, nameof(Sse2.ConvertToVector128Int32WithTruncation), F64, floating: true);
        Binary(Mnemonic.Cvtsd2ss, sse2, nameof(Sse2.ConvertScalarToVector128Single), F32, F64, 8, floating: true);
        Binary(Mnemonic.Cvtss2sd, sse2, nameof(Sse2.ConvertScalarToVector128Double), F64, F32, 4, floating: true);
        FromInteger(Mnemonic.Cvtsi2ss, VectorMethods.Of(typeof(Sse), nameof(Sse.ConvertScalarToVector128Single), V(F32), i32));
        FromInteger(Mnemonic.Cvtsi2sd, VectorMethods.Of(sse2, nameof(Sse2.ConvertScalarToVector128Double), V(F64), i32));
        ToInteger(Mnemonic.Cvtss2si, VectorMethods.Of(typeof(Sse), nameof(Sse.ConvertToInt32), V(F32)), 4);
        ToInteger(Mnemonic.Cvttss2si, VectorMethods.Of(typeof(Sse), nameof(Sse.ConvertToInt32WithTruncation), V(F32)), 4);
        ToInteger(Mnemonic.Cvtsd2si, VectorMethods.Of(sse2, nameof(Sse2.ConvertToInt32), V(F64)), 8);
        ToInteger(Mnemonic.Cvttsd2si, VectorMethods.Of(sse2, nameof(Sse2.ConvertToInt32WithTruncation), V(F64)), 8);
    }

    private static void FromInteger(Mnemonic mnemonic, MethodInfo method) => Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
    {
        int to = Xmm(i, 0);
        Value value = e.Source(i, 1, 4);
        e.PushVector(to);
        e.PushHidden(value);
        e.Il.Emit(OpCodes.Call, method);
        e.SetFloat(to);
        return true;
    }, floating: true);

    private static void ToInteger(Mnemonic mnemonic, MethodInfo method, int size) => Add(mnemonic, typeof(Sse2), (InstructionEmitter e, in Instruction i) =>
    {
        e.PushVector(e.Vector(i, 1, size, aligned: false));
        e.Il.Emit(OpCodes.Call, method);
        Value value = e.StoreValue();
        e.KeepAlive(value);
        e.SetRegister(i.Op0Register, value);
        return true;
    }, floating: true);
}
