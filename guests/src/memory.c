/*
 * Pseudo-physical memory: all of it is mapped at VIRT_BASE + its address. Page tables are found through the
 * machine-to-phys table, and changed by hypercalls only; a page that becomes a table is made read-only first.
 */
#include "kernel.h"

#define LOWMEM_LIMIT 0x30000000u        /* enough below HYPERVISOR_START for what else is mapped */

struct start_info *start_info;
struct shared_info *shared;
volatile struct vcpu_info *vcpu;
uint32_t *p2m;
const uint32_t *m2p = (const uint32_t *)HYPERVISOR_START;
static void *free_list;
static uint32_t first_pfn, next_pfn, end_pfn, mapped_pfn, freed;

static void *pfn_to_virt(uint32_t pfn)
{
    return (void *)(VIRT_BASE + (pfn << 12));
}

uint32_t virt_to_mfn(const void *va)
{
    return p2m[((uint32_t)va - VIRT_BASE) >> 12];
}

void *mfn_to_virt(uint32_t mfn)
{
    return pfn_to_virt(m2p[mfn]);
}

static pte_t *table_of(pte_t entry)
{
    return entry & PTE_P ? mfn_to_virt((uint32_t)((entry & PTE_ADDR) >> 12)) : 0;
}

pte_t *walk(uint32_t va, int level)
{
    pte_t *l3 = (pte_t *)start_info->pt_base + (va >> 30);
    if (level == 3)
        return l3;
    pte_t *l2 = table_of(*l3);
    if (!l2)
        return 0;
    l2 += va >> 21 & 511;
    if (level == 2)
        return l2;
    pte_t *l1 = table_of(*l2);
    return l1 ? l1 + (va >> 12 & 511) : 0;
}

uint64_t entry_machine(const pte_t *entry)
{
    return (uint64_t)virt_to_mfn(entry) << 12 | ((uint32_t)entry & 4095);
}

int set_entry(pte_t *entry, pte_t value)
{
    struct mmu_update update = { entry_machine(entry) | MMU_NORMAL, value };
    return hypercall(HC_mmu_update, &update, 1, 0, DOMID_SELF);
}

static int remap(void *page, uint32_t flags)
{
    return hypercall(HC_update_va_mapping, page, (pte_t)virt_to_mfn(page) << 12 | flags, UVMF_INVLPG);
}

void set_readonly(void *page)
{
    int error = remap(page, PTE_P | PTE_A);
    if (error)
        panic("a page could not be made read-only: %d", error);
}

void set_writable(void *page)
{
    int error = remap(page, PTE_P | PTE_RW | PTE_A | PTE_D);
    if (error)
        panic("a page could not be made writable: %d", error);
}

void *page_alloc(void)
{
    void *page;
    if (free_list) {
        page = free_list;
        free_list = *(void **)page;
        freed--;
    } else {
        if (next_pfn >= mapped_pfn)
            panic("out of memory");
        page = pfn_to_virt(next_pfn++);
    }
    memset(page, 0, PAGE_SIZE);
    return page;
}

void page_free(void *page)
{
    *(void **)page = free_list;
    free_list = page;
    freed++;
}

uint32_t pages_free(void)
{
    return freed + end_pfn - next_pfn;
}

/* Makes the tables down to the L1 that covers va, then sets its entry. */
int map_page(uint32_t va, uint64_t pte)
{
    for (int level = 3; level > 1; level--) {
        pte_t *entry = walk(va, level);
        if (*entry & PTE_P)
            continue;
        void *table = page_alloc();
        set_readonly(table);
        /* An L3 entry of PAE has neither the writable nor the user bit. */
        int error = set_entry(entry, (pte_t)virt_to_mfn(table) << 12 | PTE_P | (level == 2 ? PTE_RW | PTE_US | PTE_A : 0));
        if (error)
            return error;
    }
    return hypercall(HC_update_va_mapping, va, pte, UVMF_INVLPG);
}

/* Extends the initial mapping to all memory, 2 MiB at a time with one L1 table each. */
static void map_all(void)
{
    while (mapped_pfn < end_pfn) {
        uint32_t va = VIRT_BASE + (mapped_pfn << 12);
        if (*walk(va, 2) & PTE_P) {     /* the builder's own tables end in the middle of one */
            for (; mapped_pfn < end_pfn && *walk(va, 2) & PTE_P; mapped_pfn++, va += PAGE_SIZE)
                if (hypercall(HC_update_va_mapping, va, (pte_t)p2m[mapped_pfn] << 12 | PTE_P | PTE_RW | PTE_A | PTE_D, UVMF_NONE))
                    panic("page %x could not be mapped", mapped_pfn);
            continue;
        }
        pte_t *table = page_alloc();
        uint32_t pfn = mapped_pfn & ~511u;
        for (int i = 0; i < 512 && pfn + i < end_pfn; i++)
            table[i] = (pte_t)p2m[pfn + i] << 12 | PTE_P | PTE_RW | PTE_A | PTE_D;
        set_readonly(table);
        if (set_entry(walk(va, 2), (pte_t)virt_to_mfn(table) << 12 | PTE_P | PTE_RW | PTE_US | PTE_A))
            panic("an L1 table could not be installed");
        mapped_pfn = pfn + 512;
    }
    mapped_pfn = end_pfn;
}

static uint32_t highest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void memory_init(void)
{
    struct machphys_mapping mapping;
    if (!hypercall(HC_memory_op, XENMEM_machphys_mapping, &mapping))
        m2p = (const uint32_t *)mapping.start;      /* a 64-bit hypervisor may put it higher */
    p2m = (uint32_t *)start_info->mfn_list;
    end_pfn = start_info->nr_pages < LOWMEM_LIMIT >> 12 ? start_info->nr_pages : LOWMEM_LIMIT >> 12;

    /* Everything the builder has put there lies between the image and the page tables' end, the boot stack behind. */
    uint32_t end = highest((uint32_t)_end, start_info->pt_base + start_info->nr_pt_frames * PAGE_SIZE);
    end = highest(end, start_info->mfn_list + start_info->nr_pages * 4);
    end = highest(end, (uint32_t)start_info + PAGE_SIZE);
    if (start_info->mod_len)
        end = highest(end, start_info->mod_start + start_info->mod_len);
    next_pfn = first_pfn = (end - VIRT_BASE + PAGE_SIZE - 1) >> 12;
    for (mapped_pfn = next_pfn; ; mapped_pfn++) {
        pte_t *entry = walk(VIRT_BASE + (mapped_pfn << 12), 1);
        if (!entry || !(*entry & PTE_P))
            break;
    }

    map_all();
    shared = (struct shared_info *)(VIRT_BASE + LOWMEM_LIMIT);
    memory_show_shared_info();
    vcpu = shared->vcpu;
}

/* shared_info belongs to the hypervisor: it gets a place of its own, in the page that follows all memory. */
void memory_show_shared_info(void)
{
    if (map_page((uint32_t)shared, (pte_t)start_info->shared_info | PTE_P | PTE_RW | PTE_A | PTE_D))
        panic("shared_info could not be mapped");
}

void memory_hide_shared_info(void)
{
    map_page((uint32_t)shared, 0);
}

void memory_report(void)
{
    struct e820_entry map[16];
    struct memory_map request = { ARRAY_SIZE(map), map };
    printf("memory: %u pages (%u MiB), %u taken by the image and the builder\n", start_info->nr_pages,
           start_info->nr_pages >> 8, first_pfn);
    if (hypercall(HC_memory_op, XENMEM_memory_map, &request))
        return;
    for (uint32_t i = 0; i < request.nr_entries; i++)
        printf("memory: %016llx - %016llx %s\n", map[i].start, map[i].start + map[i].size,
               map[i].type == 1 ? "usable" : "reserved");
}
