namespace Dbt.Xen.Hypercalls;

/// <summary>A hypercall's arguments as the registers hold them: EBX, ECX, EDX, ESI, EDI, EBP.</summary>
/// <param name="A1">EBX.</param>
/// <param name="A2">ECX.</param>
/// <param name="A3">EDX.</param>
/// <param name="A4">ESI.</param>
/// <param name="A5">EDI.</param>
/// <param name="A6">EBP.</param>
public readonly record struct HypercallArguments(uint A1, uint A2, uint A3, uint A4, uint A5, uint A6);

/// <summary>Carries out one hypercall on the calling processor's thread; the result goes to EAX (negative: -errno).</summary>
public delegate int HypercallHandler(Vcpu vcpu, in HypercallArguments arguments);

/// <summary>One row of the hypercall table.</summary>
/// <param name="Number">Number (public/xen.h, __HYPERVISOR_*).</param>
/// <param name="Name">Name as the header has it, without the prefix.</param>
/// <param name="ArgumentCount">Registers used, 0 to 6; in a multicall the rest are ignored.</param>
/// <param name="Handler">What carries it out.</param>
/// <param name="Translated">Whether auto-translated (PVH) guests have it too.</param>
public sealed record HypercallRow(int Number, string Name, int ArgumentCount, HypercallHandler Handler, bool Translated = false);

/// <summary>
/// All hypercalls of the i386 ABI that exist here, one row each, with a column per kind of guest. A number without a row returns -ENOSYS and is named once in the
/// log. Handlers live by family: memory ones in Xen/Memory, and so on, each a static method of a class named after the hypercall.
/// </summary>
public static partial class HypercallTable
{
    /// <summary>Rows by number; null where there is none.</summary>
    public static IReadOnlyList<HypercallRow?> Rows { get; } = Build();

    private static HypercallRow?[] Build()
    {
        var rows = new HypercallRow?[Abi.Layout.MaxHypercalls];
        foreach (HypercallRow row in MemoryRows().Concat(ProcessorRows()).Concat(EventRows()))
        {
            rows[row.Number] = row;
        }

        return rows;
    }

    private static partial IEnumerable<HypercallRow> MemoryRows();

    private static partial IEnumerable<HypercallRow> ProcessorRows();

    private static partial IEnumerable<HypercallRow> EventRows();
}
