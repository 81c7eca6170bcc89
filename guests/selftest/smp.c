/*
 * Several processors: starting them, the failsafe callback, up and down, events, timers and NMIs between them, poll, and the flush of
 * another's TLB. The second processor does jobs; the third starts with a segment that can't be loaded. Needs vcpus=3; says so otherwise.
 */
#include "../src/selftest.h"

#define WORKER 1
#define FAILSAFE 2

static struct vcpu_context context;
static uint8_t worker_stack[2 * PAGE_SIZE] PAGE_ALIGN, failsafe_stack[PAGE_SIZE] PAGE_ALIGN;
static void (*volatile job)(void);
static volatile uint32_t worker_runs, upcalls, page_faults, may_write, rounds;
static volatile uint32_t failsafe_frame[7], failsafe_seen, failsafe_resumed;
static volatile uint32_t nmis, nmi_depth, nmi_deepest;
static uint32_t job_port, job_result;
static volatile uint32_t *volatile target;

extern char smp_worker[], smp_upcall[], smp_page_fault[], smp_failsafe[], smp_failsafe_start[], smp_nmi[];

/* The ways in: each saves what it uses, and goes back through the iret hypercall. */
asm(".text\n"
    "smp_worker: call smp_work\n"
    "smp_upcall: pusha; cld; call smp_take_upcall; popa; jmp hypercall_page + 23 * 32\n"
    "smp_nmi: pusha; cld; call smp_take_nmi; popa; jmp hypercall_page + 23 * 32\n"
    "smp_page_fault: pusha; cld; call smp_take_fault; popa; addl $4, %esp; jmp hypercall_page + 23 * 32\n"
    "smp_failsafe: pusha; leal 32(%esp), %eax; pushl %eax; call smp_take_failsafe; addl $4, %esp; popa\n"
    "   addl $16, %esp; jmp hypercall_page + 23 * 32\n"
    "smp_failsafe_start: call smp_after_failsafe\n");

static int vcpu_op(int op, uint32_t id, void *argument)
{
    return hypercall(HC_vcpu_op, op, id, argument);
}

static void yield(void)
{
    hypercall(HC_sched_op, SCHEDOP_yield, 0);
}

__attribute__((used, noreturn)) void smp_work(void)
{
    for (;;) {
        worker_runs++;
        if (job) {
            job();
            job = 0;
        }
        yield();
    }
}

static void taken(uint32_t port)
{
}

__attribute__((used)) void smp_take_upcall(void)
{
    shared->vcpu[WORKER].upcall_pending = 0;
    shared->vcpu[WORKER].pending_sel = 0;
    if (fifo_used())
        fifo_take(WORKER, taken);
    else
        event_clear(job_port);
    upcalls++;
}

__attribute__((used)) void smp_take_nmi(void)
{
    if (++nmi_depth > nmi_deepest)
        nmi_deepest = nmi_depth;
    if (++nmis == 2)                            /* comes when this one is done */
        vcpu_op(VCPUOP_send_nmi, 0, 0);
    nmi_depth--;
}

__attribute__((used)) void smp_take_fault(void)
{
    page_faults++;
    while (!may_write)
        yield();
}

__attribute__((used)) void smp_take_failsafe(const uint32_t *frame)
{
    for (int i = 0; i < 7; i++)
        failsafe_frame[i] = frame[i];
    failsafe_seen++;
}

__attribute__((used, noreturn)) void smp_after_failsafe(void)
{
    for (;;) {
        failsafe_resumed++;
        vcpu_op(VCPUOP_down, FAILSAFE, 0);
    }
}

static void prepare(uint32_t entry, void *stack_top)
{
    memset(&context, 0, sizeof context);
    context.eip = entry;
    context.esp = context.kernel_sp = (uint32_t)stack_top;
    context.cs = context.event_cs = context.failsafe_cs = KERNEL_CS;
    context.ss = context.ds = context.es = context.kernel_ss = KERNEL_DS;
    context.event_eip = (uint32_t)smp_upcall;
    context.failsafe_eip = (uint32_t)smp_failsafe;
    context.traps[14] = (struct trap_info){ 14, 1, KERNEL_CS, (uint32_t)smp_page_fault };
    uint32_t mfn = virt_to_mfn((void *)start_info->pt_base);
    context.cr[3] = mfn << 12 | mfn >> 20;
}

static int wait_until(int (*condition)(void))
{
    uint64_t end = system_time() + 20000000000ull;
    while (!condition()) {
        if (system_time() > end)
            return 0;
        yield();
    }
    return 1;
}

static int job_done(void)
{
    return !job;
}

static int run(void (*what)(void))
{
    job = what;
    return wait_until(job_done);
}

static int worker_ran(void)
{
    return worker_runs != 0;
}

static int worker_is_down(void)
{
    return vcpu_op(VCPUOP_is_up, WORKER, 0) == 0;
}

static int failsafe_is_done(void)
{
    return failsafe_resumed && vcpu_op(VCPUOP_is_up, FAILSAFE, 0) == 0;
}

static int upcall_came(void)
{
    return upcalls != 0;
}

static int started(void)
{
    static int is_started;
    if (!is_started && vcpu_op(VCPUOP_is_up, FAILSAFE, 0) != -ENOENT) {
        prepare((uint32_t)smp_worker, worker_stack + sizeof worker_stack);
        CHECK("initialise", vcpu_op(VCPUOP_initialise, WORKER, &context), 0);
        CHECK("initialised-is-down", vcpu_op(VCPUOP_is_up, WORKER, 0), 0);
        CHECK("up", vcpu_op(VCPUOP_up, WORKER, 0), 0);
        is_started = 1;
    } else if (is_started) {
        vcpu_op(VCPUOP_up, WORKER, 0);
    }
    return is_started;
}

static void processors(void)
{
    if (!started()) {
        printf("skipped: needs vcpus=3\n");
        return;
    }
    CHECK("initialise-again", vcpu_op(VCPUOP_initialise, WORKER, &context), -EEXIST);
    CHECK("runs", wait_until(worker_ran), 1);
    CHECK("is-up", vcpu_op(VCPUOP_is_up, WORKER, 0), 1);
    CHECK("up-again", vcpu_op(VCPUOP_up, WORKER, 0), 0);
    CHECK("down", vcpu_op(VCPUOP_down, WORKER, 0), 0);
    CHECK("is-down", wait_until(worker_is_down), 1);
    uint32_t before = worker_runs;
    for (int i = 0; i < 100; i++)
        yield();
    CHECK("stands-still", worker_runs - before <= 1, 1);
    worker_runs = 0;
    CHECK("up-after-down", vcpu_op(VCPUOP_up, WORKER, 0), 0);
    CHECK("goes-on", wait_until(worker_ran), 1);
}

static void failsafe(void)
{
    if (!started())
        return;
    if (!failsafe_seen) {
        prepare((uint32_t)smp_failsafe_start, failsafe_stack + sizeof failsafe_stack);
        context.gs = 0x1238;
        context.flags = VGCF_online;
        CHECK("initialise", vcpu_op(VCPUOP_initialise, FAILSAFE, &context), 0);
    } else {
        failsafe_resumed = 0;
        CHECK("up", vcpu_op(VCPUOP_up, FAILSAFE, 0), 0);
    }
    CHECK("entered-and-gone-on", wait_until(failsafe_is_done), 1);
    CHECK("once", failsafe_seen, 1);
    CHECK("ds", failsafe_frame[0], KERNEL_DS);
    CHECK("fs", failsafe_frame[2], 0);
    CHECK("gs", failsafe_frame[3], 0x1238);
    CHECK("eip", failsafe_frame[4], (long)smp_failsafe_start);
    CHECK("cs", failsafe_frame[5] & 0xFFFF, KERNEL_CS);
}

static volatile int first_awake;

static int nmi_came(void *count)
{
    return nmis >= (uint32_t)count;
}

/* One that comes just before the first processor blocks is taken, and doesn't wake it any more: no event mask holds it up. So it is sent until it has done so. */
static void send_nmi_to_first(void)
{
    do {
        vcpu_op(VCPUOP_send_nmi, 0, 0);
        for (int i = 0; i < 1000 && !first_awake; i++)
            yield();
    } while (!first_awake);
}

static void non_maskable(void)
{
    struct callback_register handler = { CALLBACK_nmi, 0, KERNEL_CS, (uint32_t)smp_nmi };
    nmis = nmi_deepest = 0;
    CHECK("argument", vcpu_op(VCPUOP_send_nmi, 0, &handler), -EINVAL);
    CHECK("unregister-first", hypercall(HC_callback_op, CALLBACKOP_unregister, &handler), 0);
    CHECK("nobody-handles-it", vcpu_op(VCPUOP_send_nmi, 0, 0), 0);
    CHECK("register", hypercall(HC_callback_op, CALLBACKOP_register, &handler), 0);
    CHECK("was-lost", nmis, 0);
    events_disable();
    CHECK("send", vcpu_op(VCPUOP_send_nmi, 0, 0), 0);
    CHECK("comes-while-masked", nmis, 1);
    events_enable();
    CHECK("send-second", vcpu_op(VCPUOP_send_nmi, 0, 0), 0);
    CHECK("second-brings-third", nmis, 3);
    CHECK("not-nested", nmi_deepest, 1);
    if (started()) {
        first_awake = 0;
        job = send_nmi_to_first;
        int came = wait_for(nmi_came, (void *)4, 0);
        first_awake = 1;
        CHECK("wakes-blocked", came, 1);
        CHECK("worker-done", wait_until(job_done), 1);
    }
    CHECK("unregister", hypercall(HC_callback_op, CALLBACKOP_unregister, &handler), 0);
}

static void send_port(void)
{
    event_send(job_port);
}

static void wait_for_event(void)
{
    hypercall(HC_sched_op, SCHEDOP_block, 0);   /* unmasks */
    shared->vcpu[WORKER].upcall_mask = 1;
}

static void polls(void)
{
    if (!started())
        return;
    struct evtchn_bind_ipi bind = { 0, 0 };
    CHECK("bind", event_op(EVTCHN_bind_ipi, &bind), 0);
    job_port = bind.port;
    uint32_t ports[2] = { job_port, job_port };
    struct sched_poll poll = { ports, 2, 0 };
    events_disable();
    job = send_port;
    CHECK("poll", hypercall(HC_sched_op, SCHEDOP_poll, &poll), 0);
    CHECK("poll-pending", event_pending(job_port), 1);
    poll.timeout = 0x7000000000000000ull;
    CHECK("poll-again", hypercall(HC_sched_op, SCHEDOP_poll, &poll), 0);
    CHECK("done", wait_until(job_done), 1);
    event_unbind(job_port);
    poll.nr_ports = 0;
    poll.timeout = system_time() + 1000000;
    CHECK("poll-time", hypercall(HC_sched_op, SCHEDOP_poll, &poll), 0);
    CHECK("poll-time-over", system_time() >= poll.timeout, 1);
    events_enable();
}

static struct singleshot shot;

static void set_singleshot(void)
{
    shot = (struct singleshot){ system_time() + 3000000, 0 };
    job_result = vcpu_op(VCPUOP_set_singleshot, WORKER, &shot);
    wait_for_event();
}

static void timers(void)
{
    if (!started())
        return;
    struct evtchn_bind_virq virq = { VIRQ_TIMER, WORKER, 0 };
    CHECK("bind", event_op(EVTCHN_bind_virq, &virq), 0);
    CHECK("stop-periodic", vcpu_op(VCPUOP_stop_periodic, WORKER, 0), 0);
    struct evtchn_port port = { job_port = virq.port };
    upcalls = 0;
    event_op(EVTCHN_unmask, &port);
    CHECK("singleshot-of-another", vcpu_op(VCPUOP_set_singleshot, WORKER, &shot), -EINVAL);
    CHECK("stop-of-another", vcpu_op(VCPUOP_stop_singleshot, WORKER, 0), -EINVAL);
    CHECK("singleshot", run(set_singleshot), 1);
    CHECK("singleshot-set", job_result, 0);
    CHECK("singleshot-fired", upcall_came(), 1);
    uint64_t period = 2000000;
    upcalls = 0;
    CHECK("periodic-of-another", vcpu_op(VCPUOP_set_periodic, WORKER, &period), 0);
    shared->vcpu[WORKER].upcall_mask = 0;
    CHECK("periodic-fired", wait_until(upcall_came), 1);
    CHECK("periodic-stop", vcpu_op(VCPUOP_stop_periodic, WORKER, 0), 0);
    shared->vcpu[WORKER].upcall_mask = 1;
    event_mask(job_port);
    CHECK("close", event_op(EVTCHN_close, &port), 0);
}

/* Writes through one mapping; the first processor takes the right away, and nothing may be written after that. */
static void write_on(void)
{
    for (uint32_t n = 1; rounds; n++)
        target[n & 1023] = n;
}

static void shootdown(void)
{
    if (!started())
        return;
    uint32_t *page = page_alloc(), bad = 0;
    uint32_t alias = 0x30400000, sum, again;
    map_page(alias, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_RW | PTE_A | PTE_D);
    target = (uint32_t *)alias;
    page_faults = 0;
    may_write = rounds = 1;
    job = write_on;
    uint64_t end = system_time() + 200000000;
    for (uint32_t i = 0; i < 40 || (!page_faults && system_time() < end); i++) {
        may_write = 0;
        hypercall(HC_update_va_mapping, alias, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_A, UVMF_INVLPG | UVMF_ALL);
        sum = again = 0;
        for (int k = 0; k < 1024; k++)
            sum += ((volatile uint32_t *)page)[k];
        yield();
        for (int k = 0; k < 1024; k++)
            again += ((volatile uint32_t *)page)[k];
        bad += sum != again;
        hypercall(HC_update_va_mapping, alias, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_RW | PTE_A | PTE_D, UVMF_INVLPG);
        may_write = 1;
        yield();
    }
    rounds = 0;
    CHECK("stopped", wait_until(job_done), 1);
    CHECK("nothing-written-late", bad, 0);
    hypercall(HC_update_va_mapping, alias, 0ull, UVMF_TLB_FLUSH | UVMF_ALL);
    page_free(page);
}

static void suspend(void)
{
    if (started())
        CHECK("worker-down", vcpu_op(VCPUOP_down, WORKER, 0), 0);
    uint32_t reason = SHUTDOWN_suspend;
    uint64_t before = system_time();
    CHECK("cancelled", hypercall(HC_sched_op, SCHEDOP_shutdown, &reason, virt_to_mfn(start_info)), 1);
    CHECK("time-goes-on", system_time() >= before, 1);
    sleep_ns(1000000);
    CHECK("timers-go-on", system_time() >= before + 1000000, 1);
}

const struct test smp_tests[] = {
    { "processors", processors }, { "failsafe", failsafe }, { "nmi", non_maskable }, { "poll", polls },
    { "processor_timers", timers }, { "shootdown", shootdown }, { "suspend", suspend }, { 0, 0 },
};
