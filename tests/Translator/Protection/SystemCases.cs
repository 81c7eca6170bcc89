using static Dbt.Tests.Translator.Protection.MonitorLayout;

namespace Dbt.Tests.Translator.Protection;

/// <summary>Interrupts and exceptions, flags, ports, privileged instructions, tasks, debugging, virtual-8086 mode.</summary>
internal static class SystemCases
{
    private const uint Trap = 0x100, Interrupts = 0x200, Virtual = 0x20000, Resume = 0x10000, Arithmetic = 0x8D5;

    public static void AddTo(CaseTable table)
    {
        table.Add("interrupt gate", Gates());
        table.Add("gate of any type", GateTypes());
        table.Add("interrupt, stack of the task", Stacks());
        table.Add("software interrupt", Software());
        table.Add("exceptions", Exceptions());
        table.Add("nested exceptions", Nested());
        table.Add("flags", FlagCases());
        table.Add("ports", Ports());
        table.Add("privileged", Privileged());
        table.Add("control registers", ControlRegisters());
        table.Add("msr", Msrs());
        table.Add("fpu control", Fpu());
        table.Add("sysenter", Sysenter());
        table.Add("single step", SingleStep());
        table.Add("breakpoints", Breakpoints());
        table.Add("tasks", Tasks());
        table.Add("virtual 8086", Virtual8086());
    }

    private const string StiTraps = "SDM vol. 3, 6.8.3: STI holds off interrupts, not the single-step trap";

    private static IEnumerable<Case> Gates() =>
        from type in new[] { 6, 7, 0xE, 0xF }
        from gateDpl in new[] { 0, 2, 3 }
        from cpl in Enumerable.Range(0, 4)
        from conforming in new[] { false, true }
        from dpl in Enumerable.Range(0, 4)
        from absent in Enumerable.Range(0, 3)
        let wide = type >= 8
        let target = Descriptors.Flat(conforming ? 0x1E : 0x1A, dpl, absent != 2)
        select new Case("int 41")
        {
            Setup = "gate",
            Cpl = cpl,
            Eflags = 2 | Interrupts | 0x3000,
            A = Descriptors.Gate(type, gateDpl, SlotB, wide ? Landing : Landing & 0xFFFF, absent != 1),
            B = wide ? target : target | ((ulong)Image << 16),
            Words = 15,
        };

    private static IEnumerable<Case> GateTypes() =>
        from type in Enumerable.Range(0, 32)
        where type != 5
        from cpl in new[] { 0, 3 }
        from selector in new uint[] { SlotB, 0, 3, DataSelector, 0x1F8, 0x200 }
        select new Case("int 41")
        {
            Setup = "gate",
            Cpl = cpl,
            A = Descriptors.Gate(type, 3, (ushort)selector, type >= 8 ? Landing : Landing & 0xFFFF),
            B = Descriptors.Code(0) | (type is 6 or 7 ? (ulong)Image << 16 : 0),
            Words = 9,
        };

    private static uint DataSelector => DataOf(0);

    private static IEnumerable<Case> Stacks() =>
        [
            .. from selector in new uint[] { 0, 1, 8, 0x10, 0x11, 0x20, 0x21, 0x80, 0x81, 0x1F8, 0x204 }
               from present in new[] { true, false }
               from op in new[] { "int 41", "call far" }
               select new Case(op)
               {
                   Setup = "task word",
                   Cpl = 3,
                   Ebx = op == "int 41" ? MainTss + 16 : MainTss + 16,
                   Edx = selector,
                   Eax = 0x88,
                   A = op == "int 41" ? Descriptors.Flat(0x13, 1, present) : Descriptors.Flat(0x13, 1, present),
                   B = op == "int 41" ? 0 : Descriptors.Gate(0xC, 3, CodeOf(1), Landing),
                   Words = 15,
                   Differs = !present && selector == 0x81 ? "SDM vol. 2, CALL: #SS where the stack isn't present" : null,
               },
            .. from limit in new uint[] { 0x67, 0x10, 0xB, 9, 8, 4, 3, 1 }
               from op in new[] { "int 41", "pushf", "in al" }
               select new Case(op) { Setup = "task limit of ebx", Cpl = 1, Ebx = limit, Edx = 0xE0, Words = 8, Differs = limit is 9 ? "SDM vol. 2, INT n: six bytes are enough" : null, IgnoreError = 1 },
        ];

    private static IEnumerable<Case> Software() =>
        from op in new[] { "int 4f", "int 60", "int3", "into", "int1", "ud2", "lock nop", "mov cs", "mov cr1", "int 41" }
        from cpl in Enumerable.Range(0, 4)
        select new Case(op)
        {
            Cpl = cpl,
            Eflags = 2 | Interrupts,
            Words = 16,
            Differs = op switch
            {
                "int1" => "SDM vol. 2, INT1: #DB; QEMU 7.2 has #UD",
                "mov cr1" when cpl != 0 => "there is no such register, before the level counts",
                _ => null,
            }
        };

    private static IEnumerable<Case> Exceptions() =>
        [
            .. from cpl in new[] { 0, 3 }
               from c in new[]
               {
                   new Case("div") { Ebx = 0, Eax = 5 },
                   new Case("div") { Ebx = 1, Eax = 0x500 },
                   new Case("div") { Ebx = 3, Eax = 0x50 },
                   new Case("bound") { Eax = 1 },
                   new Case("load"),
                   new Case("mov ds") { Eax = 0x1F8 },
                   new Case("mov ss") { Eax = 0x1F8 },
               }
               select c with { Cpl = cpl, Words = 16, IgnoreFlags = Arithmetic },
        ];

    // The handler of #GP, #NP, #SS, #TS or #UD can't be entered: what comes is a double fault, or the second exception.
    private static IEnumerable<Case> Nested() =>
        from handler in new uint[] { 0, 5, 6, 7, 10, 11, 12, 13, 17 }
        from cpl in new[] { 0, 3 }
        from gate in new[]
        {
            Descriptors.Gate(0xE, 0, 8, Landing, false), Descriptors.Gate(0xE, 0, 0x1F8, Landing), Descriptors.Gate(0xE, 0, 0, Landing),
            Descriptors.Gate(0xE, 0, SlotB, Landing), Descriptors.Gate(3, 0, 8, Landing), Descriptors.Gate(5, 0, 0x10, 0), Descriptors.Gate(5, 0, 0x1F8, 0),
        }
        from op in new[] { "div", "mov ds", "mov ss", "ud2", "bound", "fnop" }
        select new Case(op)
        {
            Setup = "gate of ebx",
            Cpl = cpl,
            Eax = op.StartsWith("mov", StringComparison.Ordinal) ? 0x80u : 5,
            Ebx = handler << 0,
            Ecx = 0,
            A = gate,
            B = Descriptors.Flat(0x1B, 0, false),
            Words = 9,
            IgnoreFlags = Arithmetic,
            IgnoreError = 1, // EXT is set for an exception in delivering one (SDM vol. 3, 6.13); not so in QEMU
        };

    private static IEnumerable<Case> FlagCases() =>
        from op in new[] { "popf", "popfw", "pushf", "cli", "sti", "iret" }
        from cpl in Enumerable.Range(0, 4)
        from iopl in new uint[] { 0, 1, 2, 3 }
        from start in new uint[] { 0, Interrupts }
        from value in new uint[] { 0x00240AD7, 0x3202, 2, 0x0001_7202, 0xFFC0_802A }
        where op is "popf" or "popfw" or "iret" || value == 2
        select new Case(op)
        {
            Cpl = cpl,
            Eflags = 2 | (iopl << 12) | start,
            Ebx = value,
            Eax = CodeOf(cpl),
            Ecx = Landing,
            Edx = DataOf(cpl),
            Words = 15,
        };

    private static IEnumerable<Case> Ports() =>
        [
            .. from op in new[] { "in al", "in ax", "in eax", "out al", "insb" }
               from cpl in Enumerable.Range(0, 4)
               from iopl in new uint[] { 0, 2, 3 }
               from port in new uint[] { 0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7 }
               select new Case(op) { Cpl = cpl, Eflags = 2 | (iopl << 12), Edx = port, Eax = 0x12345678, Words = 9, IgnoreEax = uint.MaxValue },
            .. from map in new uint[] { 0x68, 0x88, 0x8E, 0x8F, 0x90, 0xFFFF, 0x60, 0 }
               from port in new uint[] { 0xE0, 0xE2, 0x100, 0x108, 0x110, 0xFFFF }
               select new Case("in al") { Setup = "io map of ebx", Cpl = 3, Ebx = map, Edx = port, Words = 9, IgnoreEax = uint.MaxValue },
            .. from count in new uint[] { 0, 1, 3 }
               select new Case("outsd") { Cpl = 0, Ecx = count, Edx = 0xE4, Words = 9 },
        ];

    private static IEnumerable<Case> Privileged() =>
        from op in new[]
        {
            "clts", "lmsw", "smsw", "invlpg", "wbinvd", "invd", "lgdt", "lidt", "read cr0", "read cr2", "write cr3", "write dr0", "write dr6",
            "sldt", "str", "rdtsc", "sysexit",
        }
        from cpl in Enumerable.Range(0, 4)
        select new Case(op) { Cpl = cpl, Ebx = op == "write dr6" ? 0x4000u : 0x5000, Words = 9 };

    private static IEnumerable<Case> ControlRegisters() =>
        [
            .. new uint[] { 0x11, 1, 0x13, 0x1F, 0x10011, 0x60000011, 0x20000011, 0x40000011, 0x50011, 0x00000031 }
                .Select(v => new Case("write cr0") { Ebx = v, Words = 9, Differs = v == 0x20000011 ? "SDM vol. 2, MOV: NW without CD is #GP" : null }),
            .. new uint[] { 0, 4, 8, 0x10, 0x20, 0x80, 0x600, 0x6B8 }.Select(v => new Case("write cr4") { Ebx = v, Words = 9 }),
            .. new uint[] { 0, 1, 2, 4, 8, 0xF, 0xFFF0 }.Select(v => new Case("lmsw") { Ebx = v, Words = 9 }),
            .. new uint[] { 0, 0xFFFFFFFF, 0xE00F, 0x1000 }.Select(v => new Case("write dr6") { Ebx = v, Words = 9, IgnoreEax = 0x1000 }),
            .. new uint[] { 0, 0xFFFF0000, 0x0000DC00 }.Select(v => new Case("write dr7") { Ebx = v, Words = 9, IgnoreEax = 0xD800 }),
            new Case("write dr5") { Ebx = 0x10000, Words = 9 },
            new Case("write dr5") { Setup = "cr0 of ebx", Ebx = 0, Ecx = 8, Words = 9 },
            new Case("rdtsc") { Setup = "cr0 of ebx", Ecx = 4, Cpl = 3, Words = 9 },
            new Case("rdtsc") { Setup = "cr0 of ebx", Ecx = 4, Cpl = 0, Words = 9 },
        ];

    private static IEnumerable<Case> Msrs() =>
        [
            .. from index in new uint[] { 0x174, 0x175, 0x176 }
               from cpl in new[] { 0, 3 }
               select new Case("wrmsr") { Cpl = cpl, Ecx = index, Ebx = index == 0x174 ? 0x5678u : 0x12345678, Words = 9 },
            .. new uint[] { 0x277, 0xC0000080, 0x12345 }.Select(i => new Case("rdmsr") { Ecx = i, Words = 9, Differs = i == 0x12345 ? "QEMU reads 0 where there is none" : null }),
        ];

    private static IEnumerable<Case> Fpu() =>
        from op in new[] { "fnop", "wait", "emms", "addps" }
        from cr0 in new uint[] { 0, 2, 4, 6, 8, 0xA, 0xC, 0xE }
        from cr4 in new uint[] { 0, 0x200 }
        from cpl in new[] { 0, 3 }
        select new Case(op)
        {
            Setup = "cr0 of ebx",
            Cpl = cpl,
            Ebx = cr0,
            Ecx = cr4,
            Words = 9,
            Differs = op switch
            {
                "emms" when (cr0 & 0xC) != 0 => "SDM vol. 2, EMMS: #UD under EM, #NM under TS",
                "addps" when (cr0 & 0xC) == 0xC => "SDM vol. 3, table 2-2: EM before TS",
                _ => null,
            }
        };

    private static IEnumerable<Case> Sysenter() =>
        [
            .. from cpl in new[] { 0, 1, 3 }
               from cs in new uint[] { 8, 0, 3, 0xB }
               select new Case("sysenter") { Setup = "entry registers", Cpl = cpl, Eflags = 2 | Interrupts, Ebx = cs, Words = 15, Differs = cs == 3 ? "SDM vol. 2: #GP where bits 15:2 are 0" : null },
            .. from cpl in new[] { 0, 3 }
               from cs in new uint[] { 0x28, 0, 3 }
               select new Case("sysexit") { Setup = "entry registers", Cpl = cpl, Ebx = cs, Ecx = TestStack, Edx = Landing, Words = 15, Differs = cs == 3 ? "SDM vol. 2: #GP where bits 15:2 are 0" : null },
        ];

    private static IEnumerable<Case> SingleStep() =>
        from op in new[] { "nops", "popf", "pushf", "store", "copies", "int 41", "int3", "ud2", "mov ds", "cli", "sti" }
        from cpl in new[] { 0, 3 }
        select new Case(op) { Cpl = cpl, Eflags = 2 | Trap | 0x3000, Eax = DataOf(3), Ebx = 2, Ecx = 3, Words = 17, Differs = op == "sti" ? StiTraps : null };

    private static IEnumerable<Case> Breakpoints() =>
        [
            .. from at in new uint[] { 0, 1, 2, 9 }
               from control in new uint[] { 1, 2, 3, 0, 4, 0x00010001 }
               from flags in new uint[] { 0, Resume }
               from cpl in new[] { 0, 3 }
               select new Case("nops") { Setup = "breakpoint on op", Cpl = cpl, Eflags = 2 | flags, Ecx = at, Edx = control, Words = 17 },
            .. from op in new[] { "store", "load" }
               from control in new uint[] { 0x00100004, 0x00300004, 0x00D00004, 0x00F00008, 0x00500004, 0x00F00000 }
               from address in new uint[] { Scratch, Scratch + 1, Scratch + 3, Scratch + 4, Scratch - 1, Scratch - 4 }
               select new Case(op) { Setup = "breakpoint", Cpl = 3, Ebx = address, Aux1 = control, Words = 17, Differs = (address & 3) == 3 ? "SDM vol. 3, 17.2.5: breakpoints are aligned to their length" : null },
            new Case("write dr7") { Setup = "general detect", Words = 17, Differs = "QEMU 7.2 has no general detect" },
        ];

    private static IEnumerable<Case> Tasks() =>
        [
            .. from op in new[] { "jmp far", "call far" }
               from selector in new uint[] { OtherTask, MainTask, OtherTask | 3, FaultTask, SlotA }
               from cpl in new[] { 0, 3 }
               where selector != FaultTask || cpl == 3
               from word in new uint[] { MainTss + 0x20, MainTss + 0x24, MainTss + 0x28, MainTss + 0x38, MainTss + 0x4C, OtherTss, Gdt + MainTask + 4, Gdt + OtherTask + 4 }
               select new Case(op)
               {
                   Cpl = cpl,
                   Eax = selector,
                   Ecx = 0xBAD,
                   A = Descriptors.Gate(5, 3, OtherTask, 0),
                   Aux0 = word,
                   Words = 19,
               },
            .. from cpl in new[] { 0, 3 }
               from word in new uint[] { MainTss + 0x20, OtherTss, Gdt + MainTask + 4, Gdt + OtherTask + 4 }
               select new Case("int 41") { Setup = "gate", Cpl = cpl, A = Descriptors.Gate(5, 3, OtherTask, 0), Aux0 = word, Words = 19 },
            .. from word in new uint[] { 8, 0x1F8, 0x83, DataOf(3), 0 }
               from place in new uint[] { 0x48, 0x4C, 0x50, 0x54, 0x60 }
               select new Case("jmp far") { Setup = "task word", Ebx = OtherTss + place, Edx = word, Eax = OtherTask, Words = 18, Differs = "SDM vol. 3, 7.3: such a fault is the new task's" },
            new Case("jmp far") { Setup = "task word", Ebx = OtherTss + 0x64, Edx = 1, Eax = OtherTask, Words = 18, Differs = "QEMU 7.2 has no T bit" },
            .. from word in new uint[] { OtherTask, SmallTask, 0, 0x1F8, LocalTable, MainTask }
               select new Case("iret nt") { Setup = "task word", Ebx = MainTss, Edx = word, Words = 18 },
            .. from op in new[] { "jmp far", "call far" }
               select new Case(op)
               {
                   Eax = SmallTask,
                   A = Descriptors.Code(0) | ((ulong)Image << 16),
                   B = Descriptors.Data(0) | (0x120000UL << 16), // with ones in the upper half of ESP this is below
                   Words = 18,
                   Differs = "the upper halves of registers are undefined after a switch to a 16-bit TSS",
               },
        ];

    private static IEnumerable<Case> Virtual8086() =>
        from op in new[]
        {
            "8086 pushf", "8086 popf", "8086 segments", "8086 jmp", "8086 call", "8086 memory", "cli", "sti", "hlt", "in al", "int3", "int 41", "ud2", "lar", "sldt",
            "clts", "nops",
        }
        from iopl in new uint[] { 0, 3 }
        from trap in new uint[] { 0, Trap }
        select new Case(op)
        {
            Cpl = 3,
            Eflags = 2 | Virtual | (iopl << 12) | trap,
            Eax = 0x1234,
            Ebx = 0x3202,
            Edx = 0xE0,
            Words = 17,
            Differs = op == "sti" && trap != 0 ? StiTraps : null,
        };
}
