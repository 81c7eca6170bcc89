/*
 * Two domains on one hypervisor: one offers a page by grant and a port, the other maps and binds them, and they exchange words over a ring in
 * that page. The one that offers answers each word; the other checks the answers, and copies a second page that it may only read.
 */
#include "kernel.h"

#define PAIR_VA 0x30C00000u
#define SLOTS 128u
#define SECONDS 1000000000ull
#define LIMIT (120 * SECONDS)

struct ring {
    volatile uint32_t asked, taken, answered, checked, done;
    uint32_t questions[SLOTS], answers[SLOTS];
};

static uint32_t signals;

static void signalled(uint32_t port)
{
    signals++;
}

static uint32_t answer(uint32_t question)
{
    return (question << 7 | question >> 25) ^ 0x5A5A5A5A;
}

static int has_question(void *ring)
{
    return ((struct ring *)ring)->asked != ((struct ring *)ring)->taken || ((struct ring *)ring)->done;
}

static int has_answer(void *ring)
{
    return ((struct ring *)ring)->answered != ((struct ring *)ring)->checked;
}

static void fill(uint32_t *page)
{
    for (uint32_t i = 0; i < PAGE_SIZE / 4; i++)
        page[i] = answer(i * 2654435761u);
}

static int in_use(int ref)
{
    return grant_table[ref].flags & (GTF_reading | GTF_writing);
}

/* What the other side has mapped is ours again when it has let go, or is gone. */
static int wait_until_free(int ref)
{
    for (uint64_t end = system_time() + LIMIT; in_use(ref) && system_time() < end; )
        sleep_ns(SECONDS / 1000);
    return !in_use(ref);
}

static void offer(uint16_t domain)
{
    struct ring *ring = page_alloc();
    uint32_t *source = page_alloc();
    fill(source);
    int ref = grant_page(domain, ring, 0), copied = grant_page(domain, source, 1);
    struct evtchn_alloc_unbound channel = { DOMID_SELF, domain, 0 };
    int error = event_op(EVTCHN_alloc_unbound, &channel);
    if (error) {
        printf("pair: no port: %d\n", error);
        return;
    }
    signals = 0;
    event_bind(channel.port, signalled);
    printf("pair: join with %d %u %d\n", ref, channel.port, copied);
    uint32_t count = 0, sum = 0;
    while (wait_for(has_question, ring, LIMIT) && !ring->done) {
        while (ring->taken != ring->asked && ring->asked - ring->taken <= SLOTS) {
            uint32_t reply = answer(ring->questions[ring->taken % SLOTS]);
            ring->answers[ring->answered % SLOTS] = reply;
            barrier();
            ring->answered++;
            ring->taken++;
            sum += reply;
            count++;
        }
        mb();
        event_send(channel.port);
    }
    printf("pair: answered %u, sum %08x, signals %s, other end %s\n", count, sum, signals ? "came" : "MISSING", ring->done ? "done" : "MISSING");
    printf("pair: pages %s\n", wait_until_free(ref) && wait_until_free(copied) ? "free" : "still in use");
    grant_end(ref);
    grant_end(copied);
    event_unbind(channel.port);
    page_free(source);
    page_free(ring);
}

static int copy_page(uint16_t domain, int ref)
{
    uint32_t *got = page_alloc(), *expected = page_alloc();
    fill(expected);
    struct gnttab_copy copy = { { ref, domain, 0 }, { virt_to_mfn(got), DOMID_SELF, 0 }, PAGE_SIZE, GNTCOPY_source_gref, 99, 0 };
    int error = hypercall(HC_grant_table_op, GNTTAB_copy, &copy, 1);
    int same = !error && !copy.status && !memcmp(got, expected, PAGE_SIZE);

    /* It is not ours to write. */
    struct gnttab_copy back = { { virt_to_mfn(got), DOMID_SELF, 0 }, { ref, domain, 0 }, PAGE_SIZE, GNTCOPY_dest_gref, 0, 0 };
    hypercall(HC_grant_table_op, GNTTAB_copy, &back, 1);
    page_free(got);
    page_free(expected);
    return same && back.status < 0;
}

static int is_connected(uint16_t domain, uint32_t local, uint32_t remote)
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = local };
    return !event_op(EVTCHN_status, &status) && status.status == STATUS_interdomain && status.u_dom_or_virq == domain && status.u_port == remote;
}

static void join(uint16_t domain, uint32_t ref, uint32_t port, uint32_t copied, uint32_t words, int crash)
{
    map_page(PAIR_VA, 0);
    struct gnttab_map map = { PAIR_VA, GNTMAP_host, ref, domain, 99, 0, 0 };
    int error = hypercall(HC_grant_table_op, GNTTAB_map, &map, 1);
    if (error || map.status) {
        printf("pair: not mapped: %d %d\n", error, map.status);
        return;
    }
    struct ring *ring = (struct ring *)PAIR_VA;
    struct evtchn_bind_interdomain bind = { domain, 0, port, 0 };
    error = event_op(EVTCHN_bind_interdomain, &bind);
    if (error)
        printf("pair: not bound: %d\n", error);
    int connected = is_connected(domain, bind.local_port, port);
    signals = 0;
    event_bind(bind.local_port, signalled);
    uint32_t sum = 0, wrong = 0;
    while (!error && ring->checked != words) {
        while (ring->asked != words && ring->asked - ring->checked < SLOTS) {
            ring->questions[ring->asked % SLOTS] = ring->asked * 2654435761u;
            barrier();
            ring->asked++;
        }
        mb();
        event_send(bind.local_port);
        if (!wait_for(has_answer, ring, LIMIT))
            break;
        while (ring->answered != ring->checked) {
            uint32_t reply = ring->answers[ring->checked % SLOTS];
            wrong += reply != answer(ring->checked * 2654435761u);
            sum += reply;
            ring->checked++;
        }
    }
    printf("pair: asked %u, sum %08x, %u wrong, signals %s, status %s, copy %s\n", ring->checked, sum, wrong, signals ? "came" : "MISSING",
           connected ? "right" : "WRONG", copy_page(domain, copied) ? "right" : "WRONG");
    ring->done = 1;
    event_send(bind.local_port);
    if (crash)
        return;
    event_unbind(bind.local_port);
    struct gnttab_unmap unmap = { PAIR_VA, 0, map.handle, 99, 0 };
    error = hypercall(HC_grant_table_op, GNTTAB_unmap, &unmap, 1);
    printf("pair: unmapped %d %d\n", error, unmap.status);
}

void pair(char **words, int count)
{
    uint32_t n[5] = { 0 };
    for (int i = 0; i < 5 && i + 2 < count; i++)
        parse_number(words[i + 2], &n[i]);
    if (count > 2 && !strcmp(words[1], "offer"))
        offer(n[0]);
    else if (count > 6 && !strcmp(words[1], "join"))
        join(n[0], n[1], n[2], n[3], n[4], count > 7 && !strcmp(words[7], "keep"));
    else
        printf("pair: offer DOMAIN, or join DOMAIN REF PORT COPY WORDS [keep]\n");
}
