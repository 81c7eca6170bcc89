using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

// Comparisons: to masks, and to the status flags.
internal static partial class EmitSimd
{
    // By the immediate's low three bits.
    private static readonly string[] Predicates =
    [
        nameof(Sse.CompareEqual), nameof(Sse.CompareLessThan), nameof(Sse.CompareLessThanOrEqual), nameof(Sse.CompareUnordered),
        nameof(Sse.CompareNotEqual), nameof(Sse.CompareNotLessThan), nameof(Sse.CompareNotLessThanOrEqual), nameof(Sse.CompareOrdered),
    ];

    private static void AddComparisons()
    {
        Compare(Mnemonic.Cmpps, typeof(Sse), F32, 16);
        Compare(Mnemonic.Cmpss, typeof(Sse), F32, 4);
        Compare(Mnemonic.Cmppd, typeof(Sse2), F64, 16);
        Compare(Mnemonic.Cmpsd, typeof(Sse2), F64, 8);
        CompareFlags(Mnemonic.Comiss, typeof(Sse), "Ordered", F32, 4);
        CompareFlags(Mnemonic.Ucomiss, typeof(Sse), "Unordered", F32, 4);
        CompareFlags(Mnemonic.Comisd, typeof(Sse2), "Ordered", F64, 8);
        CompareFlags(Mnemonic.Ucomisd, typeof(Sse2), "Unordered", F64, 8);
        MethodInfo zero = VectorMethods.Of(typeof(Sse41), nameof(Sse41.TestZ), V(typeof(byte)), V(typeof(byte)));
        MethodInfo carry = VectorMethods.Of(typeof(Sse41), nameof(Sse41.TestC), V(typeof(byte)), V(typeof(byte)));
        Add(Mnemonic.Ptest, typeof(Sse41), (InstructionEmitter e, in Instruction i) =>
        {
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            e.SetFlags(new VectorTestFlags(zero, carry, e.CopyVector(new VectorSource(Xmm(i, 0), null, 0)), e.CopyVector(source)));
            return true;
        });
    }

    private static void Compare(Mnemonic mnemonic, Type host, Type element, int size)
    {
        MethodInfo[] methods = Array.ConvertAll(Predicates, name =>
            VectorMethods.Of(host, size == 16 ? name : name.Replace("Compare", "CompareScalar", StringComparison.Ordinal), V(element), V(element)));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, size, aligned: size == 16);
            e.PushVector(to);
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, methods[i.Immediate8 & 7]);
            e.SetFloat(to);
            return true;
        }, floating: true);
    }

    private static void CompareFlags(Mnemonic mnemonic, Type host, string kind, Type element, int size)
    {
        MethodInfo Method(string relation) => VectorMethods.Of(host, "CompareScalar" + kind + relation, V(element), V(element));
        var methods = new ScalarComparisons(Method("GreaterThan"), Method("GreaterThanOrEqual"), Method("LessThan"), Method("LessThanOrEqual"));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            VectorSource source = e.Vector(i, 1, size, aligned: false);
            var flags = new ScalarCompareFlags(methods, e.CopyVector(new VectorSource(Xmm(i, 0), null, 0)), e.CopyVector(source));

            // The exception flags come about here, whether or not anything asks for the result.
            if (!IsAskedAtOnce(e))
            {
                flags.PushCarry(e);
                e.KeepAlive(e.StoreValue());
            }

            e.SetFlags(flags);
            return true;
        }, floating: true);
    }

    private static bool IsAskedAtOnce(InstructionEmitter e)
    {
        if (!e.Optimized || e.Position + 1 >= e.Block.Instructions.Count)
        {
            return false;
        }

        Instruction next = e.Block.Instructions[e.Position + 1];
        return next.Code.IsJccShortOrNear() && next.ConditionCode is ConditionCode.a or ConditionCode.ae or ConditionCode.b or ConditionCode.be
            or ConditionCode.e or ConditionCode.ne or ConditionCode.p or ConditionCode.np;
    }
}
