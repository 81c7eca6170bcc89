/* Event channels, scheduling, timers, and vcpu_op. */
#include "../src/selftest.h"

static uint32_t got[2];

static void first(uint32_t port)
{
    got[0]++;
}

static void second(uint32_t port)
{
    got[1]++;
}

static int close_port(uint32_t port)
{
    struct evtchn_port argument = { port };
    return event_op(EVTCHN_close, &argument);
}

static int send(uint32_t port)
{
    struct evtchn_port argument = { port };
    return event_op(EVTCHN_send, &argument);
}

static int unmask(uint32_t port)
{
    struct evtchn_port argument = { port };
    return event_op(EVTCHN_unmask, &argument);
}

static int status_of(uint32_t port)
{
    struct evtchn_status status = { .dom = DOMID_SELF, .port = port };
    int result = event_op(EVTCHN_status, &status);
    return result ? result : (int)status.status;
}

static uint32_t read_count(int i)
{
    return ((volatile uint32_t *)got)[i];
}

static void channels(void)
{
    got[0] = got[1] = 0;
    struct evtchn_alloc_unbound alloc = { DOMID_SELF, DOMID_SELF, 0 };
    CHECK("alloc", event_op(EVTCHN_alloc_unbound, &alloc), 0);
    CHECK("alloc-status", status_of(alloc.port), STATUS_unbound);
    CHECK("send-unbound", send(alloc.port), 0);
    struct evtchn_bind_interdomain bind = { DOMID_SELF, 0, alloc.port, 0 };
    CHECK("loopback", event_op(EVTCHN_bind_interdomain, &bind), 0);
    CHECK("loopback-status", status_of(alloc.port), STATUS_interdomain);
    CHECK("loopback-again", event_op(EVTCHN_bind_interdomain, &bind), -EINVAL);
    struct evtchn_status status = { .dom = DOMID_SELF, .port = bind.local_port };
    CHECK("status", event_op(EVTCHN_status, &status), 0);
    CHECK("status-peer", status.u_port, alloc.port);
    event_bind(alloc.port, first);
    event_bind(bind.local_port, second);
    got[0] = got[1] = 0;                        /* a new channel may be pending from the start */
    CHECK("send", send(bind.local_port), 0);
    CHECK("send-first", read_count(0) * 10 + read_count(1), 10);
    send(alloc.port);
    CHECK("send-second", read_count(0) * 10 + read_count(1), 11);

    events_disable();
    send(bind.local_port);
    send(bind.local_port);
    CHECK("disabled", read_count(0), 1);
    CHECK("disabled-pending", vcpu->upcall_pending, 1);
    events_enable();
    CHECK("enabled-once", read_count(0), 2);
    event_mask(alloc.port);
    send(bind.local_port);
    CHECK("masked", read_count(0), 2);
    CHECK("unmask", unmask(alloc.port), 0);
    CHECK("unmasked", read_count(0), 3);

    struct evtchn_bind_vcpu move = { alloc.port, 0 };
    CHECK("bind-vcpu", event_op(EVTCHN_bind_vcpu, &move), 0);
    move.vcpu = 7;
    CHECK("bind-vcpu-7", event_op(EVTCHN_bind_vcpu, &move), -ENOENT);
    move = (struct evtchn_bind_vcpu){ 4000, 0 };
    CHECK("bind-vcpu-port", event_op(EVTCHN_bind_vcpu, &move), -EINVAL);
    CHECK("close", close_port(bind.local_port), 0);
    CHECK("close-peer", status_of(alloc.port), STATUS_unbound);
    CHECK("close-twice", close_port(bind.local_port), -EINVAL);
    CHECK("send-closed", send(bind.local_port), -EINVAL);
    event_unbind(alloc.port);

    struct evtchn_bind_ipi ipi = { 0, 0 };
    CHECK("ipi", event_op(EVTCHN_bind_ipi, &ipi), 0);
    CHECK("ipi-status", status_of(ipi.port), STATUS_ipi);
    event_bind(ipi.port, first);
    got[0] = 0;
    send(ipi.port);
    CHECK("ipi-send", read_count(0), 1);
    event_unbind(ipi.port);
    ipi.vcpu = 5;
    CHECK("ipi-vcpu-5", event_op(EVTCHN_bind_ipi, &ipi), -ENOENT);

    struct evtchn_bind_virq virq = { VIRQ_DEBUG, 0, 0 };
    CHECK("virq", event_op(EVTCHN_bind_virq, &virq), 0);
    CHECK("virq-status", status_of(virq.port), STATUS_virq);
    CHECK("virq-twice", event_op(EVTCHN_bind_virq, &virq), -EEXIST);
    CHECK("virq-send", send(virq.port), -EINVAL);
    move = (struct evtchn_bind_vcpu){ virq.port, 0 };
    CHECK("virq-move", event_op(EVTCHN_bind_vcpu, &move), -EINVAL);
    CHECK("virq-close", close_port(virq.port), 0);
    virq.virq = 99;
    CHECK("virq-99", event_op(EVTCHN_bind_virq, &virq), -EINVAL);
    virq = (struct evtchn_bind_virq){ VIRQ_DEBUG, 9, 0 };
    CHECK("virq-vcpu-9", event_op(EVTCHN_bind_virq, &virq), -ENOENT);
}

static void hostile_channels(void)
{
    static const uint32_t ports[] = { 0, 1023, 1024, 4095, 4096, 131071, 131072, 0x80000000, 0xFFFFFFFF };
    int sent = 0, closed = 0, unmasked = 0, states = 0;
    for (uint32_t i = 0; i < ARRAY_SIZE(ports); i++) {
        sent += send(ports[i]) == -EINVAL;
        closed += close_port(ports[i]) == -EINVAL;
        int possible = i < 2 || (fifo_used() && ports[i] < 131072);
        unmasked += possible || unmask(ports[i]) == -EINVAL;
        states += possible || status_of(ports[i]) == -EINVAL;
    }
    CHECK("send", sent, ARRAY_SIZE(ports));
    CHECK("close", closed, ARRAY_SIZE(ports));
    CHECK("unmask", unmasked, ARRAY_SIZE(ports));
    CHECK("status", states, ARRAY_SIZE(ports));
    struct evtchn_alloc_unbound alloc = { 77, DOMID_SELF, 0 };
    CHECK("alloc-for-another", event_op(EVTCHN_alloc_unbound, &alloc) < 0, 1);
    struct evtchn_bind_interdomain bind = { 77, 0, 1, 0 };
    CHECK("bind-no-domain", event_op(EVTCHN_bind_interdomain, &bind), -ESRCH);
    bind = (struct evtchn_bind_interdomain){ DOMID_SELF, 0, 0xFFFFFFFF, 0 };
    CHECK("bind-bad-port", event_op(EVTCHN_bind_interdomain, &bind), -EINVAL);
    bind.remote_port = 0;
    CHECK("bind-port-0", event_op(EVTCHN_bind_interdomain, &bind), -EINVAL);
    uint32_t pirq[3] = { 0xFFFFFF, 0, 0 };
    CHECK("pirq", event_op(EVTCHN_bind_pirq, pirq) < 0, 1);
    uint16_t none[4] = { 77 };
    CHECK("reset-no-domain", event_op(EVTCHN_reset, none) < 0, 1);
    struct { uint64_t gfn; uint32_t offset, vcpu, bits, pad; } control = { 0xFFFFFFFFFF, 0, 0, 0, 0 };
    CHECK("init-control", event_op(11, &control) < 0, 1);
    CHECK("expand-array", event_op(12, &control) < 0, 1);
    CHECK("unknown", event_op(99, &alloc), -ENOSYS);
    CHECK("wild", event_op(EVTCHN_alloc_unbound, WILD), -EFAULT);
    CHECK("hypervisor", event_op(EVTCHN_send, HV), -EFAULT);
    CHECK("read-only", event_op(EVTCHN_bind_ipi, (void *)start_info->pt_base) < 0, 1);

    /* All ports in use, and back to where it was. */
    static uint16_t mine[4096];
    uint32_t n = 0;
    int result = 0;
    while (n < ARRAY_SIZE(mine)) {
        alloc = (struct evtchn_alloc_unbound){ DOMID_SELF, DOMID_SELF, 0 };
        result = event_op(EVTCHN_alloc_unbound, &alloc);
        if (result)
            break;
        mine[n++] = alloc.port;
    }
    CHECK("all-used", result == -ENOSPC, 1);
    CHECK("all-used-many", n > 900, 1);
    struct evtchn_bind_ipi ipi = { 0, 0 };
    CHECK("none-for-ipi", event_op(EVTCHN_bind_ipi, &ipi), -ENOSPC);
    send(start_info->console_evtchn);
    for (result = 0; n; n--)
        result |= close_port(mine[n - 1]);
    CHECK("all-closed", result, 0);
    CHECK("again", event_op(EVTCHN_bind_ipi, &ipi), 0);
    close_port(ipi.port);
}

/* Waits for this have no time limit: a limit would be one more use of the one timer. */
static int after_count(void *argument)
{
    return timer_events() != *(uint32_t *)argument;
}

static void scheduling(void)
{
    CHECK("yield", hypercall(HC_sched_op, SCHEDOP_yield, 0), 0);
    CHECK("yield-compat", hypercall(HC_sched_op_compat, SCHEDOP_yield, 0), 0);
    uint64_t start = system_time();
    sleep_ns(3000000);
    CHECK("block", system_time() >= start + 3000000, 1);
    events_disable();
    hypercall(HC_set_timer_op, system_time() + 1000000);
    CHECK("block-unmasks", hypercall(HC_sched_op, SCHEDOP_block), 0);
    CHECK("block-unmasked", vcpu->upcall_mask, 0);

    struct evtchn_bind_ipi ipi = { 0, 0 };
    event_op(EVTCHN_bind_ipi, &ipi);
    uint32_t port = ipi.port;
    event_mask(port);
    start = system_time();
    struct sched_poll poll = { &port, 1, start + 3000000 };
    CHECK("poll-timeout", hypercall(HC_sched_op, SCHEDOP_poll, &poll), 0);
    uint32_t polls = 1;                         /* any event ends a poll, so it may take a few */
    for (; system_time() < start + 3000000; polls++)
        hypercall(HC_sched_op, SCHEDOP_poll, &poll);
    CHECK("poll-waited", polls < 20, 1);
    send(port);
    poll.timeout = 0;                           /* for ever, but it is pending */
    CHECK("poll-pending", hypercall(HC_sched_op, SCHEDOP_poll, &poll), 0);
    close_port(port);
    port = 0xFFFFFFFF;
    poll.timeout = system_time() + 1000000;
    CHECK("poll-bad-port", hypercall(HC_sched_op, SCHEDOP_poll, &poll), -EINVAL);
    poll.nr_ports = 1000;
    CHECK("poll-too-many", hypercall(HC_sched_op, SCHEDOP_poll, &poll), -EINVAL);
    poll = (struct sched_poll){ WILD, 1, system_time() + 1000000 };
    CHECK("poll-wild-ports", hypercall(HC_sched_op, SCHEDOP_poll, &poll), -EFAULT);
    CHECK("poll-wild", hypercall(HC_sched_op, SCHEDOP_poll, WILD), -EFAULT);
    CHECK("shutdown-wild", hypercall(HC_sched_op, SCHEDOP_shutdown, WILD), -EFAULT);
    CHECK("shutdown-hypervisor", hypercall(HC_sched_op, SCHEDOP_shutdown, HV), -EFAULT);
    CHECK("unknown", hypercall(HC_sched_op, 99, &poll), -ENOSYS);
    uint32_t dog[2] = { 99, 10 };
    CHECK("watchdog-99", hypercall(HC_sched_op, 6, dog), -EINVAL);
}

static void timers(void)
{
    uint32_t before = timer_events();
    hypercall(HC_set_timer_op, system_time() + 1000000);
    CHECK("future", wait_for(after_count, &before, 0), 1);
    before = timer_events();
    hypercall(HC_set_timer_op, (uint64_t)1);    /* long past: at once */
    CHECK("past", wait_for(after_count, &before, 0), 1);
    before = timer_events();
    hypercall(HC_set_timer_op, system_time() + 50000000);
    CHECK("cancel", hypercall(HC_set_timer_op, 0ull), 0);
    uint64_t end = system_time() + 60000000;
    while (system_time() < end)
        hypercall(HC_sched_op, SCHEDOP_yield, 0);
    CHECK("cancelled", timer_events() - before, 0);
    uint32_t backwards = 0;
    uint64_t last = system_time();
    for (int i = 0; i < 2000; i++) {
        uint64_t now = system_time();
        backwards += now < last;
        last = now;
    }
    CHECK("monotonic", backwards, 0);
    CHECK("version-even", vcpu->time.version & 1, 0);
    CHECK("wall-clock", shared->wc_sec > 1600000000, 1);
}

static int vcpu_op(int command, int id, void *argument)
{
    return hypercall(HC_vcpu_op, command, id, argument);
}

static void vcpu_ops(void)
{
    static struct runstate run, area;
    static int registered;
    CHECK("is-up", vcpu_op(VCPUOP_is_up, 0, 0), 1);
    CHECK("is-up-40", vcpu_op(VCPUOP_is_up, 40, 0), -ENOENT);
    CHECK("is-up-huge", vcpu_op(VCPUOP_is_up, 0x80000000, 0), -ENOENT);
    CHECK("up-40", vcpu_op(VCPUOP_up, 40, 0), -ENOENT);
    CHECK("initialise-40", vcpu_op(VCPUOP_initialise, 40, 0), -ENOENT);
    CHECK("runstate", vcpu_op(VCPUOP_get_runstate, 0, &run), 0);
    CHECK("runstate-running", run.state == 0 && run.entry_time != 0, 1);
    CHECK("runstate-wild", vcpu_op(VCPUOP_get_runstate, 0, WILD), -EFAULT);
    union { struct runstate *area; uint64_t v; } where = { &area };
    area.state = 77;
    CHECK("register-runstate", vcpu_op(VCPUOP_register_runstate, 0, &where), 0);
    CHECK("register-runstate-seen", ((volatile struct runstate *)&area)->state, 0);
    CHECK("register-runstate-wild", vcpu_op(VCPUOP_register_runstate, 0, WILD), -EFAULT);

    struct singleshot shot = { 1, 1 };
    int past = vcpu_op(VCPUOP_set_singleshot, 0, &shot);
    CHECK("singleshot-past", past == -ETIME || past == 0, 1);   /* by the header; later versions fire at once */
    uint32_t before = timer_events();
    shot.flags = 0;
    CHECK("singleshot-past-unflagged", vcpu_op(VCPUOP_set_singleshot, 0, &shot), 0);
    CHECK("singleshot-fires", wait_for(after_count, &before, 0), 1);
    before = timer_events();
    shot = (struct singleshot){ system_time() + 100000000, 1 };
    CHECK("singleshot-future", vcpu_op(VCPUOP_set_singleshot, 0, &shot), 0);
    CHECK("singleshot-future-fires", wait_for(after_count, &before, 0), 1);
    shot.timeout_abs_ns = system_time() + 2000000000;
    vcpu_op(VCPUOP_set_singleshot, 0, &shot);
    CHECK("singleshot-stop", vcpu_op(VCPUOP_stop_singleshot, 0, 0), 0);
    CHECK("singleshot-wild", vcpu_op(VCPUOP_set_singleshot, 0, WILD), -EFAULT);
    uint64_t period = 5000000;
    CHECK("periodic", vcpu_op(VCPUOP_set_periodic, 0, &period), 0);
    before = timer_events();
    uint64_t end = system_time() + 10000000000ull;
    while (timer_events() - before < 3 && system_time() < end)
        ;                                       /* not blocked: a processor that does not run has no ticks */
    CHECK("periodic-ticks", timer_events() - before >= 3, 1);
    CHECK("periodic-stop", vcpu_op(VCPUOP_stop_periodic, 0, 0), 0);
    period = 1000;
    CHECK("periodic-too-short", vcpu_op(VCPUOP_set_periodic, 0, &period), -EINVAL);

    struct register_vcpu_info info = { 0xFFFFFFFF, 0, 0 };
    CHECK("vcpu-info-beyond", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    static struct vcpu_info own[2] __attribute__((aligned(128)));
    info = (struct register_vcpu_info){ virt_to_mfn(own), PAGE_SIZE - 32, 0 };
    CHECK("vcpu-info-crosses", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    info.offset = 0xFFFFFFF0;
    CHECK("vcpu-info-wraps", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    info.offset = 3;
    CHECK("vcpu-info-unaligned", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    info = (struct register_vcpu_info){ virt_to_mfn((void *)start_info->pt_base), 0, 0 };
    CHECK("vcpu-info-page-table", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    CHECK("vcpu-info-wild", vcpu_op(VCPUOP_register_vcpu_info, 0, WILD), -EFAULT);
    info = (struct register_vcpu_info){ virt_to_mfn(own), (uint32_t)own & 4095, 0 };
    events_disable();                           /* an upcall must not look at the old place */
    int result = vcpu_op(VCPUOP_register_vcpu_info, 0, &info);
    if (!result)
        vcpu = own;
    events_enable();
    CHECK("vcpu-info", result < 0, registered);
    registered = 1;
    before = timer_events();
    shot = (struct singleshot){ system_time() + 2000000, 0 };
    vcpu_op(VCPUOP_set_singleshot, 0, &shot);
    CHECK("vcpu-info-events", wait_for(after_count, &before, 0), 1);
    CHECK("vcpu-info-twice", vcpu_op(VCPUOP_register_vcpu_info, 0, &info) < 0, 1);
    CHECK("unknown", vcpu_op(99, 0, &info), -ENOSYS);
}

const struct test event_tests[] = {
    { "event_channel", channels }, { "event_channel_hostile", hostile_channels }, { "sched_op", scheduling },
    { "timer", timers }, { "vcpu_op", vcpu_ops }, { 0, 0 },
};
