using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Floating-point arithmetic and rounding.
internal static partial class EmitSimd
{
    private static readonly Type F32 = typeof(float), F64 = typeof(double);

    private static void AddFloats()
    {
        Arithmetic(Mnemonic.Addps, Mnemonic.Addss, Mnemonic.Addpd, Mnemonic.Addsd, nameof(Sse.Add), ordered: true);
        Arithmetic(Mnemonic.Subps, Mnemonic.Subss, Mnemonic.Subpd, Mnemonic.Subsd, nameof(Sse.Subtract));
        Arithmetic(Mnemonic.Mulps, Mnemonic.Mulss, Mnemonic.Mulpd, Mnemonic.Mulsd, nameof(Sse.Multiply), ordered: true);
        Arithmetic(Mnemonic.Divps, Mnemonic.Divss, Mnemonic.Divpd, Mnemonic.Divsd, nameof(Sse.Divide));
        Arithmetic(Mnemonic.Minps, Mnemonic.Minss, Mnemonic.Minpd, Mnemonic.Minsd, nameof(Sse.Min));
        Arithmetic(Mnemonic.Maxps, Mnemonic.Maxss, Mnemonic.Maxpd, Mnemonic.Maxsd, nameof(Sse.Max));
        Unary(Mnemonic.Sqrtps, typeof(Sse), nameof(Sse.Sqrt), F32, floating: true);
        Unary(Mnemonic.Sqrtpd, typeof(Sse2), nameof(Sse2.Sqrt), F64, floating: true);
        Binary(Mnemonic.Sqrtss, typeof(Sse), nameof(Sse.SqrtScalar), F32, size: 4, floating: true);
        Binary(Mnemonic.Sqrtsd, typeof(Sse2), nameof(Sse2.SqrtScalar), F64, size: 8, floating: true);

        // Estimates raise no flags, but denormal operands count as zero by MXCSR.
        Unary(Mnemonic.Rcpps, typeof(Sse), nameof(Sse.Reciprocal), F32, floating: true);
        Unary(Mnemonic.Rsqrtps, typeof(Sse), nameof(Sse.ReciprocalSqrt), F32, floating: true);
        Binary(Mnemonic.Rcpss, typeof(Sse), nameof(Sse.ReciprocalScalar), F32, size: 4, floating: true);
        Binary(Mnemonic.Rsqrtss, typeof(Sse), nameof(Sse.ReciprocalSqrtScalar), F32, size: 4, floating: true);

        Type sse3 = typeof(Sse3), sse41 = typeof(Sse41);
        Binary(Mnemonic.Addsubps, sse3, nameof(Sse3.AddSubtract), F32, floating: true);
        Binary(Mnemonic.Addsubpd, sse3, nameof(Sse3.AddSubtract), F64, floating: true);
        Binary(Mnemonic.Haddps, sse3, nameof(Sse3.HorizontalAdd), F32, floating: true);
        Binary(Mnemonic.Haddpd, sse3, nameof(Sse3.HorizontalAdd), F64, floating: true);
        Binary(Mnemonic.Hsubps, sse3, nameof(Sse3.HorizontalSubtract), F32, floating: true);
        Binary(Mnemonic.Hsubpd, sse3, nameof(Sse3.HorizontalSubtract), F64, floating: true);
        BinaryImmediate(Mnemonic.Dpps, sse41, nameof(Sse41.DotProduct), F32, floating: true);
        BinaryImmediate(Mnemonic.Dppd, sse41, nameof(Sse41.DotProduct), F64, floating: true);
        Round(Mnemonic.Roundps, F32, 16);
        Round(Mnemonic.Roundpd, F64, 16);
        Round(Mnemonic.Roundss, F32, 4);
        Round(Mnemonic.Roundsd, F64, 8);
    }

    private static void Arithmetic(Mnemonic ps, Mnemonic ss, Mnemonic pd, Mnemonic sd, string name, bool ordered = false)
    {
        if (ordered)
        {
            Ordered(ps, typeof(Sse), name, F32);
            Ordered(pd, typeof(Sse2), name, F64);
        }
        else
        {
            Binary(ps, typeof(Sse), name, F32, floating: true);
            Binary(pd, typeof(Sse2), name, F64, floating: true);
        }

        Binary(ss, typeof(Sse), name + "Scalar", F32, size: 4, floating: true);
        Binary(sd, typeof(Sse2), name + "Scalar", F64, size: 8, floating: true);
    }

    private static void Round(Mnemonic mnemonic, Type element, int size)
    {
        bool scalar = size < 16;
        string suffix = scalar ? "Scalar" : "";
        MethodInfo Method(string name) => scalar
            ? VectorMethods.Of(typeof(Sse41), name + suffix, V(element), V(element))
            : VectorMethods.Of(typeof(Sse41), name, V(element));
        MethodInfo nearest = Method(nameof(Sse41.RoundToNearestInteger)), down = Method(nameof(Sse41.RoundToNegativeInfinity));
        MethodInfo up = Method(nameof(Sse41.RoundToPositiveInfinity)), zero = Method(nameof(Sse41.RoundToZero));
        MethodInfo current = Method(nameof(Sse41.RoundCurrentDirection));
        Add(mnemonic, typeof(Sse41), (InstructionEmitter e, in Instruction i) =>
        {
            // The intrinsics with a mode of their own raise the inexact flag like the forms 0 to 3.
            MethodInfo? method = (i.Immediate8 & 15) switch
            {
                4 or 5 or 6 or 7 => current,
                0 => nearest,
                1 => down,
                2 => up,
                3 => zero,
                _ => null,
            };
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, size, aligned: !scalar);
            if (method is null)
            {
                return CallStub(e, i, source.IsRead ? e.Host(i, size, write: false) : source.Memory, flags: false);
            }

            if (scalar)
            {
                e.PushVector(to);
            }

            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, method);
            e.SetFloat(to);
            return true;
        }, floating: true);
    }
}
