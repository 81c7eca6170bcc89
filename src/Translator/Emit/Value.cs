using System.Reflection.Emit;

namespace Dbt.Translator.Emit;

/// <summary>Where a <see cref="Value"/> is.</summary>
internal enum ValueKind
{
    /// <summary>A constant.</summary>
    Constant,

    /// <summary>A guest register's local; it changes when the register is written.</summary>
    Register,

    /// <summary>A temporary of 32 bits that is not assigned again while it is needed.</summary>
    Local,
}

/// <summary>A 32-bit value known to emitted code. Narrower values are zero-extended.</summary>
/// <param name="Kind">Where it is.</param>
/// <param name="Number">The register's number, or the constant.</param>
/// <param name="Variable">The local of <see cref="ValueKind.Local"/>.</param>
/// <remarks>The default is the constant 0.</remarks>
internal readonly record struct Value(ValueKind Kind, int Number, LocalBuilder? Variable)
{
    /// <summary>A guest register, whole.</summary>
    public static Value Register(int number) => new(ValueKind.Register, number, null);

    /// <summary>A constant.</summary>
    public static Value Constant(int value) => new(ValueKind.Constant, value, null);

    /// <summary>A local.</summary>
    public static Value Local(LocalBuilder local) => new(ValueKind.Local, 0, local);

    /// <summary>Whether it is the guest register <paramref name="number"/>.</summary>
    public bool IsRegister(int number) => Kind == ValueKind.Register && Number == number;
}
