/* Event channels, by two levels of bits in shared_info or by queues, and sleeping until something happens. */
#include "kernel.h"

static event_handler handlers[1024];
static uint32_t seen;

int event_op(int op, void *argument)
{
    return hypercall(HC_event_channel_op, op, argument);
}

void event_send(uint32_t port)
{
    struct evtchn_port argument = { port };
    event_op(EVTCHN_send, &argument);
}

void event_bind(uint32_t port, event_handler handler)
{
    struct evtchn_port argument = { port };
    handlers[port] = handler;
    event_op(EVTCHN_unmask, &argument);
}

void event_unbind(uint32_t port)
{
    struct evtchn_port argument = { port };
    event_mask(port);
    handlers[port] = 0;
    event_op(EVTCHN_close, &argument);
}

void event_mask(uint32_t port)
{
    if (fifo_used())
        fifo_mask(port);
    else
        asm volatile("lock; btsl %1, %0" : "+m"(shared->mask[port / 32]) : "r"(port % 32) : "memory", "cc");
}

int event_pending(uint32_t port)
{
    return fifo_used() ? fifo_pending(port) : (int)(((volatile uint32_t *)shared->pending)[port / 32] >> port % 32 & 1);
}

void event_clear(uint32_t port)
{
    if (fifo_used())
        fifo_clear(port);
    else
        asm volatile("lock; btrl %1, %0" : "+m"(shared->pending[port / 32]) : "r"(port % 32) : "memory", "cc");
}

void events_disable(void)
{
    vcpu->upcall_mask = 1;
    barrier();
}

void events_enable(void)
{
    barrier();
    vcpu->upcall_mask = 0;
    barrier();
    if (vcpu->upcall_pending)
        hypercall(HC_xen_version, 0, 0);    /* any hypercall delivers what came in between */
}

static void dispatch(uint32_t port)
{
    seen++;
    if (handlers[port])
        handlers[port](port);
}

/* Called with the event mask set, by the upcall. */
void events_handle(void)
{
    while (vcpu->upcall_pending) {
        vcpu->upcall_pending = 0;
        if (fifo_used()) {
            fifo_take(0, dispatch);
            continue;
        }
        uint32_t words = 0;
        asm volatile("xchgl %0, %1" : "+r"(words), "+m"(vcpu->pending_sel) : : "memory");
        for (; words; words &= words - 1) {
            uint32_t word = __builtin_ctz(words);
            uint32_t ports;
            while ((ports = ((volatile uint32_t *)shared->pending)[word] & ~((volatile uint32_t *)shared->mask)[word])) {
                uint32_t bit = __builtin_ctz(ports), port = word * 32 + bit;
                asm volatile("lock; btrl %1, %0" : "+m"(shared->pending[word]) : "r"(bit) : "memory", "cc");
                dispatch(port);
            }
        }
    }
}

uint32_t events_seen(void)
{
    return seen;
}

int wait_for(int (*condition)(void *), void *argument, uint64_t timeout_ns)
{
    uint64_t deadline = timeout_ns ? system_time() + timeout_ns : 0;
    int result;
    for (;;) {
        events_disable();
        result = condition(argument);
        if (result || (deadline && system_time() >= deadline))
            break;
        if (deadline)
            timer_set(deadline);
        hypercall(HC_sched_op, SCHEDOP_block);  /* unmasks and blocks at once: nothing gets lost */
    }
    events_enable();
    return result;
}

static void set_up(void)
{
    for (int i = 0; i < 32; i++)
        shared->mask[i] = ~0u;
    if (!strncmp(start_info->cmd_line, "fifo", 4) && !fifo_init())
        panic("events: no queues");
}

void events_init(void)
{
    set_up();
    events_enable();
}

void events_resume(void)
{
    memset(handlers, 0, sizeof handlers);
    set_up();
}
