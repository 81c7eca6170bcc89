/* The first network card that xenstore names: a frame is one slot, of a page that is granted once and for all. */
#include "kernel.h"

#define SENDING 16
#define RECEIVING 32
#define MOST 1514

static struct net_tx_ring *tx;
static struct net_rx_ring *rx;
static uint8_t *sending[SENDING], *receiving[RECEIVING], address[6];
static uint16_t unused[SENDING];
static int sending_ref[SENDING], receiving_ref[RECEIVING], unused_count;
static uint32_t port, tx_done, rx_done;
static char frontend[64], backend[128];
static frame_receiver receiver;

/* Neither ring nor pages are ours alone while the upcall may come. */
static int keep_upcall_out(void)
{
    int was = vcpu->upcall_mask;
    events_disable();
    return was;
}

static void let_upcall_in(int was)
{
    if (!was)
        events_enable();
}

static void woken(uint32_t p)
{
    if (receiver)
        card_poll(receiver);
}

static void post(uint16_t id)
{
    rx->ring[rx->req_prod % NET_SLOTS].req = (struct net_rx_request){ id, 0, receiving_ref[id] };
    barrier();
    rx->req_prod++;
}

static int parse_address(const char *text)
{
    for (int i = 0; i < 6; i++) {
        char part[5] = { '0', 'x', text[i * 3], text[i * 3 + 1], 0 };
        uint32_t value;
        if (!parse_number(part, &value) || text[i * 3 + 2] != (i < 5 ? ':' : 0))
            return 0;
        address[i] = value;
    }
    return 1;
}

int card_open(void)
{
    char text[64];
    if (tx)
        return 1;
    if (!xenbus_first("vif", frontend, sizeof frontend, backend, sizeof backend) || !xenbus_reaches(backend, INIT_WAIT)
        || xenbus_read(frontend, "mac", text, sizeof text) != 17 || !parse_address(text))
        return 0;
    uint32_t domain = xenbus_read_number(frontend, "backend-id", 0);
    struct evtchn_alloc_unbound alloc = { DOMID_SELF, domain, 0 };
    if (event_op(EVTCHN_alloc_unbound, &alloc))
        return 0;
    port = alloc.port;
    tx_done = rx_done = 0;
    tx = page_alloc();
    rx = page_alloc();
    tx->req_event = tx->rsp_event = rx->req_event = rx->rsp_event = 1;
    unused_count = SENDING;
    for (int i = 0; i < SENDING; i++) {
        sending[i] = page_alloc();
        sending_ref[i] = grant_page(domain, sending[i], 1);
        unused[i] = i;
    }
    for (int i = 0; i < RECEIVING; i++) {
        receiving[i] = page_alloc();
        receiving_ref[i] = grant_page(domain, receiving[i], 0);
        post(i);
    }
    event_bind(port, woken);
    xenbus_write_number(frontend, "tx-ring-ref", grant_page(domain, tx, 0));
    xenbus_write_number(frontend, "rx-ring-ref", grant_page(domain, rx, 0));
    xenbus_write_number(frontend, "event-channel", port);
    xenbus_write_number(frontend, "request-rx-copy", 1);
    xenbus_write_number(frontend, "state", CONNECTED);
    if (!xenbus_reaches(backend, CONNECTED)) {
        card_close();
        return 0;
    }
    mb();
    event_send(port);
    return 1;
}

/* Gives the card back; what it was granted is ours again as far as the back end has let go. */
void card_close(void)
{
    if (!tx)
        return;
    xenbus_write_number(frontend, "state", CLOSED);
    xenbus_reaches(backend, CLOSED);
    event_unbind(port);
    for (int i = 0; i < SENDING; i++)
        grant_end(sending_ref[i]);
    for (int i = 0; i < RECEIVING; i++)
        grant_end(receiving_ref[i]);
    tx = 0;
    rx = 0;
}

/* In a new domain, where the grants and the channel of before are nobody's. */
void card_resume(void)
{
    if (!tx)
        return;
    for (int i = 0; i < SENDING; i++)
        page_free(sending[i]);
    for (int i = 0; i < RECEIVING; i++)
        page_free(receiving[i]);
    page_free(tx);
    page_free(rx);
    tx = 0;
    rx = 0;
    if (!card_open())
        printf("net: the card did not come back\n");
}

int card_is_connected(void)
{
    return tx && xenbus_read_number(backend, "state", 0) == CONNECTED;
}

const uint8_t *card_address(void)
{
    return address;
}

int card_send(const void *data, uint32_t length, uint16_t flags)
{
    int done = 0, was = keep_upcall_out();
    if (tx) {
        while (tx_done != ((volatile struct net_tx_ring *)tx)->rsp_prod && unused_count < SENDING) {
            barrier();
            unused[unused_count++] = tx->ring[tx_done++ % NET_SLOTS].rsp.id % SENDING;
        }
        if (unused_count && length <= MOST) {
            uint16_t id = unused[--unused_count];
            memcpy(sending[id], data, length);
            tx->ring[tx->req_prod % NET_SLOTS].req = (struct net_tx_request){ sending_ref[id], 0, flags, id, length };
            barrier();
            tx->req_prod++;
            mb();
            event_send(port);
            done = 1;
        }
    }
    let_upcall_in(was);
    return done;
}

void card_receive(frame_receiver who)
{
    receiver = who;
}

int card_has_frames(void)
{
    return rx && ((volatile struct net_rx_ring *)rx)->rsp_prod != rx_done;
}

void card_poll(frame_receiver who)
{
    int was = keep_upcall_out(), taken = 0;
    while (card_has_frames()) {
        barrier();
        struct net_rx_response response = rx->ring[rx_done++ % NET_SLOTS].rsp;
        uint16_t id = response.id % RECEIVING;
        if (response.status > 0 && response.offset + response.status <= (int)PAGE_SIZE && !(response.flags & (NETRXF_more_data | NETRXF_extra_info)))
            who(receiving[id] + response.offset, response.status, response.flags);
        post(id);
        rx->rsp_event = rx_done + 1;
        mb();
        taken = 1;
    }
    if (taken)
        event_send(port);
    let_upcall_in(was);
}
