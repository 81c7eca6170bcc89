/* Grant table version 2: larger entries, what is in use told apart, parts of pages. It ends with version 1 and an empty table. */
#include "../src/selftest.h"

#define MAP_VA    0x30900000u
#define STATUS_VA 0x30901000u
#define REF       20

static struct grant_entry2 *entries;
static volatile uint16_t *status;

static int op(int command, void *argument)
{
    return hypercall(HC_grant_table_op, command, argument, 1);
}

static int set_version(uint32_t version)
{
    int result = op(GNTTAB_set_version, &version);
    struct gnttab_version now = { DOMID_SELF, 0, 0 };
    op(GNTTAB_get_version, &now);
    return result ? result : version == now.version ? (int)version : -1;
}

static int map(uint32_t ref, uint32_t *handle)
{
    struct gnttab_map m = { MAP_VA, GNTMAP_host, ref, own_id(), 99, 0, 0 };
    int result = op(GNTTAB_map, &m);
    *handle = m.handle;
    return result ? 1000 + result : m.status;
}

static int unmap(uint32_t handle)
{
    struct gnttab_unmap u = { MAP_VA, 0, handle, 99, 0 };
    int result = op(GNTTAB_unmap, &u);
    return result ? 1000 + result : u.status;
}

static int copy_from(uint32_t ref, void *to, uint32_t offset, uint32_t length)
{
    struct gnttab_copy c = { { ref, own_id(), offset }, { virt_to_mfn(to), DOMID_SELF, 0 }, length, GNTCOPY_source_gref, 99, 0 };
    int result = op(GNTTAB_copy, &c);
    return result ? 1000 + result : c.status;
}

static void grant(uint32_t ref, uint16_t flags, uint32_t mfn, uint16_t offset, uint16_t length)
{
    entries[ref] = (struct grant_entry2){ 0, own_id(), offset, length, mfn };
    barrier();
    entries[ref].flags = flags;
}

static int status_frames(uint32_t count, uint64_t *frames)
{
    struct gnttab_status_frames get = { count, DOMID_SELF, 99, frames };
    int result = op(GNTTAB_get_status_frames, &get);
    return result ? 1000 + result : get.status;
}

static void with_version2(void)
{
    uint64_t frames[2];
    CHECK("status-frames", status_frames(1, frames), 0);
    CHECK("status-frames-too-many", status_frames(2, frames) < 0, 1);
    map_page(STATUS_VA, frames[0] << 12 | PTE_P | PTE_RW | PTE_A | PTE_D);
    status = (uint16_t *)STATUS_VA;
    entries = (struct grant_entry2 *)grant_table;

    uint8_t *page = page_alloc(), *to = page_alloc();
    uint32_t handle, mfn = virt_to_mfn(page);
    for (int i = 0; i < PAGE_SIZE; i++)
        page[i] = (uint8_t)(i * 7);
    map_page(MAP_VA, 0);
    grant(REF, GTF_permit_access, mfn, 0, 0);
    CHECK("map", map(REF, &handle), 0);
    CHECK("map-data", *(volatile uint8_t *)(MAP_VA + 5), 35);
    CHECK("map-status", status[REF], GTF_reading | GTF_writing);
    CHECK("map-flags", entries[REF].flags, GTF_permit_access);
    CHECK("busy", set_version(1), -EBUSY);
    CHECK("unmap", unmap(handle), 0);
    CHECK("unmap-status", status[REF], 0);

    grant(REF, GTF_permit_access | GTF_sub_page, mfn, 1000, 24);
    CHECK("part-map", map(REF, &handle) < 0, 1);
    CHECK("part", copy_from(REF, to, 1000, 24), 0);
    CHECK("part-data", memcmp(page + 1000, to, 24), 0);
    CHECK("part-before", copy_from(REF, to, 999, 2) < 0, 1);
    CHECK("part-behind", copy_from(REF, to, 1000, 25) < 0, 1);
    CHECK("part-status", status[REF], 0);

    grant(REF + 1, GTF_permit_access, mfn, 0, 0);
    grant(REF, GTF_transitive, 0, own_id(), 0);
    entries[REF].frame = REF + 1;
    CHECK("to-oneself", copy_from(REF, to, 0, 8) < 0, 1);
    entries[REF].flags = entries[REF + 1].flags = 0;
    CHECK("last-ref", map(255, &handle) < 0, 1);
    CHECK("behind-last-ref", map(256, &handle), -3);
    page_free(page);
    page_free(to);
}

void grants_version2(void)
{
    int result = set_version(2);
    if (result == -EBUSY) {                     /* a back end has pages of ours: the version stays */
        CHECK("in-use", set_version(1), 1);
        return;
    }
    CHECK("version-2", result, 2);
    with_version2();
    CHECK("version-1", set_version(1), 1);
    /* The status frame is ours still, mapped or not. */
    CHECK("status-still-mapped", status[REF], 0);
    map_page(STATUS_VA, 0);
    CHECK("no-status-frames", status_frames(1, (uint64_t[1]){ 0 }) < 0, 1);
}
