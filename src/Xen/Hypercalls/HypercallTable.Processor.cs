namespace Dbt.Xen.Hypercalls;

public static partial class HypercallTable
{
    private static partial IEnumerable<HypercallRow> ProcessorRows() => [];
}
