/*
 * Suspending when the tools ask by control/shutdown, and being set up anew where the guest goes on (public/sched.h, SHUTDOWN_suspend).
 * Whoever saves this domain knows its memory by the p2m, and its start_info by the third argument of the call. Everything else that has
 * a machine frame or an event channel in it is let go of before, and made again behind.
 */
#include "kernel.h"

#define MOST_PROCESSORS 128

static uint32_t list_list[PAGE_SIZE / 4] PAGE_ALIGN, list[PAGE_SIZE / 4] PAGE_ALIGN;
static uint32_t resumed, cancelled, instead;
static uint8_t was_up[MOST_PROCESSORS];

/* Tells where the p2m is: a page of frame numbers of pages of frame numbers of its pages. One of each is enough for 4 GiB. */
static void tell_p2m(void)
{
    uint32_t pages = (start_info->nr_pages + PAGE_SIZE / 4 - 1) / (PAGE_SIZE / 4);
    for (uint32_t i = 0; i < pages; i++)
        list[i] = virt_to_mfn(p2m + i * (PAGE_SIZE / 4));
    list_list[0] = virt_to_mfn(list);
    shared->p2m_list_list = virt_to_mfn(list_list);
    shared->max_pfn = start_info->nr_pages;
}

void suspend_init(void)
{
    tell_p2m();
    if (xs_available()) {
        xs_watch("control/shutdown", SHUTDOWN_TOKEN);
        xs_write("control/feature-suspend", "1");
    }
}

static int vcpu_op(int op, uint32_t id)
{
    return hypercall(HC_vcpu_op, op, id, 0);
}

static void stop_others(void)
{
    for (uint32_t id = 1; id < MOST_PROCESSORS; id++) {
        was_up[id] = vcpu_op(VCPUOP_is_up, id) == 1;
        if (was_up[id])
            vcpu_op(VCPUOP_down, id);
    }
}

static void start_others(void)
{
    for (uint32_t id = 1; id < MOST_PROCESSORS; id++)
        if (was_up[id])
            vcpu_op(VCPUOP_up, id);
}

static int call(void)
{
    uint32_t reason = SHUTDOWN_suspend, mfn = instead ? instead : virt_to_mfn(start_info);
    instead = 0;
    start_info->store_mfn = m2p[start_info->store_mfn];
    start_info->console_mfn = m2p[start_info->console_mfn];
    int result = hypercall(HC_sched_op, SCHEDOP_shutdown, &reason, mfn);
    if (result) {                       /* still the same domain: nobody has put these right */
        start_info->store_mfn = p2m[start_info->store_mfn];
        start_info->console_mfn = p2m[start_info->console_mfn];
    }
    return result;
}

/* In the order of the start of day. A vcpu_info of our own is at its place again. */
static void set_up(volatile struct vcpu_info *own)
{
    events_resume();
    if (own) {
        struct register_vcpu_info info = { virt_to_mfn((void *)own), (uint32_t)own & (PAGE_SIZE - 1), 0 };
        if (hypercall(HC_vcpu_op, VCPUOP_register_vcpu_info, 0, &info))
            panic("vcpu_info is not to be had again");
        vcpu = own;
    }
    console_init();
    timer_init();
    grants_init();
}

static void suspend(void)
{
    events_disable();
    stop_others();
    volatile struct vcpu_info *own = vcpu == shared->vcpu ? 0 : vcpu;
    grants_hide();
    memory_hide_shared_info();
    int still_here = call();            /* 1, or less than 0 where it failed; 0 in a new domain */
    memory_show_shared_info();
    if (still_here) {
        cancelled++;
        grants_show();
        events_enable();
    } else {
        resumed++;
        vcpu = shared->vcpu;
        set_up(own);
        tell_p2m();
        events_enable();
        xs_init();
        suspend_init();
        blk_resume();
        card_resume();
    }
    start_others();
}

/* An event that comes with an answer isn't waited for: so on until there is none. */
void suspend_if_asked(void)
{
    char value[16];
    while (xs_shutdown_asked()) {
        if (xs_read("control/shutdown", value, sizeof value) < 0 || strcmp(value, "suspend"))
            continue;
        xs_write("control/shutdown", "");
        suspend();
    }
}

void suspend_command(char **words, int count)
{
    if (count > 1 && parse_number(words[1], &instead))
        return;
    printf("suspend: resumed %u times, cancelled %u times\n", resumed, cancelled);
}
