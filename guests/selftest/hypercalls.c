/* The small hypercalls, descriptors, callbacks, multicall, and privileged instructions. */
#include "../src/selftest.h"

static void version(void)
{
    char text[1024];
    struct feature_info features = { 0, 0 };
    uint32_t start = 0;
    CHECK("version", hypercall(HC_xen_version, XENVER_version, 0) >> 16 >= 3, 1);
    CHECK("extraversion", hypercall(HC_xen_version, XENVER_extraversion, text), 0);
    CHECK("extraversion-ends", strlen(text) < 16, 1);
    CHECK("compile-info", hypercall(HC_xen_version, XENVER_compile_info, text), 0);
    CHECK("changeset", hypercall(HC_xen_version, XENVER_changeset, text), 0);
    CHECK("capabilities", hypercall(HC_xen_version, XENVER_capabilities, text), 0);
    int found = 0;
    for (char *p = text; *p; p++)
        found |= !strncmp(p, "xen-3.0-x86_32p", 15);
    CHECK("capabilities-x86_32p", found, 1);
    CHECK("parameters", hypercall(HC_xen_version, XENVER_platform_parameters, &start), 0);
    CHECK("parameters-start", start, (long)m2p);
    CHECK("features", hypercall(HC_xen_version, XENVER_get_features, &features), 0);
    CHECK("features-pae_pgdir", features.submap >> 4 & 1, 1);
    CHECK("features-preserve_ad", features.submap >> 5 & 1, 1);
    CHECK("features-no-autotranslate", features.submap >> 2 & 1, 0);
    features.index = 1;
    CHECK("features-beyond", hypercall(HC_xen_version, XENVER_get_features, &features), -EINVAL);
    CHECK("pagesize", hypercall(HC_xen_version, XENVER_pagesize, 0), PAGE_SIZE);
    CHECK("guest-handle", hypercall(HC_xen_version, XENVER_guest_handle, text), 0);
    CHECK("commandline", hypercall(HC_xen_version, XENVER_commandline, text), 0);
    CHECK("unknown", hypercall(HC_xen_version, 99, text), -ENOSYS);
    CHECK("wild", hypercall(HC_xen_version, XENVER_extraversion, WILD), -EFAULT);
    CHECK("hypervisor", hypercall(HC_xen_version, XENVER_capabilities, HV), -EFAULT);
    CHECK("m2p", hypercall(HC_xen_version, XENVER_capabilities, m2p), -EFAULT);
    CHECK("last", hypercall(HC_xen_version, XENVER_get_features, LAST), -EFAULT);
    CHECK("read-only", hypercall(HC_xen_version, XENVER_extraversion, (void *)start_info->pt_base), -EFAULT);
}

static void unknown(void)
{
    CHECK("unused-11", hypercall(11, 1, 2, 3, 4, 5, 6), -ENOSYS);
    CHECK("arch-7", hypercall(55, 0), -ENOSYS);
    CHECK("page-63", hypercall(63, 0), -ENOSYS);
    CHECK("int-64", hypercall_int82(64, 0), -ENOSYS);
    CHECK("int-1000000", hypercall_int82(1000000, 0), -ENOSYS);
    CHECK("int-minus-1", hypercall_int82(-1, 0), -ENOSYS);
    CHECK("int-known", hypercall_int82(HC_xen_version, XENVER_pagesize, 0), PAGE_SIZE);
    uint32_t b = 1, c = 2, d = 3, s = 4, di = 5;
    int result = HC_xen_version;
    asm volatile("int $0x82" : "+a"(result), "+b"(b), "+c"(c), "+d"(d), "+S"(s), "+D"(di) : : "memory");
    CHECK("arguments-kept", d * 100 + s * 10 + di, 345);
}

static void console(void)
{
    int r = hypercall(HC_console_io, 0, 0, "");
    CHECK("write-nothing", r == 0 || r == -EPERM, 1);
    r = hypercall(HC_console_io, 0, 10, WILD);
    CHECK("wild", r == -EFAULT || r == -EPERM, 1);
    r = hypercall(HC_console_io, 0, 10, HV);
    CHECK("hypervisor", r == -EFAULT || r == -EPERM, 1);
    r = hypercall(HC_console_io, 0, -5, WILD);
    CHECK("negative", r < 0, 1);
    CHECK("unknown", hypercall(HC_console_io, 9, 0, 0) < 0, 1);
}

static void assist(void)
{
    CHECK("enable", hypercall(HC_vm_assist, 0, 2), 0);
    CHECK("disable", hypercall(HC_vm_assist, 1, 2), 0);
    CHECK("enable-again", hypercall(HC_vm_assist, 0, 2), 0);
    CHECK("runstate-flag", hypercall(HC_vm_assist, 0, 5), 0);
    hypercall(HC_vm_assist, 1, 5);
    CHECK("bad-type", hypercall(HC_vm_assist, 0, 31), -EINVAL);
    CHECK("huge-type", hypercall(HC_vm_assist, 0, 0x80000000), -EINVAL);
    CHECK("bad-command", hypercall(HC_vm_assist, 9, 2), -ENOSYS);
}

static int in8(uint32_t port)
{
    uint32_t value = 0;
    TRY("inb %%dx, %%al", : "+a"(value) : "d"(port) : "memory");
    return fault.vector >= 0 ? -fault.vector : (int)value;
}

static int counted;

static int count_flags(struct regs *regs)
{
    counted = regs->eflags;
    return 0;
}

/* Ports that nobody owns: all ones. */
static void ports(void)
{
    uint32_t iopl = 1, value = 0;
    uint8_t buffer[8] = { 0 };
    hypercall(HC_physdev_op, 6, &iopl);
    CHECK("in-8", in8(0x2F8), 0xFF);
    TRY("inw %%dx, %%ax", : "+a"(value) : "d"(0x2F8) : "memory");
    CHECK("in-16", fault.vector * 0x10000 + (int)value, -0x10000 + 0xFFFF);
    TRY("inl %%dx, %%eax", : "+a"(value) : "d"(0x1F0) : "memory");
    CHECK("in-32", value, -1);
    TRY("inb $0x92, %%al", : "+a"(value) : : "memory");
    CHECK("in-immediate", value & 0xFF, 0xFF);
    TRY("outb %%al, %%dx\n\toutw %%ax, %%dx\n\toutl %%eax, %%dx\n\toutb %%al, $0x80", : : "a"(0), "d"(0x2F8));
    CHECK("out", fault.vector, -1);
    void *to = buffer;
    uint32_t n = 6;
    TRY("rep insb", : "+D"(to), "+c"(n) : "d"(0x2F8) : "memory");
    CHECK("ins", fault.vector * 1000 + buffer[0] + buffer[5] + buffer[6] + (to == buffer + 6) + n, -1000 + 255 * 2 + 1);
    const void *from = buffer;
    n = 4;
    TRY("rep outsb", : "+S"(from), "+c"(n) : "d"(0x2F8) : "memory");
    CHECK("outs", fault.vector * 10 + (from == buffer + 4) + n, -9);
    to = WILD;
    n = 2;
    TRY("rep insb", : "+D"(to), "+c"(n) : "d"(0x2F8) : "memory");
    CHECK("ins-absent", fault.vector, 14);
    iopl = 0;
    hypercall(HC_physdev_op, 6, &iopl);
}

static void physdev(void)
{
    uint32_t iopl = 1, flags;
    CHECK("in-without-iopl", in8(0x2F8), -13);
    TRY("cli");
    CHECK("cli-without-iopl", fault.vector, 13);
    TRY("sti");
    CHECK("sti-without-iopl", fault.vector, 13);
    CHECK("set-iopl", hypercall(HC_physdev_op, 6, &iopl), 0);
    TRY("cli");
    CHECK("cli", fault.vector, -1);
    TRY("sti");
    CHECK("sti", fault.vector, -1);
    trap_hook = count_flags;
    TRY("int3");
    trap_hook = 0;
    CHECK("iopl-hidden", counted >> 12 & 3, 0);
    hypercall(HC_vm_assist, 0, 4);              /* architectural_iopl: frames show it, and a return sets it */
    trap_hook = count_flags;
    TRY("int3");
    trap_hook = 0;
    CHECK("iopl-shown", counted >> 12 & 3, 1);
    asm volatile("pushl $0x3202\n\tpushl %%cs\n\tpushl $1f\n\tjmp hypercall_page + 23 * 32\n1:" : : : "memory", "cc");
    trap_hook = count_flags;
    TRY("int3");
    trap_hook = 0;
    CHECK("iopl-returned", counted >> 12 & 3, 3);
    hypercall(HC_vm_assist, 1, 4);
    iopl = 4;
    CHECK("iopl-4", hypercall(HC_physdev_op, 6, &iopl), -EINVAL);
    iopl = 0;
    CHECK("iopl-0", hypercall(HC_physdev_op, 6, &iopl), 0);
    CHECK("in-after", in8(0x2F8), -13);
    CHECK("unknown", hypercall(HC_physdev_op, 99, &iopl), -ENOSYS);
    CHECK("wild", hypercall(HC_physdev_op, 6, WILD), -EFAULT);
    asm volatile("pushf\n\tpopl %0" : "=r"(flags));
    CHECK("iopl-real", flags >> 12 & 3, 0);
    if (!(start_info->flags & SIF_INITDOMAIN))
        ports();                                /* the first domain owns them */
}

static void trap_table(void)
{
    static const struct trap_info one[2] = { { 0x90, 1, KERNEL_CS, 0x1000 }, { 0, 0, 0, 0 } };
    CHECK("one", hypercall(HC_set_trap_table, one), 0);
    CHECK("wild", hypercall(HC_set_trap_table, WILD), -EFAULT);
    CHECK("hypervisor", hypercall(HC_set_trap_table, HV), -EFAULT);
    CHECK("last", hypercall(HC_set_trap_table, LAST), -EFAULT);
    static struct trap_info bad[2] = { { 0x91, 0, 0x1238, 0x1000 }, { 0, 0, 0, 0 } };
    CHECK("odd-selector", hypercall(HC_set_trap_table, bad), 0);
    traps_init();
    TRY("int3");
    CHECK("still-there", fault.vector, 3);
}

#define DATA_4K      0x0040B20000000FFFull      /* base 0, limit 0xFFF, DPL 1, writable */
#define DATA_FLAT    0x00CFB2000000FFFFull
#define CODE_FLAT    0x00CFBA000000FFFFull

static uint32_t access_rights(uint32_t selector)
{
    uint32_t rights = 0;
    asm volatile("lar %1, %0\n\tjz 1f\n\txorl %0, %0\n1:" : "=&r"(rights) : "r"(selector) : "cc");
    return rights >> 8 & 0xFF;
}

static int load_fs(uint32_t selector)
{
    TRY("movw %w0, %%fs", : : "r"(selector));
    int vector = fault.vector;
    asm volatile("movw %w0, %%fs" : : "r"(0));
    return vector;
}

static void descriptors(void)
{
    uint64_t *table = page_alloc();
    uint32_t frame = virt_to_mfn(table), bad = 0xFFFFFF;
    uint64_t at = (uint64_t)frame << 12;
    uint32_t value = 0;
    table[1] = DATA_4K;
    table[2] = CODE_FLAT;
    table[4] = DATA_FLAT & ~(3ull << 45);               /* DPL 0 */
    CHECK("writable-gdt", hypercall(HC_set_gdt, &frame, 512) < 0, 1);
    set_readonly(table);
    CHECK("set-gdt", hypercall(HC_set_gdt, &frame, 512), 0);
    CHECK("writable-again", hypercall(HC_update_va_mapping, table, at | PTE_P | PTE_RW, UVMF_INVLPG) < 0, 1);
    CHECK("load", load_fs(8 | 1), -1);
    CHECK("dpl-forced", access_rights(4 * 8) >> 5 & 3, 1);
    CHECK("load-null", load_fs(3 * 8), 13);
    TRY("movw %w1, %%fs\n\tmovl %%fs:0xFFC, %0", : "=r"(value) : "r"(9) : "memory");
    CHECK("inside-limit", fault.vector, 14);            /* page 0 is absent */
    TRY("movw %w1, %%fs\n\tmovl %%fs:0xFFD, %0", : "=r"(value) : "r"(9) : "memory");
    CHECK("beyond-limit", fault.vector, 13);
    asm volatile("movw %w0, %%fs" : : "r"(0));
    CHECK("update", hypercall(HC_update_descriptor, at + 8, DATA_FLAT), 0);
    CHECK("updated", table[1] == DATA_FLAT, 1);
    TRY("movw %w1, %%fs\n\tmovl %%fs:(%2), %0", : "=&r"(value) : "r"(9), "r"(table + 1) : "memory");
    CHECK("new-limit", value, 0xFFFF);
    asm volatile("movw %w0, %%fs" : : "r"(0));
    CHECK("own-code", hypercall(HC_update_descriptor, at + 16, CODE_FLAT), 0);
    TRY("lcall $0x11, $1f\n\tjmp 2f\n1:\tmovl %%cs, %0\n\tlret\n2:", : "=r"(value) : : "memory");
    CHECK("far-call", value, 0x11);
    CHECK("update-absent", hypercall(HC_update_descriptor, at + 24, DATA_FLAT & ~(1ull << 47)), 0);
    CHECK("load-absent", load_fs(3 * 8 | 1), 11);
    CHECK("tss", hypercall(HC_update_descriptor, at + 24, 0x0000890000000067ull), -EINVAL);
    CHECK("ldt", hypercall(HC_update_descriptor, at + 24, 0x0000820000000067ull), -EINVAL);
    CHECK("task-gate", hypercall(HC_update_descriptor, at + 24, 0x0000850000080000ull), -EINVAL);
    CHECK("interrupt-gate", hypercall(HC_update_descriptor, at + 24, 0x00008E0000080000ull), -EINVAL);
    CHECK("trap-gate", hypercall(HC_update_descriptor, at + 24, 0x00008F0000080000ull), -EINVAL);
    CHECK("unaligned", hypercall(HC_update_descriptor, at + 20, DATA_FLAT), -EINVAL);
    CHECK("foreign", hypercall(HC_update_descriptor, (uint64_t)bad << 12, DATA_FLAT), -EINVAL);
    CHECK("page-table", hypercall(HC_update_descriptor, (uint64_t)virt_to_mfn((void *)start_info->pt_base) << 12, DATA_FLAT), -EINVAL);
    CHECK("entries", hypercall(HC_set_gdt, &frame, 7169), -EINVAL);
    CHECK("entries-huge", hypercall(HC_set_gdt, &frame, -1), -EINVAL);
    CHECK("gdt-foreign", hypercall(HC_set_gdt, &bad, 512) < 0, 1);
    CHECK("gdt-wild", hypercall(HC_set_gdt, WILD, 512), -EFAULT);
    CHECK("still-set", load_fs(8 | 1), -1);

    struct mmuext_op op = { MMUEXT_SET_LDT, (uint32_t)table, 512 };
    CHECK("ldt-set", hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK("ldt-load", load_fs(8 | 4 | 1), -1);
    CHECK("ldt-beyond", load_fs(512 * 8 | 4 | 1), 13);
    op = (struct mmuext_op){ MMUEXT_SET_LDT, 0x1000, 16 };
    CHECK("ldt-absent-page", hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK("ldt-absent-load", load_fs(8 | 4 | 1), 14);
    CHECK("ldt-absent-cr2", fault.cr2, 0x1008);
    op = (struct mmuext_op){ MMUEXT_SET_LDT, (uint32_t)table + 8, 16 };
    CHECK("ldt-unaligned", hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    op = (struct mmuext_op){ MMUEXT_SET_LDT, (uint32_t)table, 8193 };
    CHECK("ldt-too-long", hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF), -EINVAL);
    op = (struct mmuext_op){ MMUEXT_SET_LDT, 0xFC000000, 512 };
    hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF);
    CHECK("ldt-hypervisor-load", load_fs(8 | 4 | 1) > 0, 1);
    op = (struct mmuext_op){ MMUEXT_SET_LDT, 0, 0 };
    CHECK("ldt-none", hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF), 0);
    CHECK("ldt-none-load", load_fs(8 | 4 | 1), 13);
    CHECK("gdt-none", hypercall(HC_set_gdt, &frame, 0), 0);
    CHECK("gdt-none-load", load_fs(8 | 1), 13);
    set_writable(table);
    page_free(table);
}

static void callbacks(void)
{
    struct callback_register event = { 0, 0, KERNEL_CS, (uint32_t)upcall_entry };
    struct callback_register failsafe = { 1, 1, KERNEL_CS, (uint32_t)failsafe_entry };
    CHECK("event", hypercall(HC_callback_op, 0, &event), 0);
    CHECK("failsafe", hypercall(HC_callback_op, 0, &failsafe), 0);
    event.type = 99;
    CHECK("unknown-type", hypercall(HC_callback_op, 0, &event), -ENOSYS);
    uint16_t remove[2] = { 0, 0 };
    CHECK("unregister-event", hypercall(HC_callback_op, 1, remove), -EINVAL);
    remove[0] = 4;
    CHECK("unregister-nmi", hypercall(HC_callback_op, 1, remove), 0);
    remove[0] = 99;
    CHECK("unregister-unknown", hypercall(HC_callback_op, 1, remove), -ENOSYS);
    CHECK("unknown", hypercall(HC_callback_op, 9, remove), -EINVAL);
    CHECK("wild", hypercall(HC_callback_op, 0, WILD), -EFAULT);
    CHECK("last", hypercall(HC_callback_op, 0, LAST), -EFAULT);
    CHECK("set-callbacks", hypercall(HC_set_callbacks, KERNEL_CS, upcall_entry, KERNEL_CS, failsafe_entry), 0);
    CHECK("stack-switch", hypercall(HC_stack_switch, KERNEL_DS, trap_stack_top), 0);
    CHECK("stack-switch-rpl0", hypercall(HC_stack_switch, KERNEL_DS & ~3, trap_stack_top), 0);
    traps_init();
}

static void fpu(void)
{
    uint32_t value = 0, cr0;
    CHECK("set", hypercall(HC_fpu_taskswitch, 1), 0);
    asm volatile("movl %%cr0, %0" : "=r"(cr0));
    CHECK("cr0-ts", cr0 >> 3 & 1, 1);
    TRY("fninit");
    CHECK("not-available", fault.vector, 7);
    TRY("fninit");
    CHECK("cleared-by-delivery", fault.vector, -1);
    hypercall(HC_fpu_taskswitch, 1);
    CHECK("clear", hypercall(HC_fpu_taskswitch, 0), 0);
    TRY("fninit");
    CHECK("available", fault.vector, -1);
    hypercall(HC_fpu_taskswitch, 1);
    TRY("clts\n\tfninit");
    CHECK("clts", fault.vector, -1);
    TRY("movl %%cr0, %0\n\torl $8, %0\n\tmovl %0, %%cr0\n\tfninit", : "+r"(cr0));
    CHECK("mov-cr0", fault.vector, 7);
    asm volatile("fld1\n\tfadd %%st(0), %%st\n\tfistpl %0" : "=m"(value));
    CHECK("arithmetic", value, 2);
}

static void debug_registers(void)
{
    uint32_t value = 0;
    CHECK("set", hypercall(HC_set_debugreg, 0, 0xC0100000), 0);
    CHECK("get", hypercall(HC_get_debugreg, 0), 0xC0100000);
    TRY("movl %%dr0, %0", : "=r"(value));
    CHECK("read", value, 0xC0100000);
    TRY("movl %0, %%dr1\n\tmovl %%dr1, %1", : : "r"(0x1234), "r"(value));
    CHECK("write", hypercall(HC_get_debugreg, 1), 0x1234);
    CHECK("hypervisor", hypercall(HC_set_debugreg, 0, 0xFFFFF000), 0 - (m2p == (uint32_t *)0xF5800000 && !(start_info->flags & 2) ? EPERM : 0));
    CHECK("beyond", hypercall(HC_set_debugreg, 8, 0), -ENODEV);
    CHECK("get-beyond", hypercall(HC_get_debugreg, 8), -ENODEV);
    CHECK("general-detect", hypercall(HC_set_debugreg, 7, 0x2000), -EPERM);
    CHECK("dr7", hypercall(HC_set_debugreg, 7, 0), 0);
    CHECK("dr7-fixed", hypercall(HC_get_debugreg, 7), 0x400);
    CHECK("dr6", hypercall(HC_set_debugreg, 6, 0), 0);
    CHECK("dr6-fixed", hypercall(HC_get_debugreg, 6), 0xFFFF0FF0);
    hypercall(HC_set_debugreg, 0, 0);
    hypercall(HC_set_debugreg, 1, 0);
}

static void privileged(void)
{
    uint32_t a = 0, b, c, d;
    uint64_t first, second;
    TRY("movl %%cr0, %0", : "=r"(a));
    CHECK("cr0", a & 0x80000001, 0x80000001);
    TRY("movl %%cr3, %0", : "=r"(a));
    CHECK("cr3", (a >> 12 | a << 20), virt_to_mfn((void *)start_info->pt_base));
    TRY("movl %0, %%cr3", : : "r"(a) : "memory");
    CHECK("cr3-write", fault.vector, -1);
    TRY("movl %0, %%cr3", : : "r"(0xFFFFF000) : "memory");
    CHECK("cr3-wild", fault.vector, 13);
    TRY("movl %%cr4, %0", : "=r"(a));
    CHECK("cr4-pae", a >> 5 & 1, 1);
    TRY("movl %0, %%cr4", : : "r"(a) : "memory");
    CHECK("cr4-write", fault.vector, -1);
    TRY("movl (0x4321), %%eax", : : : "eax", "memory");
    TRY("movl %%cr2, %0", : "=r"(a));
    CHECK("cr2", a, 0x4321);
    TRY("movl %%cr0, %0\n\tandl $0x7fffffff, %0\n\tmovl %0, %%cr0", : "=r"(a));
    CHECK("cr0-without-paging", fault.vector, 13);
    TRY("rdmsr", : "=a"(a), "=d"(d) : "c"(0xDEADBEEF));
    CHECK("rdmsr-unknown", fault.vector, 13);
    TRY("wrmsr", : : "a"(0), "d"(0), "c"(0xDEADBEEF));
    CHECK("wrmsr-unknown", fault.vector, 13);
    TRY("wbinvd", : : : "memory");
    CHECK("wbinvd", fault.vector, -1);
    static uint8_t descriptor[8];
    TRY("lgdt %0", : : "m"(descriptor));
    CHECK("lgdt", fault.vector, 13);
    TRY("lidt %0", : : "m"(descriptor));
    CHECK("lidt", fault.vector, 13);
    TRY("ltr %w0", : : "r"(8));
    CHECK("ltr", fault.vector, 13);
    TRY("invlpg (%0)", : : "r"(0x1000) : "memory");
    CHECK("invlpg", fault.vector, 13);
    TRY("hlt");
    CHECK("hlt", fault.vector, 13);
    TRY(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n\tcpuid", : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x40000000), "c"(0));
    CHECK("cpuid-emulated", fault.vector, -1);
    CHECK("cpuid-signature", b == 0x566E6558 && c == 0x65584D4D && d == 0x4D4D566E, 1);
    CHECK("cpuid-leaves", a >= 0x40000002 && a < 0x40000100, 1);
    TRY(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n\tcpuid", : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x40000001), "c"(0));
    CHECK("cpuid-version", a, hypercall(HC_xen_version, XENVER_version, 0));
    TRY(".byte 0x0f, 0x0b, 0x78, 0x65, 0x6e\n\tcpuid", : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
    CHECK("cpuid-pae-hidden-or-not", d & 1, 1);
    TRY("cpuid", : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
    CHECK("cpuid-native", fault.vector == -1 && a >= 1, 1);
    asm volatile("rdtsc" : "=A"(first));
    uint32_t backwards = 0;
    for (int i = 0; i < 1000; i++) {
        asm volatile("rdtsc" : "=A"(second));
        backwards += second < first;
        first = second;
    }
    CHECK("rdtsc", backwards, 0);
}

static void multicall(void)
{
    struct multicall_entry calls[5] = {
        { HC_xen_version, 77, { XENVER_pagesize, 0 } },
        { 55, 77, { 0 } },
        { 1000000, 77, { 0 } },
        { HC_multicall, 77, { (uint32_t)calls, 1 } },
        { HC_vm_assist, 77, { 0, 2 } },
    };
    CHECK("call", hypercall(HC_multicall, calls, 5), 0);
    CHECK("first", calls[0].result, PAGE_SIZE);
    CHECK("unknown", calls[1].result, -ENOSYS);
    CHECK("huge-number", calls[2].result, -ENOSYS);
    CHECK("nested", calls[3].result, -EINVAL);
    CHECK("last", calls[4].result, 0);
    CHECK("none", hypercall(HC_multicall, calls, 0), 0);
    CHECK("wild", hypercall(HC_multicall, WILD, 1), -EFAULT);
    CHECK("hypervisor", hypercall(HC_multicall, HV, 1), -EFAULT);
    /* The second entry is in an absent page: the first has been carried out. */
    void *page = page_alloc();
    uint32_t va = 0x30400000;
    map_page(va, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_RW | PTE_A | PTE_D);
    struct multicall_entry *edge = (struct multicall_entry *)(va + PAGE_SIZE) - 1;
    *edge = (struct multicall_entry){ HC_xen_version, 77, { XENVER_pagesize, 0 } };
    CHECK("across", hypercall(HC_multicall, edge, 2), -EFAULT);
    CHECK("across-first", edge->result, PAGE_SIZE);
    CHECK("too-many", hypercall(HC_multicall, edge, 0x10000000), -EFAULT);
    hypercall(HC_update_va_mapping, va, 0ull, UVMF_INVLPG);
    page_free(page);
}

const struct test hypercall_tests[] = {
    { "xen_version", version }, { "unknown", unknown }, { "console_io", console }, { "vm_assist", assist },
    { "physdev_op", physdev }, { "set_trap_table", trap_table }, { "descriptors", descriptors },
    { "callbacks", callbacks }, { "fpu_taskswitch", fpu }, { "debugreg", debug_registers },
    { "privileged", privileged }, { "multicall", multicall }, { 0, 0 },
};
