namespace Dbt.Translator.Emit.Spans;

/// <summary>
/// A register's value as a distance from one that is not known but has a name: two values of the same root differ by their offsets.
/// A root names what a register held where it was last written otherwise than by a constant step, or where paths met.
/// </summary>
/// <param name="Root">The name.</param>
/// <param name="Offset">Distance in bytes, modulo 2^32.</param>
internal readonly record struct SymbolicValue(long Root, int Offset)
{
    private const int KindShift = 56, NumberShift = 8;

    /// <summary>What a register holds where a block begins, and paths meet that leave different things in it.</summary>
    public static SymbolicValue AtBlock(uint start, int register) => new(Name(1, start, register), 0);

    /// <summary>What an instruction leaves in a register.</summary>
    public static SymbolicValue Of(uint eip, int register) => new(Name(2, eip, register), 0);

    /// <summary>The first byte of a page at a known address.</summary>
    public static SymbolicValue Page(uint page) => new(Name(3, page, 0), 0);

    /// <summary>The value so many bytes further.</summary>
    public SymbolicValue Add(int bytes) => this with { Offset = Offset + bytes };

    private static long Name(long kind, uint number, int register) => (kind << KindShift) | ((long)number << NumberShift) | (uint)register;
}
