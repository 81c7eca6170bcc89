using Dbt.Xen.Abi;

namespace Dbt.Xen.Processor;

/// <summary>Rules for selectors that a guest hands to the hypervisor.</summary>
internal static class Selectors
{
    /// <summary>Raises RPL 0 to ring 1, where a guest's kernel runs: a guest may never name ring 0.</summary>
    public static ushort ForGuest(uint selector) => (ushort)((selector & 3) == 0 ? selector | 1 : selector);

    /// <summary>Whether a call gate may lead to a code selector: the guest's own part of the GDT, the LDT, or the flat kernel segment.</summary>
    public static bool MayBeGateTarget(ushort selector) =>
        (selector >> 3) < Layout.FirstReservedGdtEntry || selector == Layout.FlatRing1Cs || (selector & 4) != 0;
}
