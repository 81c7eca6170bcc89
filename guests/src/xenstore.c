/* xenstore over its ring: one request at a time, watch events counted as they pass, but for the one of control/shutdown. */
#include "kernel.h"

static struct xs_ring *ring;
static uint32_t last_id;
static int shutdown_asked;
uint32_t xs_watch_events;

static void woken(uint32_t port)
{
}

static int has_room(void *argument)
{
    return ring->req_prod - ring->req_cons < sizeof ring->req;
}

static int has_reply(void *argument)
{
    return ring->rsp_prod != ring->rsp_cons;
}

static void send(const void *data, uint32_t length)
{
    const char *p = data;
    for (; length; length--) {
        wait_for(has_room, 0, 0);
        ring->req[ring->req_prod % sizeof ring->req] = *p++;
        barrier();
        ring->req_prod++;
    }
}

static int receive(void *data, uint32_t length, uint32_t size)
{
    char *p = data;
    for (uint32_t i = 0; i < length; i++) {
        if (!wait_for(has_reply, 0, 5000000000ull))
            return 0;
        barrier();
        if (i < size)
            p[i] = ring->rsp[ring->rsp_cons % sizeof ring->rsp];
        mb();
        ring->rsp_cons++;
    }
    event_send(start_info->store_evtchn);
    return 1;
}

/* An event: path and token, each with its end. */
static int take_event(uint32_t length)
{
    char event[512];
    memset(event, 0, sizeof event);
    if (!receive(event, length, sizeof event - 1))
        return 0;
    if (strcmp(event + strlen(event) + 1, SHUTDOWN_TOKEN))
        xs_watch_events++;
    else
        shutdown_asked = 1;
    return 1;
}

/* The reply, NUL-terminated, and its length; -1 for an error, whose name is then the reply. */
int xs_request(int type, uint32_t tx, const char *payload, int length, char *reply, int size)
{
    struct xs_header header = { type, ++last_id, tx, length };
    if (!ring)
        return -1;
    send(&header, sizeof header);
    send(payload, length);
    mb();
    event_send(start_info->store_evtchn);
    for (;;) {
        int event = receive(&header, sizeof header, sizeof header) && header.type == XS_WATCH_EVENT;
        if (event ? !take_event(header.len) : !receive(reply, header.len, size - 1)) {
            printf("xenstore: no answer\n");
            return -1;
        }
        if (event)
            continue;
        reply[header.len < (uint32_t)size ? header.len : (uint32_t)size - 1] = 0;
        return header.type == XS_ERROR ? -1 : (int)header.len;
    }
}

int xs_read(const char *path, char *reply, int size)
{
    return xs_request(XS_READ, 0, path, strlen(path) + 1, reply, size);
}

static int two_strings(int type, const char *a, const char *b, int with_end)
{
    char request[512], reply[64];
    int n = format(request, sizeof request - 1, "%s", a) + 1;
    n += format(request + n, sizeof request - n, "%s", b) + with_end;
    return xs_request(type, 0, request, n, reply, sizeof reply);
}

int xs_write(const char *path, const char *value)
{
    return two_strings(XS_WRITE, path, value, 0);
}

int xs_watch(const char *path, const char *token)
{
    return two_strings(XS_WATCH, path, token, 1);
}

int xs_pending(void)
{
    return ring && has_reply(0);
}

static void take_pending(void)
{
    struct xs_header header;
    char payload[512];
    while (xs_pending() && receive(&header, sizeof header, sizeof header))
        if (!(header.type == XS_WATCH_EVENT ? take_event(header.len) : receive(payload, header.len, sizeof payload)))
            break;
}

int xs_take_events(void)
{
    static uint32_t taken;
    take_pending();
    uint32_t count = xs_watch_events - taken;
    taken = xs_watch_events;
    return count;
}

int xs_shutdown_asked(void)
{
    take_pending();
    int asked = shutdown_asked;
    shutdown_asked = 0;
    return asked;
}

int xs_available(void)
{
    return ring != 0;
}

void xs_init(void)
{
    if (!start_info->store_mfn || start_info->flags & SIF_INITDOMAIN)
        return;
    ring = mfn_to_virt(start_info->store_mfn);
    event_bind(start_info->store_evtchn, woken);
}
