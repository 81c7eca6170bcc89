/* System time from the processor's time record, and the one-shot timer. */
#include "kernel.h"

static uint32_t fired;

static void tick(uint32_t port)
{
    fired++;
}

uint32_t timer_events(void)
{
    return *(volatile uint32_t *)&fired;
}

/* Nanoseconds since the domain's start. An odd version, or a changed one, means that the record was being written. */
uint64_t system_time(void)
{
    volatile struct vcpu_time *time = &vcpu->time;
    uint32_t version;
    uint64_t result;
    do {
        uint64_t tsc;
        version = time->version;
        barrier();
        asm volatile("rdtsc" : "=A"(tsc));
        uint64_t delta = tsc - time->tsc;
        int shift = time->shift;
        delta = shift < 0 ? delta >> -shift : delta << shift;
        uint32_t mul = time->mul;
        result = time->system_time + (((uint64_t)(uint32_t)delta * mul) >> 32) + (delta >> 32) * mul;
        barrier();
    } while ((version & 1) || version != time->version);
    return result;
}

void timer_set(uint64_t deadline)
{
    hypercall(HC_set_timer_op, deadline);
}

static int never(void *argument)
{
    return 0;
}

void sleep_ns(uint64_t ns)
{
    wait_for(never, 0, ns);
}

void timer_init(void)
{
    struct evtchn_bind_virq bind = { VIRQ_TIMER, 0, 0 };
    hypercall(HC_vcpu_op, VCPUOP_stop_periodic, 0, 0);  /* an idle kernel is not woken for nothing */
    if (event_op(EVTCHN_bind_virq, &bind))
        panic("no timer");
    event_bind(bind.port, tick);
}
