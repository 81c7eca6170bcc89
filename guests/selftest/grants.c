/* Grants to ourselves: mapped, copied, refused. */
#include "../src/selftest.h"

#define MAP_VA 0x30800000u

static int op(int command, void *argument, uint32_t count)
{
    return hypercall(HC_grant_table_op, command, argument, count);
}

/* Our own number, as the other end of a loopback channel has it. */
uint16_t own_id(void)
{
    struct evtchn_alloc_unbound alloc = { DOMID_SELF, DOMID_SELF, 0 };
    event_op(EVTCHN_alloc_unbound, &alloc);
    struct evtchn_bind_interdomain bind = { DOMID_SELF, 0, alloc.port, 0 };
    event_op(EVTCHN_bind_interdomain, &bind);
    struct evtchn_status status = { .dom = DOMID_SELF, .port = alloc.port };
    event_op(EVTCHN_status, &status);
    event_unbind(bind.local_port);
    event_unbind(alloc.port);
    return (uint16_t)status.u_dom_or_virq;
}

static int map(uint32_t va, uint32_t flags, uint32_t ref, uint16_t dom, uint32_t *handle)
{
    struct gnttab_map m = { va, flags, ref, dom, 99, 0, 0 };
    int result = op(GNTTAB_map, &m, 1);
    *handle = m.handle;
    return result ? 1000 + result : m.status;
}

static int unmap(uint32_t va, uint32_t handle)
{
    struct gnttab_unmap u = { va, 0, handle, 99, 0 };
    int result = op(GNTTAB_unmap, &u, 1);
    return result ? 1000 + result : u.status;
}

static void table(void)
{
    uint32_t frames[4];
    struct gnttab_setup setup = { DOMID_SELF, 0, 1, 99, 0, frames };
    struct gnttab_query query = { DOMID_SELF, 0, 0, 0, 99, 0 };
    struct gnttab_version version = { DOMID_SELF, 0, 0 };
    CHECK("setup", op(GNTTAB_setup_table, &setup, 1), 0);
    CHECK("setup-status", setup.status, 0);
    CHECK("setup-frame", frames[0] == (uint32_t)((*walk((uint32_t)grant_table, 1) & PTE_ADDR) >> 12), 1);
    setup.nr_frames = 100000;
    CHECK("setup-too-many", op(GNTTAB_setup_table, &setup, 1) < 0 || setup.status < 0, 1);
    setup = (struct gnttab_setup){ 77, 0, 1, 99, 0, frames };
    op(GNTTAB_setup_table, &setup, 1);
    CHECK("setup-no-domain", setup.status, -2);
    CHECK("query", op(GNTTAB_query_size, &query, 1), 0);
    CHECK("query-frames", query.status == 0 && query.nr_frames >= 1 && query.max_frames >= query.nr_frames, 1);
    query.dom = 77;
    op(GNTTAB_query_size, &query, 1);
    CHECK("query-no-domain", query.status, -2);
    CHECK("version", op(GNTTAB_get_version, &version, 1), 0);
    CHECK("version-1", version.version, 1);
    uint32_t wanted = 1;
    CHECK("set-version-1", op(GNTTAB_set_version, &wanted, 1), 0);
    wanted = 3;
    CHECK("set-version-3", op(GNTTAB_set_version, &wanted, 1), -EINVAL);
    CHECK("none", op(GNTTAB_map, &setup, 0), 0);
    CHECK("wild", op(GNTTAB_map, WILD, 1), -EFAULT);
    CHECK("hypervisor", op(GNTTAB_copy, HV, 1), -EFAULT);
    CHECK("setup-wild", op(GNTTAB_setup_table, WILD, 1), -EFAULT);
    CHECK("query-wild", op(GNTTAB_query_size, WILD, 1), -EFAULT);
    CHECK("too-many", op(GNTTAB_map, WILD, 0x10000000) < 0, 1);
    CHECK("unknown", op(99, &setup, 1), -ENOSYS);
}

static void mapping(void)
{
    uint32_t *page = page_alloc(), handle, other;
    uint16_t self = own_id();
    map_page(MAP_VA, 0);
    map_page(MAP_VA + PAGE_SIZE, 0);
    page[0] = 2718;
    int ref = grant_page(self, page, 0);
    CHECK("map", map(MAP_VA, GNTMAP_host, ref, self, &handle), 0);
    CHECK("map-data", *(volatile uint32_t *)MAP_VA, 2718);
    *(volatile uint32_t *)MAP_VA = 3141;
    CHECK("map-write", ((volatile uint32_t *)page)[0], 3141);
    CHECK("map-flags", grant_table[ref].flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
    CHECK("map-second", map(MAP_VA + PAGE_SIZE, GNTMAP_host | GNTMAP_readonly, ref, self, &other), 0);
    TRY("movl $1, (%0)", : : "r"(MAP_VA + PAGE_SIZE) : "memory");
    CHECK("read-only-map", fault.vector, 14);
    CHECK("unmap-wrong-address", unmap(MAP_VA + 2 * PAGE_SIZE, handle) < 0, 1);
    CHECK("unmap", unmap(MAP_VA, handle), 0);
    TRY("movl (%0), %%eax", : : "r"(MAP_VA) : "eax", "memory");
    CHECK("unmapped", fault.vector, 14);
    CHECK("unmap-twice", unmap(MAP_VA, handle), -4);
    CHECK("still-read", grant_table[ref].flags & (GTF_reading | GTF_writing), GTF_reading);
    CHECK("unmap-second", unmap(MAP_VA + PAGE_SIZE, other), 0);
    CHECK("flags-clear", grant_table[ref].flags & (GTF_reading | GTF_writing), 0);
    pte_t *entry = walk(MAP_VA, 1);
    struct gnttab_map by_entry = { entry_machine(entry), GNTMAP_host | GNTMAP_contains_pte, ref, self, 99, 0, 0 };
    CHECK("map-entry", op(GNTTAB_map, &by_entry, 1) * 1000 + by_entry.status, 0);
    CHECK("map-entry-data", *(volatile uint32_t *)MAP_VA, 3141);
    struct gnttab_unmap end = { entry_machine(entry), 0, by_entry.handle, 99, 0 };
    CHECK("unmap-entry", op(GNTTAB_unmap, &end, 1) * 1000 + end.status, 0);
    by_entry = (struct gnttab_map){ entry_machine(entry) + 4, GNTMAP_host | GNTMAP_contains_pte, ref, self, 99, 0, 0 };
    op(GNTTAB_map, &by_entry, 1);
    CHECK("map-entry-unaligned", by_entry.status < 0, 1);
    CHECK("map-hypervisor", map(0xFC000000, GNTMAP_host, ref, self, &handle) < 0, 1);
    CHECK("map-no-table", map(0x70000000, GNTMAP_host, ref, self, &handle) < 0, 1);
    CHECK("map-no-flags", map(MAP_VA, 0, ref, self, &handle) < 0, 1);
    CHECK("map-bad-ref", map(MAP_VA, GNTMAP_host, 100000, self, &handle), -3);
    CHECK("map-huge-ref", map(MAP_VA, GNTMAP_host, 0xFFFFFFFF, self, &handle), -3);
    CHECK("map-unused-ref", map(MAP_VA, GNTMAP_host, 500, self, &handle) < 0, 1);
    CHECK("map-no-domain", map(MAP_VA, GNTMAP_host, ref, 77, &handle), -2);
    CHECK("unmap-bad-handle", unmap(MAP_VA, 0xFFFFFFFF), -4);
    grant_end(ref);
    CHECK("map-revoked", map(MAP_VA, GNTMAP_host, ref, self, &handle) < 0, 1);
    ref = grant_page(self, page, 1);
    CHECK("map-read-only-grant", map(MAP_VA, GNTMAP_host, ref, self, &handle) < 0, 1);
    grant_end(ref);
    ref = grant_page(77, page, 0);
    CHECK("map-another's", map(MAP_VA, GNTMAP_host, ref, self, &handle) < 0, 1);
    grant_end(ref);
    ref = grant_page(self, (void *)start_info->pt_base, 0);
    CHECK("map-page-table", map(MAP_VA, GNTMAP_host, ref, self, &handle) < 0, 1);
    grant_end(ref);
    ref = grant_page(self, page, 0);
    grant_table[ref].frame = 0xFFFFFFF;
    CHECK("map-bad-frame", map(MAP_VA, GNTMAP_host, ref, self, &handle) < 0, 1);
    grant_end(ref);
    page_free(page);
}

static int copy(struct gnttab_copy c)
{
    c.status = 99;
    int result = op(GNTTAB_copy, &c, 1);
    return result ? 1000 + result : c.status;
}

static void copying(void)
{
    uint8_t *from = page_alloc(), *to = page_alloc();
    uint16_t self = own_id();
    for (int i = 0; i < PAGE_SIZE; i++)
        from[i] = (uint8_t)(i * 5);
    uint32_t ref = grant_page(self, from, 1), writable = grant_page(self, to, 0);
    uint32_t from_mfn = virt_to_mfn(from), to_mfn = virt_to_mfn(to);
    struct gnttab_copy good = { { ref, DOMID_SELF, 16 }, { to_mfn, DOMID_SELF, 100 }, 200, GNTCOPY_source_gref, 0, 0 };
    CHECK("from-grant", copy(good), 0);
    CHECK("from-grant-data", memcmp(from + 16, to + 100, 200), 0);
    CHECK("from-grant-bounds", to[99] == 0 && to[300] == 0, 1);
    struct gnttab_copy c = { { from_mfn, DOMID_SELF, 0 }, { writable, DOMID_SELF, 0 }, PAGE_SIZE, GNTCOPY_dest_gref, 0, 0 };
    CHECK("to-grant", copy(c), 0);
    CHECK("to-grant-data", memcmp(from, to, PAGE_SIZE), 0);
    CHECK("flags-clear", (grant_table[ref].flags | grant_table[writable].flags) & (GTF_reading | GTF_writing), 0);
    c.dest.ref_or_mfn = ref;
    CHECK("to-read-only-grant", copy(c) < 0, 1);
    c = good;
    c.len = 4090;
    CHECK("crosses", copy(c), -10);
    c = good;
    c.source.offset = 5000;
    CHECK("offset", copy(c), -10);
    c = good;
    c.len = 0;
    CHECK("nothing", copy(c), 0);
    c = good;
    c.source.ref_or_mfn = 100000;
    CHECK("bad-ref", copy(c), -3);
    c = good;
    c.dest.ref_or_mfn = 0xFFFFFFF;
    CHECK("bad-frame", copy(c) < 0, 1);
    c = good;
    c.dest.ref_or_mfn = virt_to_mfn((void *)start_info->pt_base);
    CHECK("to-page-table", copy(c) < 0, 1);
    c = good;
    c.source.domid = 77;
    CHECK("no-domain", copy(c), -2);
    grant_end(ref);
    grant_end(writable);
    page_free(from);
    page_free(to);
}

const struct test grant_tests[] = { { "grant_table", table }, { "grant_map", mapping }, { "grant_copy", copying },
    { "grant_version2", grants_version2 }, { 0, 0 } };
