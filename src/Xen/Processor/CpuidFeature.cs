namespace Dbt.Xen.Processor;

/// <summary>One of CPUID's four registers.</summary>
public enum CpuidRegister
{
#pragma warning disable CS1591 // the manual's own names
    Eax, Ebx, Ecx, Edx,
#pragma warning restore CS1591
}

/// <summary>A field of CPUID by the name that xl gives it.</summary>
/// <param name="Name">As in xl.cfg's <c>cpuid</c>.</param>
/// <param name="Leaf">EAX.</param>
/// <param name="Subleaf">ECX; null where the leaf has none.</param>
/// <param name="Register">Where its bits are.</param>
/// <param name="Bit">The lowest of them.</param>
/// <param name="Length">How many.</param>
public readonly record struct CpuidFeature(string Name, uint Leaf, uint? Subleaf, CpuidRegister Register, int Bit, int Length)
{
    /// <summary>Its bits in the register.</summary>
    public uint Mask => (Length == 32 ? uint.MaxValue : (1u << Length) - 1) << Bit;
}

/// <summary>Bits of one register that a configuration changes.</summary>
/// <param name="Leaf">EAX.</param>
/// <param name="Subleaf">ECX; null for all of them.</param>
/// <param name="Register">The register.</param>
/// <param name="Set">Bits that become 1.</param>
/// <param name="Clear">Bits that become 0.</param>
public readonly record struct CpuidChange(uint Leaf, uint? Subleaf, CpuidRegister Register, uint Set, uint Clear);
