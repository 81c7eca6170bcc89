using static Dbt.Tests.Translator.Protection.MonitorLayout;
using static Dbt.Tests.Translator.Protection.MonitorPaging;

namespace Dbt.Tests.Translator.Protection;

/// <summary>Every right of every level, against every access, with the accessed and dirty bits that remain.</summary>
internal static class PagingCases
{
    private static readonly string[] Accesses = ["page read", "page write", "page update", "page execute", "page push"];

    public static void AddTo(CaseTable table)
    {
        table.Add("two levels", TwoLevels());
        table.Add("two levels, page crossing", Crossing());
        table.Add("4-MiB pages", LargePages4());
        table.Add("pae", Pae());
        table.Add("2-MiB pages", LargePages2());
        table.Add("translations kept", Kept());
    }

    private static IEnumerable<Case> TwoLevels() =>
        from pde in Enumerable.Range(0, 8)
        from pte in Enumerable.Range(0, 8)
        from access in Accesses
        from cpl in new[] { 0, 2, 3 }
        from protect in new uint[] { 0, WriteProtect }
        select Of(access, cpl, Table | (uint)pde, TestPhysical | (uint)pte, protect, TestLinear + 0x10);

    private static IEnumerable<Case> Crossing() =>
        from second in new uint[] { 0, 1, 3, 5, 7 }
        from access in new[] { "page read", "page write", "page update" }
        from cpl in new[] { 0, 3 }
        select Of(access, cpl, Table | 7, TestPhysical | second, WriteProtect, TestLinear - 2) with { Differs = "the page before is absent" };

    private static IEnumerable<Case> LargePages4() =>
        from pde in Enumerable.Range(0, 8)
        from access in Accesses
        from cpl in new[] { 0, 3 }
        from flags in new uint[] { 0, WriteProtect, MonitorPaging.LargePages, MonitorPaging.LargePages | WriteProtect }
        from reserved in new uint[] { 0, 0x200000 }
        let large = (flags & MonitorPaging.LargePages) != 0
        where large || reserved == 0
        select Of(access, cpl, (large ? TestPhysical : Table) | 0x80 | reserved | (uint)pde, large ? 0 : TestPhysical | 7, flags, TestLinear + 0x10);

    private static Case Of(string op, int cpl, uint pde, uint pte, uint flags, uint linear) => new(op)
    {
        Setup = "two levels",
        Cpl = cpl,
        A = pde | ((ulong)pte << 32),
        Ebx = linear,
        Edx = flags,
        Aux0 = DirectoryEntry,
        Aux1 = TableEntry,
        Words = 20,

        // The read of an update is a write to the processor's checks; QEMU asks for reading first.
        IgnoreError = op == "page update" ? 2u : 0,
        IgnoreWord0 = op == "page update" && (pde & 0x80) != 0 ? 0x20u : 0,
        IgnoreWord1 = op == "page update" ? 0x20u : 0,
        Differs = op == "page withdrawn, cr3" && (pte & 0x100) != 0 && (flags & GlobalPages) != 0 ? "SDM vol. 3, 4.10.2.4: global pages stay" : null,
    };

    private static IEnumerable<Case> Pae() =>
        from pde in new ulong[] { 0, 1, 3, 5, 7, 7 | (1UL << 63), 7 | (1UL << 51), 7 | (1UL << 62) }
        from pte in new ulong[] { 0, 1, 3, 5, 7, 7 | (1UL << 63), 5 | (1UL << 63), 7 | (1UL << 45), 7 | (1UL << 52) }
        from access in Accesses
        from cpl in new[] { 0, 3 }
        from flags in new[] { 0u, WriteProtect, NoExecute, NoExecute | WriteProtect }
        select Of(access, cpl, PaeTable | pde, TestPhysical | pte, flags);

    private static IEnumerable<Case> LargePages2() =>
        from pde in new ulong[] { 0x80, 0x81, 0x83, 0x85, 0x87, 0x87 | (1UL << 63), 0x87 | (1UL << 51), 0x87 | (1UL << 13), 0x87 | (1UL << 12) }
        from access in Accesses
        from cpl in new[] { 0, 3 }
        from flags in new[] { 0u, WriteProtect, NoExecute }
        select Of(access, cpl, TestPhysical | pde, 0, flags);

    private static Case Of(string op, int cpl, ulong pde, ulong pte, uint flags) => new(op)
    {
        Setup = "pae",
        Cpl = cpl,
        A = pde,
        B = pte,
        Ebx = TestLinear + 0x10,
        Edx = flags,
        Aux0 = PaeDirectoryEntry,
        Aux1 = PaeTableEntry,
        Words = 20,
        IgnoreError = op == "page update" ? 2u : 0,
        IgnoreWord0 = op == "page update" && (pde & 0x80) != 0 ? 0x20u : 0,
        IgnoreWord1 = op == "page update" ? 0x20u : 0,
    };

    private static IEnumerable<Case> Kept() =>
        [
            .. from op in new[] { "page withdrawn", "page withdrawn, cr3", "page withdrawn, cr4" }
               from global in new uint[] { 0, 0x100 }
               from flags in new uint[] { 0, GlobalPages }
               select Of(op, 0, Table | 7, TestPhysical | 7 | global, flags, TestLinear + 0x10),
            .. from global in new uint[] { 0, 0x100 }
               select Of("large page withdrawn", 0, TestPhysical | 0x87 | global, 0, MonitorPaging.LargePages | GlobalPages, TestLinear + 0x10),
        ];
}
