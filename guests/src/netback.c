/*
 * Network cards that are served to other domains: a switch. It learns which address is at which card, and sends what it doesn't know to all. Our own card, where we
 * have one, is a port as well, by which the others reach what it is plugged into. Nothing that the other end says is trusted.
 */
#include "kernel.h"

#define RINGS_VA 0x30E00000u                   /* two pages for each */
#define SLOTS 20                                /* of one frame */
#define HEADER 14
#define KNOWN 64
enum { UPLINK = SERVED };

struct card {
    struct net_tx_ring *tx;
    struct net_rx_ring *rx;
    uint32_t tx_handle, rx_handle, taken, given, from, to, lost;
    int signal;
};

static struct card cards[SERVED];
static struct { uint8_t address[6], used, port; } known[KNOWN];
static uint8_t *frame;
static int has_uplink;

static struct card *card_of(struct served *device)
{
    return &cards[device - served];
}

static void offer(struct served *device)
{
    frame = frame ? frame : page_alloc();
    xenbus_write_number(device->back, "feature-rx-copy", 1);
    xenbus_write_number(device->back, "feature-rx-flip", 0);
    xenbus_write_number(device->back, "feature-sg", 1);
}

static void disconnect(struct served *device)
{
    struct card *card = card_of(device);
    serve_unmap(card->tx, card->tx_handle);
    serve_unmap(card->rx, card->rx_handle);
    for (int i = 0; i < KNOWN; i++)
        known[i].used &= known[i].port != device - served;
    if (device->state == CONNECTED)
        printf("serve: domain %u card %u closed, %u frames from it, %u to it\n", device->domain, device->number, card->from, card->to);
    memset(card, 0, sizeof *card);
}

static int connect(struct served *device)
{
    struct card *card = card_of(device);
    uint32_t va = RINGS_VA + (device - served) * 2 * PAGE_SIZE;
    if (!xenbus_read_number(device->front, "request-rx-copy", 0)) {
        printf("serve: domain %u card %u: its driver takes no copies\n", device->domain, device->number);
        return 0;
    }
    card->tx = serve_map(device, va, xenbus_read_number(device->front, "tx-ring-ref", 0), &card->tx_handle);
    card->rx = card->tx ? serve_map(device, va + PAGE_SIZE, xenbus_read_number(device->front, "rx-ring-ref", 0), &card->rx_handle) : 0;
    if (!card->rx)
        return 0;
    card->taken = card->tx->rsp_prod;
    card->given = card->rx->rsp_prod;
    printf("serve: domain %u card %u connected\n", device->domain, device->number);
    return 1;
}

static int copy(const struct gnttab_copy_ptr *source, const struct gnttab_copy_ptr *target, uint32_t length, int flags)
{
    struct gnttab_copy c = { *source, *target, length, flags, 99, 0 };
    return !hypercall(HC_grant_table_op, GNTTAB_copy, &c, 1) && !c.status;
}

/* Where it has no page ready, or not one that can be written, it does without the frame. */
static void give(struct served *device, const uint8_t *data, uint32_t length, uint16_t flags)
{
    struct card *card = card_of(device);
    uint32_t ready = ((volatile struct net_rx_ring *)card->rx)->req_prod - card->given;
    if (!ready || ready > NET_SLOTS) {
        card->lost++;
        return;
    }
    barrier();
    struct net_rx_request request = card->rx->ring[card->given % NET_SLOTS].req;
    struct gnttab_copy_ptr source = { virt_to_mfn(data), DOMID_SELF, (uint32_t)data % PAGE_SIZE }, target = { request.gref, device->domain, 0 };
    int done = copy(&source, &target, length, GNTCOPY_dest_gref);
    uint16_t marks = flags & NETTXF_csum_blank ? NETRXF_csum_blank | NETRXF_data_validated : flags & NETTXF_data_validated ? NETRXF_data_validated : 0;
    struct net_rx_response response = { request.id, 0, done ? marks : 0, done ? (int16_t)length : NETRSP_error };
    card->rx->ring[card->given % NET_SLOTS].rsp = response;
    barrier();
    card->rx->rsp_prod = ++card->given;
    card->signal = 1;
    card->to += done;
}

static void learn(const uint8_t *address, int port)
{
    static uint32_t next;
    int at = -1;
    if (address[0] & 1)
        return;
    for (int i = 0; i < KNOWN; i++)
        if (known[i].used && !memcmp(known[i].address, address, 6))
            at = i;
    if (at < 0)
        at = next++ % KNOWN;
    memcpy(known[at].address, address, 6);
    known[at].used = 1;
    known[at].port = port;
}

/* The port that an address is at; -1 for all. */
static int port_of(const uint8_t *address)
{
    for (int i = 0; i < KNOWN && !(address[0] & 1); i++)
        if (known[i].used && !memcmp(known[i].address, address, 6))
            return known[i].port;
    return -1;
}

static void forward(int from, const uint8_t *data, uint32_t length, uint16_t flags)
{
    learn(data + 6, from);
    int to = port_of(data);
    for (int port = 0; port < SERVED; port++)
        if (port != from && (to < 0 || to == port) && served[port].kind == &card_backend && served[port].state == CONNECTED)
            give(&served[port], data, length, flags);
    if (has_uplink && from != UPLINK && (to < 0 || to == UPLINK))
        card_send(data, length, flags & (NETTXF_csum_blank | NETTXF_data_validated));
}

/* The slots of one frame off the ring, copied: a request each, extra information left out. The number of all; 0 where the frame has no end. */
static uint32_t gather(struct card *card, uint32_t available, struct net_tx_request *parts, uint32_t *count, int *extra)
{
    uint32_t slots = 0;
    *count = *extra = 0;
    for (int more = 1; more; ) {
        if (slots == available || *count == SLOTS)
            return 0;
        struct net_tx_request part = card->tx->ring[(card->taken + slots++) % NET_SLOTS].req;
        barrier();
        parts[(*count)++] = part;
        more = part.flags & NETTXF_more_data;
        for (int extras = *count == 1 && part.flags & NETTXF_extra_info; extras; ) {
            if (slots == available)
                return 0;
            extras = card->tx->ring[(card->taken + slots++) % NET_SLOTS].extra.flags & NETEXTRA_more;
            ++*extra;
        }
    }
    return slots;
}

/* Its bytes, one behind the other. The first part's size is the whole frame's. */
static uint32_t fetch(struct served *device, struct net_tx_request *parts, uint32_t count)
{
    uint32_t length = parts[0].size, at = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (parts[i].size > parts[0].size)
            return 0;
        parts[0].size -= parts[i].size;
    }
    if (length < HEADER || length > PAGE_SIZE)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct gnttab_copy_ptr source = { parts[i].gref, device->domain, parts[i].offset }, target = { virt_to_mfn(frame), DOMID_SELF, at };
        if (parts[i].offset + parts[i].size > PAGE_SIZE || (parts[i].size && !copy(&source, &target, parts[i].size, GNTCOPY_source_gref)))
            return 0;
        at += parts[i].size;
    }
    return length;
}

static void respond(struct card *card, const struct net_tx_request *parts, uint32_t count, int extra, int status)
{
    for (uint32_t i = 0; i < count; i++) {
        card->tx->ring[card->taken++ % NET_SLOTS].rsp = (struct net_tx_response){ parts[i].id, status };
        for (; !i && extra; extra--)
            card->tx->ring[card->taken++ % NET_SLOTS].rsp = (struct net_tx_response){ 0, NETRSP_null };
    }
    barrier();
    card->tx->rsp_prod = card->taken;
    card->signal = 1;
}

static int has_work(struct served *device)
{
    struct card *card = card_of(device);
    return card->tx && ((volatile struct net_tx_ring *)card->tx)->req_prod != card->taken;
}

static void signal_all(void)
{
    for (int port = 0; port < SERVED; port++)
        if (cards[port].signal) {
            cards[port].signal = 0;
            mb();
            event_send(served[port].port);
        }
}

static void work(struct served *device)
{
    struct card *card = card_of(device);
    for (int turns = 0; turns < 64 && has_work(device); turns++) {
        struct net_tx_request parts[SLOTS];
        uint32_t count, available = ((volatile struct net_tx_ring *)card->tx)->req_prod - card->taken;
        int extra;
        barrier();
        if (available > NET_SLOTS || !gather(card, available, parts, &count, &extra)) {
            printf("serve: domain %u card %u: its ring makes no sense, and is left alone\n", device->domain, device->number);
            serve_unmap(card->tx, card->tx_handle);
            card->tx = 0;
            break;
        }
        struct net_tx_request first = parts[0];
        uint32_t length = extra ? 0 : fetch(device, parts, count);
        if (length)
            forward(device - served, frame, length, first.flags);
        respond(card, parts, count, extra, length ? NETRSP_okay : NETRSP_error);
        card->from += length != 0;
        card->tx->req_event = card->taken + 1;
        mb();
    }
    signal_all();
}

static void from_uplink(const uint8_t *data, uint32_t length, uint16_t flags)
{
    uint16_t marks = flags & NETRXF_csum_blank ? NETTXF_csum_blank : flags & NETRXF_data_validated ? NETTXF_data_validated : 0;
    if (length >= HEADER)
        forward(UPLINK, data, length, marks);
}

int uplink_open(void)
{
    return has_uplink = card_open();
}

int uplink_has_work(void)
{
    return has_uplink && card_has_frames();
}

void uplink_work(void)
{
    if (!uplink_has_work())
        return;
    card_poll(from_uplink);
    signal_all();
}

const struct backend card_backend = { "vif", "card", offer, connect, disconnect, 0, has_work, work };
