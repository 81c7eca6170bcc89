/*
 * A driver domain: serves disks to other domains, out of memory or from this domain's own disk. The toolstack names them by nodes under backend/vbd/DOMAIN/NUMBER
 * of our home. Rings are mapped, data is copied by grants. Nothing that the other end says is trusted.
 */
#include "kernel.h"

#define MOST 4
#define RING_VA 0x30D00000u                    /* a page for each */
#define SEGMENTS 11
#define RAM_PAGES 64
enum { INITIALISING = 1, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED };
enum { ANSWER_OKAY = 0, ANSWER_ERROR = -1, ANSWER_UNSUPPORTED = -2 };

struct served {
    int state;                                  /* 0: not in use */
    uint16_t domain;
    uint32_t number, sectors;
    int own, readonly;
    char back[64], front[64];
    uint8_t *ram[RAM_PAGES];
    struct blk_ring *ring;
    uint32_t handle, port, consumed, reads, writes;
};

static struct served disks[MOST];
static uint8_t *bounce;
static int closed;

static void woken(uint32_t port)
{
}

static int read_node(const char *base, const char *node, char *value, int size)
{
    char path[128];
    format(path, sizeof path, "%s/%s", base, node);
    return xs_read(path, value, size);
}

static uint32_t read_number(const char *base, const char *node, uint32_t otherwise)
{
    char text[32];
    uint32_t value;
    return read_node(base, node, text, sizeof text) > 0 && parse_number(text, &value) ? value : otherwise;
}

static void write_number(const char *base, const char *node, uint32_t value)
{
    char path[128], text[16];
    format(path, sizeof path, "%s/%s", base, node);
    format(text, sizeof text, "%u", value);
    xs_write(path, text);
}

static void set_state(struct served *disk, int state)
{
    disk->state = state;
    write_number(disk->back, "state", state);
}

/* What it is a disk of: "ram:SECTORS", or "disk" for our own. */
static void offer(struct served *disk)
{
    char text[64];
    uint32_t sectors = 64;
    read_node(disk->back, "params", text, sizeof text);
    disk->own = !strcmp(text, "disk");
    if (disk->own)
        sectors = blk_sectors();
    else if (!strncmp(text, "ram:", 4))
        parse_number(text + 4, &sectors);
    disk->sectors = disk->own || sectors <= RAM_PAGES * 8 ? sectors : RAM_PAGES * 8;
    for (uint32_t i = 0; !disk->own && i * 8 < disk->sectors; i++)
        disk->ram[i] = page_alloc();
    disk->readonly = read_node(disk->back, "mode", text, sizeof text) > 0 && text[0] == 'r';
    write_number(disk->back, "sectors", disk->sectors);
    write_number(disk->back, "sector-size", 512);
    write_number(disk->back, "info", disk->readonly ? 4 : 0);
    write_number(disk->back, "feature-flush-cache", 1);
    read_node(disk->back, "frontend", disk->front, sizeof disk->front);
    format(text, sizeof text, "%s/state", disk->front);
    xs_watch(text, "front");
    format(text, sizeof text, "%s/hotplug-status", disk->back);
    xs_write(text, "connected");
    set_state(disk, INIT_WAIT);
}

static void connect(struct served *disk)
{
    uint32_t ref = read_number(disk->front, "ring-ref", 0), port = read_number(disk->front, "event-channel", 0), va = RING_VA + (disk - disks) * PAGE_SIZE;
    map_page(va, 0);
    struct gnttab_map map = { va, GNTMAP_host, ref, disk->domain, 99, 0, 0 };
    int error = hypercall(HC_grant_table_op, GNTTAB_map, &map, 1);
    if (error || map.status) {
        printf("serve: domain %u disk %u: ring %u is not mapped: %d\n", disk->domain, disk->number, ref, map.status);
        set_state(disk, CLOSED);
        return;
    }
    disk->ring = (struct blk_ring *)va;
    disk->handle = map.handle;
    disk->consumed = disk->ring->rsp_prod;
    struct evtchn_bind_interdomain bind = { disk->domain, 0, port, 0 };
    error = event_op(EVTCHN_bind_interdomain, &bind);
    if (error)
        printf("serve: domain %u disk %u: port %u is not bound: %d\n", disk->domain, disk->number, port, error);
    disk->port = error ? 0 : bind.local_port;
    if (disk->port)
        event_bind(disk->port, woken);
    printf("serve: domain %u disk %u connected, %u sectors\n", disk->domain, disk->number, disk->sectors);
    set_state(disk, CONNECTED);
}

static void disconnect(struct served *disk)
{
    if (disk->port)
        event_unbind(disk->port);
    if (disk->ring) {
        struct gnttab_unmap unmap = { (uint32_t)disk->ring, 0, disk->handle, 99, 0 };
        hypercall(HC_grant_table_op, GNTTAB_unmap, &unmap, 1);
    }
    if (disk->state == CONNECTED) {
        printf("serve: domain %u disk %u closed, %u sectors read, %u written\n", disk->domain, disk->number, disk->reads, disk->writes);
        closed++;
    }
    disk->ring = 0;
    disk->port = 0;
}

static void forget(struct served *disk)
{
    for (int i = 0; i < RAM_PAGES; i++)
        if (disk->ram[i])
            page_free(disk->ram[i]);
    memset(disk, 0, sizeof *disk);
}

/* As far as the other end has come. Its nodes may be gone with it at any time, and ours with the device. */
static void step(struct served *disk)
{
    int mine = read_number(disk->back, "state", 0), theirs = disk->front[0] ? (int)read_number(disk->front, "state", 0) : INITIALISING;
    if (!mine) {
        disconnect(disk);
        forget(disk);
        return;
    }
    if (disk->state == INITIALISING)
        offer(disk);
    else if (disk->state == INIT_WAIT && (theirs == INITIALISED || theirs == CONNECTED))
        connect(disk);
    else if (disk->state != CLOSED && (theirs == CLOSED || !theirs || (mine == CLOSING && disk->state != CONNECTED))) {
        disconnect(disk);
        set_state(disk, CLOSED);
    }
}

static void find(uint16_t domain, uint32_t number)
{
    struct served *unused = 0;
    for (struct served *disk = disks; disk < disks + MOST; disk++) {
        if (disk->state && disk->domain == domain && disk->number == number)
            return;
        if (!disk->state && !unused)
            unused = disk;
    }
    if (!unused)
        return;
    unused->state = INITIALISING;
    unused->domain = domain;
    unused->number = number;
    format(unused->back, sizeof unused->back, "backend/vbd/%u/%u", domain, number);
}

static void look_for_disks(void)
{
    char domains[512], numbers[512], path[64];
    int n = xs_request(XS_DIRECTORY, 0, "backend/vbd", 12, domains, sizeof domains);
    for (int i = 0; i < n; i += strlen(domains + i) + 1) {
        format(path, sizeof path, "backend/vbd/%s", domains + i);
        int m = xs_request(XS_DIRECTORY, 0, path, strlen(path) + 1, numbers, sizeof numbers);
        for (int j = 0; j < m; j += strlen(numbers + j) + 1) {
            uint32_t domain, number;
            if (parse_number(domains + i, &domain) && parse_number(numbers + j, &number))
                find(domain, number);
        }
    }
}

/* Up to a page of our side. */
static int move(struct served *disk, int write, uint32_t sector, uint32_t count)
{
    if (disk->own)
        return blk_transfer(write, sector, count, bounce) ? ANSWER_ERROR : ANSWER_OKAY;
    for (uint32_t i = 0; i < count; i++, sector++) {
        uint8_t *here = disk->ram[sector / 8] + sector % 8 * 512, *there = bounce + i * 512;
        memcpy(write ? here : there, write ? there : here, 512);
    }
    return ANSWER_OKAY;
}

static int copy(struct served *disk, int write, const struct blk_segment *segment, uint32_t length)
{
    struct gnttab_copy_ptr theirs = { segment->gref, disk->domain, segment->first * 512 }, ours = { virt_to_mfn(bounce), DOMID_SELF, 0 };
    struct gnttab_copy c = { write ? theirs : ours, write ? ours : theirs, length, write ? GNTCOPY_source_gref : GNTCOPY_dest_gref, 99, 0 };
    return hypercall(HC_grant_table_op, GNTTAB_copy, &c, 1) || c.status ? ANSWER_ERROR : ANSWER_OKAY;
}

/* The request is our copy. */
static int answer(struct served *disk, const struct blk_request *request)
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

static int has_request(struct served *disk)
{
    return disk->ring && ((volatile struct blk_ring *)disk->ring)->req_prod != disk->consumed;
}

static void serve_ring(struct served *disk)
{
    for (int turns = 0; turns < 32 && has_request(disk); turns++) {
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
    if (disk->port)
        event_send(disk->port);
}

static int has_work(void *argument)
{
    int work = xs_pending();
    for (struct served *disk = disks; disk < disks + MOST; disk++)
        work |= has_request(disk);
    return work;
}

/* Until so many disks have been closed; 0: for ever. */
void serve(int count)
{
    bounce = bounce ? bounce : page_alloc();
    closed = 0;
    xs_watch("backend", "back");
    printf("serve: waiting\n");
    while (!count || closed < count) {
        int seen = xs_take_events();
        for (struct served *disk = disks; disk < disks + MOST; disk++)
            if (has_request(disk))
                serve_ring(disk);
        if (!seen) {
            wait_for(has_work, 0, 0);
            continue;
        }
        look_for_disks();
        for (struct served *disk = disks; disk < disks + MOST; disk++)
            for (int before = -1; disk->state && before != disk->state; ) {
                before = disk->state;
                step(disk);
            }
    }
}
