using Dbt.Xen.Grants;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

public static partial class HypercallTable
{
    private static partial IEnumerable<HypercallRow> MemoryRows() =>
    [
        new(1, "mmu_update", 4, MmuUpdate.Call),
        new(12, "memory_op", 2, MemoryOp.Call, Translated: true),
        new(14, "update_va_mapping", 4, UpdateVaMapping.Call),
        new(20, "grant_table_op", 3, GrantTableOp.Call, Translated: true),
        new(22, "update_va_mapping_otherdomain", 5, UpdateVaMapping.CallOtherDomain),
        new(26, "mmuext_op", 4, MmuExtOp.Call),
    ];
}
