/* The first virtual disk that xenstore names, one request of one page at a time. */
#include "kernel.h"

static struct blk_ring *ring;
static uint32_t sectors, handle, port, consumed;
static int page_ref;
static void *bounce;
static char frontend[64], backend[128], name[16];

static void woken(uint32_t p)
{
}

int blk_init(void)
{
    if (!xenbus_first("vbd", frontend, sizeof frontend, backend, sizeof backend) || !xenbus_reaches(backend, INIT_WAIT))
        return 0;
    handle = xenbus_read_number(frontend, "virtual-device", 0);
    uint32_t backend_id = xenbus_read_number(frontend, "backend-id", 0);
    struct evtchn_alloc_unbound alloc = { DOMID_SELF, backend_id, 0 };
    if (event_op(EVTCHN_alloc_unbound, &alloc))
        return 0;
    port = alloc.port;
    event_bind(port, woken);
    ring = page_alloc();
    bounce = page_alloc();
    ring->req_event = ring->rsp_event = 1;
    page_ref = grant_page(backend_id, bounce, 0);
    xenbus_write_number(frontend, "ring-ref", grant_page(backend_id, ring, 0));
    xenbus_write_number(frontend, "event-channel", port);
    xenbus_write(frontend, "protocol", "x86_32-abi");
    xenbus_write_number(frontend, "state", INITIALISED);
    if (!xenbus_reaches(backend, CONNECTED))
        return 0;
    sectors = xenbus_read_number(backend, "sectors", 0);
    if (!sectors)
        return 0;
    xenbus_write_number(frontend, "state", CONNECTED);
    if (xenbus_read(backend, "dev", name, sizeof name) <= 0)
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
    for (int seconds = 0; !wait_for(answered, 0, 1000000000); seconds++)
        if (seconds == 10 || xenbus_read_number(backend, "state", 0) != CONNECTED) {
            blk_close();        /* its answer, if it comes, is no other request's */
            return -2;
        }
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
    xenbus_write_number(frontend, "state", CLOSED);
    xenbus_reaches(backend, CLOSED);
    event_unbind(port);
    grant_end(page_ref);
    ring = 0;
}

/* In a new domain, where the grants and the channel of before are nobody's. */
void blk_resume(void)
{
    if (!ring)
        return;
    page_free(ring);
    page_free(bounce);
    ring = 0;
    consumed = 0;
    if (!blk_init())
        printf("disk: %s did not come back\n", name);
}

uint32_t blk_sectors(void)
{
    return ring ? sectors : 0;
}

const char *blk_name(void)
{
    return name;
}
