/* Disks that are served to other domains, out of memory or from this domain's own disk. Data is copied by grants. Nothing that the other end says is trusted. */
#include "kernel.h"

#define RING_VA 0x30D00000u                    /* a page for each */
#define SEGMENTS 11
#define RAM_PAGES 64
enum { ANSWER_OKAY = 0, ANSWER_ERROR = -1, ANSWER_UNSUPPORTED = -2 };

struct disk {
    uint16_t domain;
    uint32_t sectors;
    int own, readonly;
    uint8_t *ram[RAM_PAGES];
    struct blk_ring *ring;
    uint32_t handle, consumed, reads, writes;
};

static struct disk disks[SERVED];
static uint8_t *bounce;

static struct disk *disk_of(struct served *device)
{
    return &disks[device - served];
}

/* What it is a disk of: "ram:SECTORS", or "disk" for our own. */
static void offer(struct served *device)
{
    struct disk *disk = disk_of(device);
    char text[64];
    uint32_t sectors = 64;
    bounce = bounce ? bounce : page_alloc();
    disk->domain = device->domain;
    xenbus_read(device->back, "params", text, sizeof text);
    disk->own = !strcmp(text, "disk");
    if (disk->own)
        sectors = blk_sectors();
    else if (!strncmp(text, "ram:", 4))
        parse_number(text + 4, &sectors);
    disk->sectors = disk->own || sectors <= RAM_PAGES * 8 ? sectors : RAM_PAGES * 8;
    for (uint32_t i = 0; !disk->own && i * 8 < disk->sectors; i++)
        disk->ram[i] = page_alloc();
    disk->readonly = xenbus_read(device->back, "mode", text, sizeof text) > 0 && text[0] == 'r';
    xenbus_write_number(device->back, "sectors", disk->sectors);
    xenbus_write_number(device->back, "sector-size", 512);
    xenbus_write_number(device->back, "info", disk->readonly ? 4 : 0);
    xenbus_write_number(device->back, "feature-flush-cache", 1);
}

static int connect(struct served *device)
{
    struct disk *disk = disk_of(device);
    disk->ring = serve_map(device, RING_VA + (device - served) * PAGE_SIZE, xenbus_read_number(device->front, "ring-ref", 0), &disk->handle);
    if (!disk->ring)
        return 0;
    disk->consumed = disk->ring->rsp_prod;
    printf("serve: domain %u disk %u connected, %u sectors\n", device->domain, device->number, disk->sectors);
    return 1;
}

static void disconnect(struct served *device)
{
    struct disk *disk = disk_of(device);
    serve_unmap(disk->ring, disk->handle);
    disk->ring = 0;
    if (device->state == CONNECTED)
        printf("serve: domain %u disk %u closed, %u sectors read, %u written\n", device->domain, device->number, disk->reads, disk->writes);
}

static void forget(struct served *device)
{
    struct disk *disk = disk_of(device);
    for (int i = 0; i < RAM_PAGES; i++)
        if (disk->ram[i])
            page_free(disk->ram[i]);
    memset(disk, 0, sizeof *disk);
}

/* Up to a page of our side. */
static int move(struct disk *disk, int write, uint32_t sector, uint32_t count)
{
    if (disk->own)
        return blk_transfer(write, sector, count, bounce) ? ANSWER_ERROR : ANSWER_OKAY;
    for (uint32_t i = 0; i < count; i++, sector++) {
        uint8_t *here = disk->ram[sector / 8] + sector % 8 * 512, *there = bounce + i * 512;
        memcpy(write ? here : there, write ? there : here, 512);
    }
    return ANSWER_OKAY;
}

static int copy(struct disk *disk, int write, const struct blk_segment *segment, uint32_t length)
{
    struct gnttab_copy_ptr theirs = { segment->gref, disk->domain, segment->first * 512 }, ours = { virt_to_mfn(bounce), DOMID_SELF, 0 };
    struct gnttab_copy c = { write ? theirs : ours, write ? ours : theirs, length, write ? GNTCOPY_source_gref : GNTCOPY_dest_gref, 99, 0 };
    return hypercall(HC_grant_table_op, GNTTAB_copy, &c, 1) || c.status ? ANSWER_ERROR : ANSWER_OKAY;
}

/* The request is our copy. */
static int answer(struct disk *disk, const struct blk_request *request)
{
    int write = request->op == BLK_WRITE, result = ANSWER_OKAY;
    uint64_t sector = request->sector;
    if (request->op == BLK_FLUSH)
        return ANSWER_OKAY;
    if (request->op != BLK_READ && !write)
        return ANSWER_UNSUPPORTED;
    if (request->segments > SEGMENTS || (write && disk->readonly))
        return ANSWER_ERROR;
    for (int i = 0; i < request->segments && !result; i++) {
        const struct blk_segment *segment = &request->seg[i];
        uint32_t count = segment->last - segment->first + 1;
        if (segment->last > 7 || segment->first > segment->last || sector >= disk->sectors || count > disk->sectors - sector)
            return ANSWER_ERROR;
        if (write)
            result = copy(disk, 1, segment, count * 512);
        if (!result)
            result = move(disk, write, sector, count);
        if (!result && !write)
            result = copy(disk, 0, segment, count * 512);
        sector += count;
        *(write ? &disk->writes : &disk->reads) += count;
    }
    return result;
}

static int has_work(struct served *device)
{
    struct disk *disk = disk_of(device);
    return disk->ring && ((volatile struct blk_ring *)disk->ring)->req_prod != disk->consumed;
}

static void work(struct served *device)
{
    struct disk *disk = disk_of(device);
    for (int turns = 0; turns < 32 && has_work(device); turns++) {
        barrier();
        struct blk_request request = disk->ring->ring[disk->consumed % 32].req;
        barrier();
        struct blk_response response = { request.id, request.op, 0, answer(disk, &request) };
        disk->ring->ring[disk->consumed % 32].rsp = response;
        barrier();
        disk->ring->rsp_prod = ++disk->consumed;
        disk->ring->req_event = disk->consumed + 1;
        mb();
    }
    event_send(device->port);
}

const struct backend disk_backend = { "vbd", "disk", offer, connect, disconnect, forget, has_work, work };
