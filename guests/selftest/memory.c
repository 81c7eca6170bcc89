/* memory_op: pages given back, taken, exchanged, and what it tells. */
#include "../src/selftest.h"

#define FLAGS (PTE_P | PTE_RW | PTE_A | PTE_D)

static int op(int command, void *argument)
{
    return hypercall(HC_memory_op, command, argument);
}

static uint32_t pfn_of(const void *page)
{
    return ((uint32_t)page - VIRT_BASE) >> 12;
}

static int map_at(void *page, uint64_t mfn)
{
    return hypercall(HC_update_va_mapping, page, mfn << 12 | FLAGS, UVMF_INVLPG);
}

static void facts(void)
{
    struct machphys_mapping mapping = { 0, 0, 0 };
    uint16_t self = DOMID_SELF, none = 77;
    CHECK("maximum-ram-page", op(XENMEM_maximum_ram_page, 0) > (int)virt_to_mfn(_start), 1);
    CHECK("current", op(XENMEM_current_reservation, &self) >= (int)start_info->nr_pages, 1);
    CHECK("maximum", op(XENMEM_maximum_reservation, &self) >= (int)start_info->nr_pages || op(XENMEM_maximum_reservation, &self) < 0, 1);
    CHECK("maximum-gpfn", op(XENMEM_maximum_gpfn, &self) >= 0, 1);
    CHECK("current-none", op(XENMEM_current_reservation, &none), -ESRCH);
    CHECK("current-wild", op(XENMEM_current_reservation, WILD), -EFAULT);
    CHECK("mapping", op(XENMEM_machphys_mapping, &mapping), 0);
    CHECK("mapping-start", mapping.start, (long)m2p);
    CHECK("mapping-covers", mapping.max_mfn >= virt_to_mfn(_start) && mapping.end > mapping.start, 1);
    CHECK("mapping-wild", op(XENMEM_machphys_mapping, WILD), -EFAULT);
    uint32_t frames[16];
    struct machphys_mfn_list list = { 16, frames, 0 };
    CHECK("mfn-list", op(XENMEM_machphys_mfn_list, &list), 0);
    CHECK("mfn-list-count", list.nr_extents <= 16, 1);
    if (list.nr_extents) {                      /* a table outside the machine's frames has none to tell */
        list.extents = WILD;
        CHECK("mfn-list-wild", op(XENMEM_machphys_mfn_list, &list), -EFAULT);
    }
    struct e820_entry map[16];
    struct memory_map request = { 16, map };
    int result = op(XENMEM_memory_map, &request);
    CHECK("memory-map", result == 0 || result == -ENOSYS, 1);
    if (!result) {
        CHECK("memory-map-first", request.nr_entries >= 1 && map[0].start == 0 && map[0].type == 1, 1);
        request = (struct memory_map){ 16, WILD };
        CHECK("memory-map-wild", op(XENMEM_memory_map, &request), -EFAULT);
    }
    if (!(start_info->flags & SIF_INITDOMAIN))
        CHECK("machine-map", op(XENMEM_machine_memory_map, &request), -EPERM);
    CHECK("unknown", op(60, &request), -ENOSYS);
}

static void reservation(void)
{
    void *page = page_alloc();
    uint32_t mfn = virt_to_mfn(page), pfn = pfn_of(page), got = mfn, beyond = 0xFFFFFFF, extent = pfn;
    uint16_t self = DOMID_SELF;
    int before = op(XENMEM_current_reservation, &self);
    hypercall(HC_update_va_mapping, page, 0ull, UVMF_INVLPG);
    struct memory_reservation give = { &got, 1, 0, 0, DOMID_SELF, 0 };
    CHECK("decrease", op(XENMEM_decrease_reservation, &give), 1);
    CHECK("decrease-counted", op(XENMEM_current_reservation, &self), before - 1);
    CHECK("decrease-not-mapped", map_at(page, mfn) < 0, 1);
    CHECK("decrease-again", op(XENMEM_decrease_reservation, &give), 0);
    struct memory_reservation take = { &extent, 1, 0, 0, DOMID_SELF, 0 };
    CHECK("populate", op(XENMEM_populate_physmap, &take), 1);
    CHECK("populate-m2p", m2p[extent], pfn);
    p2m[pfn] = extent;
    CHECK("populate-map", map_at(page, extent), 0);
    CHECK("counted-back", op(XENMEM_current_reservation, &self), before);

    /* increase: a frame without a pseudo-physical number, and back with it */
    hypercall(HC_update_va_mapping, page, 0ull, UVMF_INVLPG);
    got = extent;
    CHECK("decrease-2", op(XENMEM_decrease_reservation, &give), 1);
    extent = 0;
    CHECK("increase", op(XENMEM_increase_reservation, &take), 1);
    CHECK("increase-mfn", extent != 0 && extent < (uint32_t)op(XENMEM_maximum_ram_page, 0), 1);
    struct mmu_update update = { (uint64_t)extent << 12 | MMU_MACHPHYS, pfn };
    CHECK("increase-machphys", hypercall(HC_mmu_update, &update, 1, 0, DOMID_SELF), 0);
    p2m[pfn] = extent;
    CHECK("increase-map", map_at(page, extent), 0);

    give.extents = &beyond;
    CHECK("decrease-beyond", op(XENMEM_decrease_reservation, &give), 0);
    give = (struct memory_reservation){ WILD, 1, 0, 0, DOMID_SELF, 0 };
    CHECK("decrease-wild", op(XENMEM_decrease_reservation, &give) <= 0, 1);
    give = (struct memory_reservation){ HV, 1, 0, 0, DOMID_SELF, 0 };
    CHECK("populate-hypervisor", op(XENMEM_populate_physmap, &give) <= 0, 1);
    give = (struct memory_reservation){ &got, 0xFFFFFFFF, 0, 0, DOMID_SELF, 0 };
    CHECK("decrease-too-many", op(XENMEM_decrease_reservation, &give) <= 0, 1);
    give = (struct memory_reservation){ &got, 1, 99, 0, DOMID_SELF, 0 };
    CHECK("populate-order-99", op(XENMEM_populate_physmap, &give) <= 0, 1);
    CHECK("increase-order-99", op(XENMEM_increase_reservation, &give) <= 0, 1);
    CHECK("decrease-order-99", op(XENMEM_decrease_reservation, &give) <= 0, 1);
    give = (struct memory_reservation){ &got, 1, 0, 0, 77, 0 };
    CHECK("decrease-no-domain", op(XENMEM_decrease_reservation, &give) <= 0, 1);
    CHECK("wild", op(XENMEM_decrease_reservation, WILD) <= 0, 1);
    give = (struct memory_reservation){ &got, 0, 0, 0, DOMID_SELF, 0 };
    CHECK("decrease-none", op(XENMEM_decrease_reservation, &give), 0);
    page_free(page);
}

/* What the domain may have is the limit, to the page; a block that doesn't fit in whole isn't given in part. */
static void limit(void)
{
    uint16_t self = DOMID_SELF;
    uint32_t *frames = page_alloc(), most = PAGE_SIZE / 4;
    int before = op(XENMEM_current_reservation, &self), maximum = op(XENMEM_maximum_reservation, &self);
    if (maximum >= before && (uint32_t)(maximum - before) < most) {     /* else there is no limit, or one out of reach */
        uint32_t extent = 0, room = maximum - before;
        struct memory_reservation take = { frames, most, 0, 0, DOMID_SELF, 0 };
        CHECK("reached", op(XENMEM_increase_reservation, &take), room);
        CHECK("reached-counted", op(XENMEM_current_reservation, &self), maximum);
        take = (struct memory_reservation){ &extent, 1, 0, 0, DOMID_SELF, 0 };
        CHECK("no-increase", op(XENMEM_increase_reservation, &take), 0);
        CHECK("no-populate", op(XENMEM_populate_physmap, &take), 0);
        struct memory_reservation give = { frames, room, 0, 0, DOMID_SELF, 0 };
        CHECK("back", op(XENMEM_decrease_reservation, &give), room);
        CHECK("back-counted", op(XENMEM_current_reservation, &self), before);
        if (room < 512) {
            take = (struct memory_reservation){ &extent, 1, 9, 0, DOMID_SELF, 0 };
            CHECK("no-part", op(XENMEM_increase_reservation, &take), 0);
            CHECK("no-part-counted", op(XENMEM_current_reservation, &self), before);
        }
    }
    page_free(frames);
}

static void exchange(void)
{
    void *pages[4];
    uint32_t in[4], out[4], pfns[4];
    for (int i = 0; i < 4; i++) {
        pages[i] = page_alloc();
        pfns[i] = pfn_of(pages[i]);
        in[i] = virt_to_mfn(pages[i]);
        out[i] = pfns[i];
    }
    struct memory_exchange one = { { in, 1, 0, 0, DOMID_SELF, 0 }, { out, 1, 0, 0, DOMID_SELF, 0 }, 0 };
    CHECK("mapped", op(XENMEM_exchange, &one) < 0, 1);
    one.nr_exchanged = 0;
    for (int i = 0; i < 4; i++)
        hypercall(HC_update_va_mapping, pages[i], 0ull, UVMF_INVLPG);
    CHECK("one", op(XENMEM_exchange, &one), 0);
    CHECK("one-count", one.nr_exchanged, 1);
    CHECK("one-m2p", m2p[out[0]], pfns[0]);
    CHECK("old-gone", map_at(pages[0], in[0]) < 0 || in[0] == out[0], 1);
    p2m[pfns[0]] = in[0] = out[0];
    out[0] = pfns[0];
    /* four single pages for one extent of four */
    struct memory_exchange four = { { in, 4, 0, 0, DOMID_SELF, 0 }, { out, 1, 2, 0, DOMID_SELF, 0 }, 0 };
    int result = op(XENMEM_exchange, &four);
    if (start_info->flags & SIF_INITDOMAIN || result == 0) {
        CHECK("four", result, 0);
        CHECK("four-count", four.nr_exchanged, 4);
        CHECK("four-aligned", out[0] & 3, 0);
        CHECK("four-m2p", m2p[out[0]] == pfns[0] && m2p[out[0] + 3] == pfns[0] + 3, 1);
        for (int i = 0; i < 4; i++)
            in[i] = out[0] + i;
    } else {
        CHECK("four-refused", result, -EPERM);
    }
    for (int i = 0; i < 4; i++) {
        struct mmu_update update = { (uint64_t)in[i] << 12 | MMU_MACHPHYS, pfns[i] };
        hypercall(HC_mmu_update, &update, 1, 0, DOMID_SELF);
        p2m[pfns[i]] = in[i];
        CHECK("remap", map_at(pages[i], in[i]), 0);
        page_free(pages[i]);
    }
    struct memory_exchange bad = { { in, 1, 0, 0, DOMID_SELF, 0 }, { out, 2, 0, 0, DOMID_SELF, 0 }, 0 };
    CHECK("mismatch", op(XENMEM_exchange, &bad), -EINVAL);
    bad = (struct memory_exchange){ { in, 1, 0, 0, DOMID_SELF, 0 }, { out, 1, 0, 0, DOMID_SELF, 0 }, 2 };
    CHECK("already-more", op(XENMEM_exchange, &bad) < 0, 1);
    bad = (struct memory_exchange){ { WILD, 1, 0, 0, DOMID_SELF, 0 }, { out, 1, 0, 0, DOMID_SELF, 0 }, 0 };
    CHECK("in-wild", op(XENMEM_exchange, &bad), -EFAULT);
    bad = (struct memory_exchange){ { in, 1, 0, 0, DOMID_SELF, 0 }, { HV, 1, 0, 0, DOMID_SELF, 0 }, 0 };
    CHECK("out-hypervisor", op(XENMEM_exchange, &bad), -EFAULT);
    bad = (struct memory_exchange){ { in, 0x40000000, 2, 0, DOMID_SELF, 0 }, { out, 1, 0, 0, DOMID_SELF, 0 }, 0 };
    CHECK("overflow", op(XENMEM_exchange, &bad) < 0, 1);
    CHECK("wild", op(XENMEM_exchange, WILD), -EFAULT);
}

const struct test memory_tests[] = {
    { "memory_facts", facts }, { "reservation", reservation }, { "reservation_limit", limit }, { "exchange", exchange }, { 0, 0 },
};
