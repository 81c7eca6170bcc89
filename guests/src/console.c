/* The console: a shared ring with the back end, and the hypervisor's own console before or without it. */
#include "kernel.h"

static struct console_ring *ring;

static int drained(void *argument)
{
    return ring->out_prod - ring->out_cons < sizeof ring->out;
}

static void notify(void)
{
    struct evtchn_port port = { start_info->console_evtchn };
    hypercall(HC_event_channel_op, EVTCHN_send, &port);
}

/* The ring is full: poll does not depend on upcalls, so this works with events disabled too. */
static void wait_for_room(void)
{
    while (!drained(0)) {
        uint32_t port = start_info->console_evtchn;
        struct sched_poll poll = { &port, 1, system_time() + 10000000 };
        notify();
        event_clear(port);
        mb();
        if (!drained(0))
            hypercall(HC_sched_op, SCHEDOP_poll, &poll);
    }
}

static void put(char c)
{
    wait_for_room();
    ring->out[ring->out_prod % sizeof ring->out] = c;
    barrier();
    ring->out_prod++;
}

void console_write_raw(const char *s, int n)
{
    for (; n; n--, s++)
        put(*s);
    mb();
    notify();
}

void console_write(const char *s, int n)
{
    if (!ring) {
        hypercall(HC_console_io, 0, n, s);
        return;
    }
    for (; n; n--, s++) {
        if (*s == '\n')
            put('\r');
        put(*s);
    }
    mb();
    notify();
}

void printf(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vformat(line, sizeof line, format, args);
    va_end(args);
    console_write(line, n < (int)sizeof line ? n : (int)sizeof line - 1);
}

static int has_input(void *argument)
{
    return ring->in_prod != ring->in_cons;
}

static int has_work(void *argument)
{
    return has_input(0) || xs_pending();
}

/* Nothing is under way in a guest that waits here, so this is where it suspends. */
int console_getc(void)
{
    for (suspend_if_asked(); !has_input(0); suspend_if_asked())
        wait_for(has_work, 0, 0);
    barrier();
    char c = ring->in[ring->in_cons % sizeof ring->in];
    mb();
    ring->in_cons++;
    notify();
    return (uint8_t)c;
}

static void woken(uint32_t port)
{
}

void console_init(void)
{
    if (start_info->flags & SIF_INITDOMAIN || !start_info->console_mfn)
        return;                         /* the first domain has no ring: the hypervisor's console it is */
    ring = mfn_to_virt(start_info->console_mfn);
    event_bind(start_info->console_evtchn, woken);
}

static int all_sent(void *argument)
{
    return ring->out_prod == ring->out_cons;
}

void shutdown(int reason)
{
    uint32_t argument = reason;
    if (ring)
        wait_for(all_sent, 0, 1000000000);
    hypercall(HC_sched_op, SCHEDOP_shutdown, &argument);
    asm volatile("ud2");
    __builtin_unreachable();
}

void panic(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vformat(line, sizeof line, format, args);
    va_end(args);
    printf("panic: %s\n", line);
    shutdown(SHUTDOWN_crash);
}
