using static Dbt.Tests.Translator.Protection.MonitorLayout;

namespace Dbt.Tests.Translator.Protection;

/// <summary>Every descriptor type, DPL, RPL and CPL against the instructions that load or look at segments.</summary>
internal static class SegmentCases
{
    private const int Compact = 5;

    public static void AddTo(CaseTable table)
    {
        foreach (string op in new[] { "mov ds", "mov gs", "mov ss", "lar", "lsl", "verr", "verw" })
        {
            // The limit's bits are undefined in what LAR gives; processors leave them, QEMU doesn't.
            table.Add(op, Matrix(op, c => op == "lar" ? c with { IgnoreEbx = 0xF0000 } : c));
        }

        foreach (string op in new[] { "jmp far", "call far" })
        {
            // What would switch tasks has cases of its own.
            table.Add(op, Matrix(op, c => c with { Ecx = Landing, Words = 8 }).Where(c => ((c.A >> 40) & 0x1F) is not (1 or 9)));
        }

        table.Add("lldt", Matrix("lldt", c => c).Where(c => c.Cpl is 0 or 3));
        table.Add("ltr", Matrix("ltr", c => c).Where(c => c.Cpl is 0 or 3));
        table.Add("odd selectors", Odd());
        table.Add("arpl", from destination in Range(4) from source in Range(4) select new Case("arpl") { Cpl = 3, Eax = 0x40 + destination, Ebx = 0x80 + source, Words = Compact });
        table.Add("call gate", Gates());
        table.Add("call gate, copies", GatesInDetail());
        table.Add("return", Returns());
    }

    private static IEnumerable<uint> Range(int count) => Enumerable.Range(0, count).Select(i => (uint)i);

    private static IEnumerable<Case> Matrix(string op, Func<Case, Case> change) =>
        from type in Enumerable.Range(0, 32)
        from present in new[] { true, false }
        from dpl in Enumerable.Range(0, 4)
        where present || dpl is 0 or 3
        from cpl in Enumerable.Range(0, 4)
        from rpl in Range(4)
        select change(new Case(op) { Cpl = cpl, A = Of(type, dpl, present), Eax = SlotA | rpl, Words = Compact });

    // An expand-down segment gets all but its first page; a system segment is the other task's TSS.
    private static ulong Of(int type, int dpl, bool present) =>
        type < 16 ? Descriptors.System(type, dpl, OtherTss, 0x67, present)
        : (type & 0x1C) == 0x14 ? Descriptors.Flat(type, dpl, present) & ~0x000F00000000FFFFUL
        : Descriptors.Flat(type, dpl, present);

    private static IEnumerable<Case> Odd() =>
        from op in new[] { "mov ds", "mov ss", "lar", "lsl", "verr", "verw", "lldt", "ltr", "jmp far", "call far" }
        from selector in new uint[] { 0, 1, 2, 3, 4, 7, 8, 0x0C, 0x17, 0x3F, 0x78, 0x84 & ~7u | 4, 0x1F8, 0x200, 0xFFF8, 0xFFFF }
        from cpl in new[] { 0, 3 }
        select new Case(op) { Cpl = cpl, Eax = selector, Ecx = Landing, Words = 8, IgnoreEbx = 0xF0000, Differs = op == "ltr" && selector < 4 ? "SDM vol. 2, LTR: #GP(0) for a null selector" : null };

    private static IEnumerable<Case> Gates() =>
        from op in new[] { "call far", "jmp far" }
        from type in new[] { 4, 0xC }
        from gateDpl in Enumerable.Range(0, 4)
        from rpl in new uint[] { 0, 3 }
        from cpl in Enumerable.Range(0, 4)
        from conforming in new[] { false, true }
        from dpl in Enumerable.Range(0, 4)
        from absent in Enumerable.Range(0, 3)
        let target = Descriptors.Flat(conforming ? 0x1E : 0x1A, dpl, absent != 2)
        select new Case(op)
        {
            Cpl = cpl,
            A = Descriptors.Gate(type, gateDpl, SlotB, type == 4 ? Landing & 0xFFFF : Landing, absent != 1),
            B = type == 4 ? target | ((ulong)Image << 16) : target,
            Eax = SlotA | rpl,
            Ecx = 0xBAD,
            Words = 15,
            Differs = op == "call far" && conforming && dpl < cpl ? "SDM vol. 2, CALL: a conforming segment is entered at the same level"
                : op == "jmp far" && absent == 2 ? "SDM vol. 2, JMP: #NP where the code isn't present" : null,
        };

    private static IEnumerable<Case> GatesInDetail() =>
        from parameters in new[] { 0, 1, 2, 3 }
        from type in new[] { 4, 0xC }
        from level in new[] { 0, 1, 2 }
        from word in new uint[] { 4, 8, 12, 16, 20, 24, 28 }
        select new Case("call far, parameters")
        {
            Cpl = 3,
            A = Descriptors.Gate(type, 3, SlotB, type == 4 ? Landing & 0xFFFF : Landing, true, parameters),
            B = Descriptors.Flat(0x1B, level) | (type == 4 ? (ulong)Image << 16 : 0),
            Eax = SlotA,
            Words = 19,
            Aux0 = (level switch { 0 => HandlerStack, 1 => InnerStack1, _ => InnerStack2 }) - word,
        };

    private static IEnumerable<Case> Returns() =>
        from op in new[] { "retf", "retf 8", "iret" }
        from cpl in new[] { 0, 1, 3 }
        from type in new[] { 0x1A, 0x1E, 0x13, 0x0C }
        from dpl in Enumerable.Range(0, 4)
        from rpl in Range(4)
        from stack in new[] { (2 | (dpl << 4)) + 0x10, 0x13, 0x33, 0x10 | (dpl << 4) }
        from stackRpl in new[] { rpl, 3u }
        select new Case(op)
        {
            Cpl = cpl,
            A = Descriptors.Flat(type, dpl),
            B = Descriptors.Flat(stack & 0xF | 0x10, (stack >> 4) & 3 | ((stack >> 5) & 0)),
            Eax = SlotA | rpl,
            Ebx = 2,
            Ecx = Landing,
            Edx = SlotB | stackRpl,
            Words = 15,
        };
}
