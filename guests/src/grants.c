/* Grants: entries of the table are handed out from a free list; the first eight are the tools'. */
#include "kernel.h"

#define GRANT_VA 0xF1000000u
#define ENTRIES 512

struct grant_entry *grant_table;
static uint32_t frame;
static uint16_t next_free[ENTRIES], first_free;

void grants_init(void)
{
    struct gnttab_setup setup = { DOMID_SELF, 0, 1, 0, 0, &frame };
    if (hypercall(HC_grant_table_op, GNTTAB_setup_table, &setup, 1) || setup.status)
        panic("no grant table: %d", setup.status);
    grants_show();
    grant_table = (struct grant_entry *)GRANT_VA;
    for (int i = 8; i < ENTRIES; i++)
        next_free[i] = i + 1 < ENTRIES ? i + 1 : 0;
    first_free = 8;
}

void grants_show(void)
{
    if (map_page(GRANT_VA, (pte_t)frame << 12 | PTE_P | PTE_RW | PTE_A | PTE_D))
        panic("the grant table could not be mapped");
}

void grants_hide(void)
{
    map_page(GRANT_VA, 0);
}

int grant_page(uint16_t domid, void *page, int readonly)
{
    int ref = first_free;
    if (!ref)
        panic("out of grant entries");
    first_free = next_free[ref];
    grant_table[ref].frame = virt_to_mfn(page);
    grant_table[ref].domid = domid;
    barrier();
    grant_table[ref].flags = GTF_permit_access | (readonly ? GTF_readonly : 0);
    return ref;
}

/* Only an entry that nobody uses may be taken back; the flags change under a compare-and-swap. */
void grant_end(int ref)
{
    uint16_t old = grant_table[ref].flags;
    do {
        if (old & (GTF_reading | GTF_writing))
            return;
    } while (!__atomic_compare_exchange_n(&grant_table[ref].flags, &old, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    next_free[ref] = first_free;
    first_free = ref;
}
