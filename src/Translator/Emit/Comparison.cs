using System.Reflection.Emit;

namespace Dbt.Translator.Emit;

/// <summary>A comparison of the two topmost values of the IL stack.</summary>
internal enum Comparison
{
#pragma warning disable CS1591 // as named; Below and Above are unsigned
    Equal, NotEqual, Less, GreaterEqual, LessEqual, Greater, Below, AboveEqual, BelowEqual, Above,
#pragma warning restore CS1591
}

/// <summary>IL for comparisons.</summary>
internal static class Comparisons
{
    /// <summary>The opposite: the enumeration lists them in pairs.</summary>
    public static Comparison Not(this Comparison comparison) => comparison ^ (Comparison)1;

    /// <summary>Branches where it holds.</summary>
    public static OpCode Branch(this Comparison comparison) => comparison switch
    {
        Comparison.Equal => OpCodes.Beq,
        Comparison.NotEqual => OpCodes.Bne_Un,
        Comparison.Less => OpCodes.Blt,
        Comparison.GreaterEqual => OpCodes.Bge,
        Comparison.LessEqual => OpCodes.Ble,
        Comparison.Greater => OpCodes.Bgt,
        Comparison.Below => OpCodes.Blt_Un,
        Comparison.AboveEqual => OpCodes.Bge_Un,
        Comparison.BelowEqual => OpCodes.Ble_Un,
        _ => OpCodes.Bgt_Un,
    };

    /// <summary>Replaces the two values by 0 or 1.</summary>
    public static void EmitBoolean(this Comparison comparison, ILGenerator il)
    {
        (OpCode test, bool invert) = comparison switch
        {
            Comparison.Equal => (OpCodes.Ceq, false),
            Comparison.NotEqual => (OpCodes.Ceq, true),
            Comparison.Less => (OpCodes.Clt, false),
            Comparison.GreaterEqual => (OpCodes.Clt, true),
            Comparison.LessEqual => (OpCodes.Cgt, true),
            Comparison.Greater => (OpCodes.Cgt, false),
            Comparison.Below => (OpCodes.Clt_Un, false),
            Comparison.AboveEqual => (OpCodes.Clt_Un, true),
            Comparison.BelowEqual => (OpCodes.Cgt_Un, true),
            _ => (OpCodes.Cgt_Un, false),
        };
        il.Emit(test);
        if (invert)
        {
            il.Emit(OpCodes.Ldc_I4_0);
            il.Emit(OpCodes.Ceq);
        }
    }
}
