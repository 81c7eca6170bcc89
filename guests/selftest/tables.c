/* Page tables: every way to change them, and every way that has to be refused. */
#include "../src/selftest.h"

#define TEST_VA 0x34000000u             /* nothing else in the 4 MiB from here */
#define FLAGS   (PTE_P | PTE_RW | PTE_A | PTE_D)

static pte_t pte_of(const void *page, uint32_t flags)
{
    return (pte_t)virt_to_mfn(page) << 12 | flags;
}

static int update_va(uint32_t va, pte_t pte)
{
    return hypercall(HC_update_va_mapping, va, pte, UVMF_INVLPG);
}

static int extended(uint32_t command, uint32_t arg1, uint32_t arg2)
{
    struct mmuext_op op = { command, arg1, arg2 };
    return hypercall(HC_mmuext_op, &op, 1, 0, DOMID_SELF);
}

/* A frame of the machine that is not ours. */
static uint64_t foreign(void)
{
    uint64_t mfn = (uint32_t)hypercall(HC_memory_op, XENMEM_maximum_ram_page, 0) - 1;
    return mfn << 12;
}

static void mmu_update(void)
{
    uint32_t *page = page_alloc(), *other = page_alloc(), done = 77;
    volatile uint32_t *seen = (uint32_t *)TEST_VA;
    update_va(TEST_VA, 0);
    map_page(TEST_VA, 0);
    pte_t *entry = walk(TEST_VA, 1), *l2 = walk(TEST_VA, 2);
    uint64_t at = entry_machine(entry);
    page[0] = 1234;
    other[0] = 5678;

    struct mmu_update one = { at, pte_of(page, FLAGS) };
    done = 0;
    CHECK("map", hypercall(HC_mmu_update, &one, 1, &done, DOMID_SELF), 0);
    CHECK("map-done", done, 1);
    CHECK("map-data", *seen, 1234);
    one.val = pte_of(other, FLAGS);
    CHECK("change", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    extended(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);  /* mmu_update leaves flushing to the guest */
    CHECK("change-seen", *seen, 5678);
    one = (struct mmu_update){ at | MMU_PRESERVE_AD, pte_of(page, PTE_P | PTE_RW) };
    uint32_t bits = *entry & (PTE_A | PTE_D);
    CHECK("preserve-ad", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    CHECK("preserve-ad-kept", *entry & (PTE_A | PTE_D), bits);
    one = (struct mmu_update){ at, pte_of(page, PTE_P) };
    CHECK("read-only", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    extended(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    CHECK("accessed-clear", *entry & (PTE_A | PTE_D), 0);
    TRY("movl %0, (%1)", : : "r"(1), "r"(TEST_VA) : "memory");
    CHECK("read-only-fault", fault.vector == 14 && fault.error == 3 && fault.cr2 == TEST_VA, 1);
    CHECK("read-only-reads", *seen, 1234);
    CHECK("accessed-set", *entry & (PTE_A | PTE_D), PTE_A);
    one.val = pte_of(page, PTE_P | PTE_RW);
    hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF);
    extended(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    *seen = 1234;
    CHECK("dirty-set", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
    one.val = 0;
    CHECK("unmap", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    extended(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    TRY("movl (%0), %%eax", : : "r"(TEST_VA) : "eax", "memory");
    CHECK("unmap-fault", fault.vector, 14);

    /* What must not work. After each the entry is still empty. */
    const struct { const char *name; uint64_t ptr, val; } refused[] = {
        { "foreign-frame", at, foreign() | FLAGS },
        { "beyond-memory", at, 0x000FFFFFFFFFF000ull | FLAGS },
        { "l1-writable", at, pte_of(entry, FLAGS) },
        { "l2-writable", at, pte_of(l2, FLAGS) },
        { "l3-writable", at, pte_of((void *)start_info->pt_base, FLAGS) },
        { "global-large", entry_machine(l2 + 1), pte_of(page, FLAGS | PTE_PS) },
        { "l2-to-data", entry_machine(l2 + 1), pte_of(page, FLAGS) },
        { "l2-to-l3", entry_machine(l2 + 1), pte_of((void *)start_info->pt_base, FLAGS) },
        { "l2-hypervisor", entry_machine(walk((uint32_t)m2p, 2)), 0 },
        { "l2-hypervisor-last", entry_machine(walk(0xFFFFF000, 2)), pte_of(entry, PTE_P | PTE_RW | PTE_A) },
        { "l3-to-data", entry_machine((pte_t *)start_info->pt_base + 1), pte_of(page, PTE_P) },
        { "l3-to-itself", entry_machine((pte_t *)start_info->pt_base + 1), pte_of((void *)start_info->pt_base, PTE_P) },
        { "l3-slot-3", entry_machine((pte_t *)start_info->pt_base + 3), 0 },
        { "l3-xen-l2-twice", entry_machine((pte_t *)start_info->pt_base + 1), *((pte_t *)start_info->pt_base + 3) },
        { "foreign-table", foreign(), 0 },
        { "table-beyond-memory", 0x000FFFFFFFFFF000ull, 0 },
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(refused); i++) {
        one = (struct mmu_update){ refused[i].ptr, refused[i].val };
        int result = hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF);
        CHECK(refused[i].name, result < 0, 1);
    }
    CHECK("entry-empty", *entry == 0, 1);
    CHECK("l2-empty", l2[1] == 0, 1);
    one = (struct mmu_update){ at, pte_of(entry, PTE_P | PTE_A) };
    CHECK("l1-read-only", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    CHECK("l1-seen", ((pte_t *)TEST_VA)[(uint32_t)entry >> 3 & 511] == *entry, 1);
    update_va(TEST_VA, 0);

    struct mmu_update batch[4] = {
        { at, pte_of(page, FLAGS) }, { at + 8, pte_of(other, FLAGS) }, { at + 16, foreign() | FLAGS }, { at + 24, pte_of(page, FLAGS) },
    };
    done = 0;
    CHECK("batch", hypercall(HC_mmu_update, batch, 4, &done, DOMID_SELF) < 0, 1);
    CHECK("batch-done", done, 2);
    CHECK("batch-effect", (entry[0] != 0) + (entry[1] != 0) + (entry[2] != 0) + (entry[3] != 0), 2);
    for (int i = 0; i < 2; i++)
        update_va(TEST_VA + i * PAGE_SIZE, 0);
    one = (struct mmu_update){ (uint64_t)virt_to_mfn(page) << 12, 0x1122334455667788ull };
    CHECK("data-page", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    CHECK("data-page-written", page[0] == 0x55667788 && page[1] == 0x11223344, 1);
    uint32_t mfn = virt_to_mfn(page), pfn = m2p[mfn];
    one = (struct mmu_update){ (uint64_t)mfn << 12 | MMU_MACHPHYS, 0x12345 };
    CHECK("machphys", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    CHECK("machphys-seen", *(volatile uint32_t *)&m2p[mfn], 0x12345);
    one.val = pfn;
    hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF);
    CHECK("machphys-back", *(volatile uint32_t *)&m2p[mfn], pfn);
    one = (struct mmu_update){ foreign() | MMU_MACHPHYS, 1 };
    CHECK("machphys-foreign", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF) < 0, 1);
    one.ptr = 0x000FFFFFFFFFF000ull | MMU_MACHPHYS;
    CHECK("machphys-beyond", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF) < 0, 1);
    CHECK("none", hypercall(HC_mmu_update, &one, 0, 0, DOMID_SELF), 0);
    CHECK("wild", hypercall(HC_mmu_update, WILD, 1, 0, DOMID_SELF), -EFAULT);
    CHECK("hypervisor", hypercall(HC_mmu_update, HV, 1, 0, DOMID_SELF), -EFAULT);
    CHECK("no-domain", hypercall(HC_mmu_update, &one, 1, 0, 77), -ESRCH);
    page_free(page);
    page_free(other);
}

static void update_va_mapping(void)
{
    uint32_t *page = page_alloc();
    map_page(TEST_VA, 0);
    page[0] = 42;
    CHECK("map", hypercall(HC_update_va_mapping, TEST_VA, pte_of(page, FLAGS), UVMF_NONE), 0);
    CHECK("data", *(volatile uint32_t *)TEST_VA, 42);
    CHECK("flush-all", hypercall(HC_update_va_mapping, TEST_VA, pte_of(page, FLAGS), UVMF_TLB_FLUSH | 4), 0);
    uint32_t mask[2] = { 1, 0 };
    CHECK("flush-mask", hypercall(HC_update_va_mapping, TEST_VA, pte_of(page, FLAGS), (uint32_t)mask | UVMF_INVLPG), 0);
    CHECK("foreign", hypercall(HC_update_va_mapping, TEST_VA, foreign() | FLAGS, UVMF_INVLPG) < 0, 1);
    CHECK("still-there", *(volatile uint32_t *)TEST_VA, 42);
    CHECK("no-table", hypercall(HC_update_va_mapping, 0x70000000, pte_of(page, FLAGS), UVMF_INVLPG) < 0, 1);
    CHECK("hypervisor", hypercall(HC_update_va_mapping, 0xFC000000, pte_of(page, FLAGS), UVMF_INVLPG) < 0, 1);
    CHECK("m2p", hypercall(HC_update_va_mapping, m2p, pte_of(page, FLAGS), UVMF_INVLPG) < 0, 1);
    CHECK("otherdomain-none", hypercall(HC_update_va_mapping_otherdomain, TEST_VA, pte_of(page, FLAGS), UVMF_INVLPG, 77) < 0, 1);
    CHECK("unmap", hypercall(HC_update_va_mapping, TEST_VA, 0ull, UVMF_INVLPG), 0);
    page_free(page);
}

/* A second L3 that maps what the first does: its own copy of the kernel's L2, as slot 3's may not be shared. */
static void extended_ops(void)
{
    pte_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc(), *data = page_alloc(), *old = (pte_t *)start_info->pt_base;
    uint32_t l1_mfn = virt_to_mfn(l1), l2_mfn = virt_to_mfn(l2), l3_mfn = virt_to_mfn(l3);
    l1[0] = pte_of(data, FLAGS);
    CHECK("pin-writable", extended(MMUEXT_PIN_L1, l1_mfn, 0) < 0, 1);
    set_readonly(l1);
    CHECK("pin-l1", extended(MMUEXT_PIN_L1, l1_mfn, 0), 0);
    CHECK("pin-twice", extended(MMUEXT_PIN_L1, l1_mfn, 0) < 0, 1);
    CHECK("pin-as-l2", extended(MMUEXT_PIN_L2, l1_mfn, 0) < 0, 1);
    CHECK("pinned-not-writable", update_va((uint32_t)l1, pte_of(l1, FLAGS)) < 0, 1);
    CHECK("unpin", extended(MMUEXT_UNPIN, l1_mfn, 0), 0);
    CHECK("unpin-twice", extended(MMUEXT_UNPIN, l1_mfn, 0) < 0, 1);
    set_writable(l1);
    l1[1] = foreign() | FLAGS;
    set_readonly(l1);
    CHECK("pin-foreign-entry", extended(MMUEXT_PIN_L1, l1_mfn, 0) < 0, 1);
    set_writable(l1);
    l1[1] = pte_of(l1, FLAGS);
    set_readonly(l1);
    CHECK("pin-own-writable-entry", extended(MMUEXT_PIN_L1, l1_mfn, 0) < 0, 1);
    set_writable(l1);
    l1[1] = 0;
    set_readonly(l1);
    l2[0] = pte_of(data, PTE_P | PTE_RW | PTE_US);
    set_readonly(l2);
    CHECK("pin-l2-of-data", extended(MMUEXT_PIN_L2, l2_mfn, 0) < 0, 1);
    set_writable(l2);
    l2[0] = pte_of(l1, PTE_P | PTE_RW | PTE_US);
    set_readonly(l2);
    CHECK("pin-l2", extended(MMUEXT_PIN_L2, l2_mfn, 0), 0);
    CHECK("l1-held", update_va((uint32_t)l1, pte_of(l1, FLAGS)) < 0, 1);
    set_readonly(l3);
    CHECK("pin-l3-without-kernel", extended(MMUEXT_PIN_L3, l3_mfn, 0) < 0, 1);
    set_writable(l3);
    l3[3] = old[3];
    set_readonly(l3);
    CHECK("pin-l3-shared-kernel", extended(MMUEXT_PIN_L3, l3_mfn, 0) < 0, 1);
    CHECK("unpin-l2", extended(MMUEXT_UNPIN, l2_mfn, 0), 0);
    set_writable(l2);
    uint32_t guest_entries = ((uint32_t)m2p - VIRT_BASE) >> 21;
    memset(l2, 0, PAGE_SIZE);
    memcpy(l2, mfn_to_virt((uint32_t)((old[3] & PTE_ADDR) >> 12)), guest_entries * 8);
    set_readonly(l2);
    set_writable(l3);
    for (int i = 0; i < 3; i++)
        l3[i] = old[i];
    l3[3] = (pte_t)l2_mfn << 12 | PTE_P;
    set_readonly(l3);
    CHECK("pin-l3", extended(MMUEXT_PIN_L3, l3_mfn, 0), 0);
    CHECK("switch", extended(MMUEXT_NEW_BASEPTR, l3_mfn, 0), 0);
    uint32_t cr3;
    asm volatile("movl %%cr3, %0" : "=r"(cr3));
    CHECK("switch-cr3", cr3 >> 12 | cr3 << 20, l3_mfn);
    CHECK("switch-data", start_info->magic[0] == 'x' && m2p[l3_mfn] == ((uint32_t)l3 - VIRT_BASE) >> 12, 1);
    CHECK("switch-wild", extended(MMUEXT_NEW_BASEPTR, 0xFFFFFFF, 0) < 0, 1);
    CHECK("switch-to-l1", extended(MMUEXT_NEW_BASEPTR, l1_mfn, 0) < 0, 1);
    CHECK("switch-to-l2", extended(MMUEXT_NEW_BASEPTR, l2_mfn, 0) < 0, 1);
    CHECK("switch-foreign", extended(MMUEXT_NEW_BASEPTR, foreign() >> 12, 0) < 0, 1);
    /* A page given to one address space only. */
    struct mmu_update one = { (uint64_t)l2_mfn << 12 | 8 * (guest_entries - 1), pte_of(l1, PTE_P | PTE_RW | PTE_US | PTE_A) };
    CHECK("own-entry", hypercall(HC_mmu_update, &one, 1, 0, DOMID_SELF), 0);
    *(volatile uint32_t *)data = 31415;
    volatile uint32_t *there = (uint32_t *)(VIRT_BASE + ((guest_entries - 1) << 21));
    CHECK("own-entry-data", *there, 31415);
    CHECK("switch-back", extended(MMUEXT_NEW_BASEPTR, virt_to_mfn(old), 0), 0);
    TRY("movl (%0), %%eax", : : "r"(there) : "eax", "memory");
    CHECK("own-entry-gone", fault.vector, 14);
    CHECK("unpin-l3", extended(MMUEXT_UNPIN, l3_mfn, 0), 0);
    set_writable(l3);
    set_writable(l2);
    set_writable(l1);

    uint32_t mask[2] = { 1, 0 };
    CHECK("flush-local", extended(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    CHECK("flush-all", extended(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    CHECK("flush-multi", extended(MMUEXT_TLB_FLUSH_MULTI, 0, (uint32_t)mask), 0);
    CHECK("flush-multi-wild", extended(MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000) < 0, 1);
    CHECK("invlpg-local", extended(MMUEXT_INVLPG_LOCAL, TEST_VA, 0), 0);
    CHECK("invlpg-all", extended(MMUEXT_INVLPG_ALL, TEST_VA, 0), 0);
    CHECK("invlpg-multi", extended(MMUEXT_INVLPG_MULTI, 0xFFFFFFFF, (uint32_t)mask), 0);
    CHECK("invlpg-multi-wild", extended(MMUEXT_INVLPG_MULTI, 0, 0xFC000000) < 0, 1);
    data[5] = 99;
    CHECK("clear-page", extended(MMUEXT_CLEAR_PAGE, virt_to_mfn(data), 0), 0);
    CHECK("cleared", ((volatile pte_t *)data)[5] == 0, 1);
    l1[7] = 123;
    CHECK("copy-page", extended(MMUEXT_COPY_PAGE, virt_to_mfn(data), l1_mfn), 0);
    CHECK("copied", ((volatile pte_t *)data)[7] == 123, 1);
    CHECK("clear-foreign", extended(MMUEXT_CLEAR_PAGE, foreign() >> 12, 0) < 0, 1);
    CHECK("clear-table", extended(MMUEXT_CLEAR_PAGE, virt_to_mfn(old), 0) < 0, 1);
    CHECK("copy-from-beyond", extended(MMUEXT_COPY_PAGE, virt_to_mfn(data), 0xFFFFFFF) < 0, 1);
    CHECK("copy-to-table", extended(MMUEXT_COPY_PAGE, virt_to_mfn(old), virt_to_mfn(data)) < 0, 1);
    CHECK("pin-foreign", extended(MMUEXT_PIN_L1, foreign() >> 12, 0) < 0, 1);
    CHECK("unpin-foreign", extended(MMUEXT_UNPIN, foreign() >> 12, 0) < 0, 1);
    CHECK("unpin-beyond", extended(MMUEXT_UNPIN, 0xFFFFFFF, 0) < 0, 1);
    CHECK("unknown", extended(99, 0, 0), -ENOSYS);
    CHECK("wild", hypercall(HC_mmuext_op, WILD, 1, 0, DOMID_SELF), -EFAULT);
    CHECK("hypervisor", hypercall(HC_mmuext_op, HV, 1, 0, DOMID_SELF), -EFAULT);
    CHECK("no-domain", hypercall(HC_mmuext_op, mask, 1, 0, 77), -ESRCH);
    struct mmuext_op batch[3] = { { MMUEXT_TLB_FLUSH_LOCAL, 0, 0 }, { 99, 0, 0 }, { MMUEXT_TLB_FLUSH_LOCAL, 0, 0 } };
    uint32_t done = 0;
    CHECK("batch", hypercall(HC_mmuext_op, batch, 3, &done, DOMID_SELF), -ENOSYS);
    CHECK("batch-done", done, 1);
    page_free(l1);
    page_free(l2);
    page_free(l3);
    page_free(data);
}

static void flush(void)
{
    extended(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

/* Plain writes to a page table that is mapped read-only: refused by the processor, carried out by the hypervisor. */
static void emulated_writes(void)
{
    uint32_t *page = page_alloc(), *other = page_alloc();
    volatile uint32_t *seen = (uint32_t *)TEST_VA;
    page[0] = 111;
    other[0] = 222;
    map_page(TEST_VA, 0);
    volatile uint32_t *half = (volatile uint32_t *)walk(TEST_VA, 1);
    volatile pte_t *entry = (volatile pte_t *)half;
    pte_t first = pte_of(page, FLAGS), second = pte_of(other, FLAGS);

    TRY("movl %1, 4(%0)\n\tmovl %2, (%0)", : : "r"(half), "r"((uint32_t)(first >> 32)), "r"((uint32_t)first) : "memory");
    CHECK("mov", fault.vector, -1);
    CHECK("mov-data", *seen, 111);
    TRY("movl $0, (%0)", : : "r"(half) : "memory");
    CHECK("mov-clear", fault.vector, -1);
    flush();
    TRY("movl (%0), %%eax", : : "r"(TEST_VA) : "eax", "memory");
    CHECK("mov-clear-fault", fault.vector, 14);
    uint32_t low = half[0], high = half[1];
    uint8_t equal = 0;
    TRY("cmpxchg8b (%3)\n\tsete %2", : "+a"(low), "+d"(high), "=q"(equal) : "r"(half), "b"((uint32_t)second), "c"((uint32_t)(second >> 32)) : "memory", "cc");
    CHECK("cmpxchg8b", fault.vector * 10 + equal, -9);
    flush();
    CHECK("cmpxchg8b-data", *seen, 222);
    low = high = 0x55;
    TRY("lock; cmpxchg8b (%3)\n\tsete %2", : "+a"(low), "+d"(high), "=q"(equal) : "r"(half), "b"(0), "c"(0) : "memory", "cc");
    CHECK("cmpxchg8b-fails", fault.vector * 10 + equal + (low == half[0] && high == half[1]), -9);
    TRY("lock; andl $~2, (%0)", : : "r"(half) : "memory", "cc");
    CHECK("lock-and", fault.vector, -1);
    flush();
    TRY("movl $1, (%0)", : : "r"(TEST_VA) : "memory");
    CHECK("lock-and-read-only", fault.vector == 14 && fault.error == 3, 1);
    TRY("orl $2, (%0)", : : "r"(half) : "memory", "cc");
    CHECK("or", fault.vector, -1);
    flush();
    TRY("movl $333, (%0)", : : "r"(TEST_VA) : "memory");
    CHECK("or-writable", fault.vector == -1 && other[0] == 333, 1);
    TRY("lock; btrl $1, (%0)", : : "r"(half) : "memory", "cc");
    CHECK("btr", *entry & PTE_RW, 0);
    TRY("lock; orb $2, (%0)", : : "r"(half) : "memory", "cc");
    CHECK("or-byte", *entry & PTE_RW, PTE_RW);
    low = (uint32_t)first;
    TRY("xchgl %0, (%1)", : "+r"(low) : "r"(half) : "memory");
    CHECK("xchg", fault.vector, -1);
    CHECK("xchg-old", low & ~(PTE_A | PTE_D), (uint32_t)second & ~(PTE_A | PTE_D));
    flush();
    CHECK("xchg-data", *seen, 111);
    low = half[0];
    TRY("lock; cmpxchgl %2, (%1)", : "+a"(low) : "r"(half), "r"((uint32_t)second) : "memory", "cc");
    flush();
    CHECK("cmpxchg-data", *seen, 333);
    TRY("lock; addl $0, (%0)", : : "r"(half) : "memory", "cc");
    CHECK("add", fault.vector, -1);
    pte_t two[2] = { first, second };
    void *from = two, *to = (void *)half;
    uint32_t n = 4;
    TRY("rep movsl", : "+S"(from), "+D"(to), "+c"(n) : : "memory");
    CHECK("movs", fault.vector * 10 + (n == 0 && from == two + 2 && to == (void *)(half + 4)), -9);
    flush();
    CHECK("movs-data", *seen * 1000 + seen[1024], 111333);
    to = (void *)half;
    n = 4;
    TRY("rep stosl", : "+D"(to), "+c"(n) : "a"(0) : "memory");
    CHECK("stos", fault.vector * 10 + (n == 0 && entry[0] == 0 && entry[1] == 0), -9);
    flush();
    TRY("movl (%0), %%eax", : : "r"(TEST_VA + PAGE_SIZE) : "eax", "memory");
    CHECK("stos-unmapped", fault.vector, 14);

    /* Refused: the guest gets the fault that the processor reported. */
    pte_t bad = foreign() | FLAGS;
    half[1] = (uint32_t)(bad >> 32);
    TRY("movl %1, (%0)", : : "r"(half), "r"((uint32_t)bad) : "memory");
    CHECK("foreign", fault.vector == 14 && fault.error == 3 && fault.cr2 == (uint32_t)half, 1);
    bad = pte_of((void *)half, FLAGS);
    half[1] = (uint32_t)(bad >> 32);
    TRY("movl %1, (%0)", : : "r"(half), "r"((uint32_t)bad) : "memory");
    CHECK("own-table-writable", fault.vector == 14 && fault.error == 3, 1);
    TRY("movl %1, (%0)", : : "r"(half), "r"((uint32_t)bad & ~PTE_RW) : "memory");
    CHECK("own-table-read-only", fault.vector, -1);
    half[0] = 0;
    /* Tables of the upper levels may be emulated or not, but never to something that is refused by hypercall. */
    uint32_t *l3 = (uint32_t *)start_info->pt_base;
    TRY("movl $0, (%0)", : : "r"(l3 + 6) : "memory");
    CHECK("l3-kernel-slot", fault.vector, 14);
    pte_t *l2 = walk(TEST_VA, 2);
    TRY("movl %1, (%0)", : : "r"(l2 + 1), "r"((uint32_t)pte_of(page, FLAGS)) : "memory");
    CHECK("l2-to-data", fault.vector, 14);
    CHECK("empty", *entry & PTE_P, 0);
    page_free(page);
    page_free(other);
}

const struct test table_tests[] = {
    { "mmu_update", mmu_update }, { "update_va_mapping", update_va_mapping }, { "mmuext_op", extended_ops },
    { "emulated_writes", emulated_writes }, { 0, 0 },
};
