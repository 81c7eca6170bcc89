/* The first virtual disk that xenstore names, one request of one page at a time. */
#include "kernel.h"

enum { INITIALISED = 3, CONNECTED = 4, CLOSED = 6 };

static struct blk_ring *ring;
static uint32_t sectors, handle, port, consumed;
static int page_ref;
static void *bounce;
static char frontend[64], backend[128], name[16];

static void woken(uint32_t p)
{
}

static int read_number(const char *base, const char *key, uint32_t *value)
{
    char path[192], reply[64];
    format(path, sizeof path, "%s/%s", base, key);
    return xs_read(path, reply, sizeof reply) > 0 && parse_number(reply, value);
}

static void write_number(const char *key, uint32_t value)
{
    char path[192], text[16];
    format(path, sizeof path, "%s/%s", frontend, key);
    format(text, sizeof text, "%u", value);
    xs_write(path, text);
}

static int backend_reaches(uint32_t wanted)
{
    /* A back end in another domain may take its time; one that is gone has no state. */
    for (int i = 0; i < 15000; i++) {
        uint32_t state;
        if (!read_number(backend, "state", &state) || state >= wanted)
            return state == wanted;
        sleep_ns(2000000);
    }
    return 0;
}

int blk_init(void)
{
    char list[256], path[192];
    if (!xs_available() || xs_request(XS_DIRECTORY, 0, "device/vbd", 11, list, sizeof list) <= 0)
        return 0;
    format(frontend, sizeof frontend, "device/vbd/%s", list);   /* the first of the NUL-separated names */
    parse_number(list, &handle);
    format(path, sizeof path, "%s/backend", frontend);
    if (xs_read(path, backend, sizeof backend) <= 0 || !backend_reaches(2))
        return 0;

    struct evtchn_alloc_unbound alloc = { DOMID_SELF, 0, 0 };
    uint32_t backend_id = 0;
    read_number(frontend, "backend-id", &backend_id);
    alloc.remote_dom = backend_id;
    if (event_op(EVTCHN_alloc_unbound, &alloc))
        return 0;
    port = alloc.port;
    event_bind(port, woken);
    ring = page_alloc();
    bounce = page_alloc();
    ring->req_event = ring->rsp_event = 1;
    page_ref = grant_page(backend_id, bounce, 0);
    write_number("ring-ref", grant_page(backend_id, ring, 0));
    write_number("event-channel", port);
    format(path, sizeof path, "%s/protocol", frontend);
    xs_write(path, "x86_32-abi");
    write_number("state", INITIALISED);
    if (!backend_reaches(CONNECTED))
        return 0;
    if (!read_number(backend, "sectors", &sectors))
        return 0;
    write_number("state", CONNECTED);
    format(path, sizeof path, "%s/dev", backend);
    if (xs_read(path, name, sizeof name) <= 0)
        format(name, sizeof name, "vbd%u", handle);
    return 1;
}

static int answered(void *argument)
{
    return ((volatile struct blk_ring *)ring)->rsp_prod != consumed;
}

/* Up to 8 sectors of 512 bytes, one page; 0 or the back end's status. */
int blk_transfer(int write, uint32_t sector, uint32_t count, void *page)
{
    struct blk_request *request = &ring->ring[ring->req_prod % 32].req;
    if (!ring || count == 0 || count > 8)
        return -1;
    if (write)
        memcpy(bounce, page, count * 512);
    *request = (struct blk_request){ write ? BLK_WRITE : BLK_READ, 1, handle, 0x1234, sector, { { page_ref, 0, count - 1, { 0 } } } };
    barrier();
    ring->req_prod++;
    mb();
    event_send(port);
    ring->rsp_event = consumed + 1;
    if (!wait_for(answered, 0, 10000000000ull))
        return -2;
    barrier();
    struct blk_response response = ring->ring[consumed++ % 32].rsp;
    if (!write)
        memcpy(page, bounce, count * 512);
    return response.status;
}

/* Gives the disk back; what it was granted is ours again when the back end has let go. */
void blk_close(void)
{
    if (!ring)
        return;
    write_number("state", CLOSED);
    backend_reaches(CLOSED);
    event_unbind(port);
    grant_end(page_ref);
    ring = 0;
}

uint32_t blk_sectors(void)
{
    return ring ? sectors : 0;
}

const char *blk_name(void)
{
    return name;
}
