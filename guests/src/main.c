/* Start of day, and what `dbt run` shows before the prompt. Nothing here depends on how fast anything runs. */
#include "kernel.h"

static void report_hypervisor(void)
{
    char extra[16], capabilities[1024];
    uint32_t version = hypercall(HC_xen_version, XENVER_version, 0);
    hypercall(HC_xen_version, XENVER_extraversion, extra);
    hypercall(HC_xen_version, XENVER_capabilities, capabilities);
    struct feature_info features = { 0, 0 };
    hypercall(HC_xen_version, XENVER_get_features, &features);
    printf("xen: version %u.%u%s, features %08x\n", version >> 16, version & 0xFFFF, extra, features.submap);
    printf("xen: capabilities %s\n", capabilities);
}

static int ticked(void *argument)
{
    return timer_events() != *(uint32_t *)argument;
}

static void timer_demo(void)
{
    uint32_t on_time = 0;
    for (int i = 0; i < 5; i++) {
        uint32_t before = timer_events();
        uint64_t deadline = system_time() + 2000000;
        timer_set(deadline);
        on_time += wait_for(ticked, &before, 0) && system_time() >= deadline;
    }
    printf("timer: 5 events asked for, %u came when due\n", on_time);
}

static uint32_t received;

static void count(uint32_t port)
{
    received++;
}

static void event_demo(void)
{
    struct evtchn_bind_ipi bind = { 0, 0 };
    if (event_op(EVTCHN_bind_ipi, &bind)) {
        printf("event: no channel\n");
        return;
    }
    event_bind(bind.port, count);
    for (int i = 0; i < 3; i++)
        event_send(bind.port);
    printf("event: 3 sent to myself, %u received\n", received);
    event_unbind(bind.port);
}

static uint32_t checksum(const uint8_t *p, uint32_t n)
{
    uint32_t h = 2166136261u;
    for (; n; n--)
        h = (h ^ *p++) * 16777619;
    return h;
}

static void disk_demo(void)
{
    if (!blk_init()) {
        printf("disk: none\n");
        return;
    }
    uint8_t *page = page_alloc();
    int status = blk_transfer(0, 0, blk_sectors() < 8 ? blk_sectors() : 8, page);
    printf("disk: %s, %u sectors; the first 4 KiB: status %d, checksum %08x\n", blk_name(), blk_sectors(), status,
           checksum(page, PAGE_SIZE));
    page_free(page);
}

static void compute_demo(void)
{
    for (const struct kernel *k = kernels; k->name; k++) {
        uint32_t result = k->run(1);
        printf("compute: %-10s %08x %s\n", k->name, result, result == k->expected ? "ok" : "WRONG");
    }
}

/* The command line may hold commands: run=command;command... */
static void command_line(void)
{
    char *p = start_info->cmd_line;
    start_info->cmd_line[sizeof start_info->cmd_line - 1] = 0;
    while (*p && strncmp(p, "run=", 4))
        p++;
    if (!*p)
        return;
    for (p += 4; p; ) {
        char *end = strchr(p, ';');
        if (end)
            *end++ = 0;
        printf("dbt> %s\n", p);
        monitor_execute(p);
        p = end;
    }
}

void kernel_main(struct start_info *info)
{
    start_info = info;
    memory_init();
    traps_init();
    events_init();
    console_init();
    timer_init();
    printf("\ndbt-guest: a 32-bit PAE Xen paravirtual kernel\n");
    if (start_info->cmd_line[0])
        printf("command line: %s\n", start_info->cmd_line);
    report_hypervisor();
    memory_report();
    grants_init();
    xs_init();
    suspend_init();
    timer_demo();
    event_demo();
    disk_demo();
    user_demo();
    compute_demo();
    command_line();
    monitor();
}
