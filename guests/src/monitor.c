/* The prompt. */
#include "kernel.h"

static int split(char *line, char **words, int limit)
{
    int n = 0;
    while (n < limit) {
        while (*line == ' ')
            line++;
        if (!*line)
            break;
        words[n++] = line;
        while (*line && *line != ' ')
            line++;
        if (*line)
            *line++ = 0;
    }
    return n;
}

static uint32_t number_or(char **words, int count, int index, uint32_t otherwise)
{
    uint32_t value;
    return index < count && parse_number(words[index], &value) ? value : otherwise;
}

static void hex_dump(const uint8_t *p, uint32_t n, uint32_t address)
{
    for (uint32_t i = 0; i < n; i += 16) {
        printf("%08x ", address + i);
        for (uint32_t j = 0; j < 16 && i + j < n; j++)
            printf(" %02x", p[i + j]);
        printf("  ");
        for (uint32_t j = 0; j < 16 && i + j < n; j++)
            printf("%c", p[i + j] >= 32 && p[i + j] < 127 ? p[i + j] : '.');
        printf("\n");
    }
}

static void help(char **words, int count);

static void memory(char **words, int count)
{
    memory_report();
    printf("memory: %u pages free; image %08x - %08x, p2m %08x, page tables %08x\n", pages_free(), (uint32_t)_start,
           (uint32_t)_end, start_info->mfn_list, start_info->pt_base);
}

static void time(char **words, int count)
{
    uint32_t ns, version, seconds;
    uint64_t up = divide(system_time(), 1000000000, &ns);
    volatile struct shared_info *info = shared;
    do {
        version = info->wc_version;
        seconds = info->wc_sec;
    } while ((version & 1) || version != info->wc_version);
    printf("time: up %u.%09u s, wall clock at start %u s since 1970\n", (uint32_t)up, ns, seconds);
}

static void bench(char **words, int count)
{
    int timed = 0, at = 1;
    if (at < count && !strcmp(words[at], "-t")) {
        timed = 1;
        at++;
    }
    const char *wanted = at < count ? words[at] : 0;
    uint32_t n = number_or(words, count, at + 1, 1), found = 0;
    for (const struct kernel *k = kernels; k->name; k++) {
        if (wanted && strcmp(wanted, k->name) && strcmp(wanted, "all"))
            continue;
        found = 1;
        uint64_t start = system_time();
        uint32_t result = k->run(n);
        uint64_t end = system_time();
        printf("bench: %-10s %8u times, checksum %08x", k->name, n, result);
        if (timed)
            printf(", %llu us", divide(end - start, 1000, 0));
        printf("\n");
    }
    if (!found)
        printf("bench: no kernel of that name\n");
}

static void disk(char **words, int count)
{
    uint32_t sector = number_or(words, count, 2, 0), n = number_or(words, count, 3, 1);
    if (count < 2 || !blk_sectors()) {
        printf(blk_sectors() ? "disk: read SECTOR [COUNT], write SECTOR TEXT, sum, or close\n" : "disk: none\n");
        return;
    }
    if (!strcmp(words[1], "close")) {
        blk_close();
        printf("disk: closed\n");
        return;
    }
    uint8_t *page = page_alloc();
    if (!strcmp(words[1], "read")) {
        for (; n; n--, sector++) {
            int status = blk_transfer(0, sector, 1, page);
            if (status) {
                printf("disk: sector %u: status %d\n", sector, status);
                break;
            }
            hex_dump(page, 512, sector * 512);
        }
    } else if (!strcmp(words[1], "write") && count > 3) {
        format((char *)page, 512, "%s", words[3]);
        printf("disk: write of sector %u: status %d\n", sector, blk_transfer(1, sector, 1, page));
    } else if (!strcmp(words[1], "sum")) {
        uint32_t hash = 2166136261u;
        int status = 0;
        for (sector = 0; sector < blk_sectors() && !status; sector += 8) {
            uint32_t part = blk_sectors() - sector < 8 ? blk_sectors() - sector : 8;
            status = blk_transfer(0, sector, part, page);
            for (uint32_t i = 0; i < part * 512; i++)
                hash = (hash ^ page[i]) * 16777619;
        }
        printf("disk: %u sectors, status %d, checksum %08x\n", blk_sectors(), status, hash);
    } else {
        printf("disk: read SECTOR [COUNT], write SECTOR TEXT, sum, or close\n");
    }
    page_free(page);
}

static void run_serve(char **words, int count)
{
    serve(number_or(words, count, 1, 0));
}

static void xs(char **words, int count)
{
    char reply[1024];
    int n;
    if (count < 3) {
        printf("xs: ls PATH, read PATH, write PATH VALUE, or rm PATH\n");
        return;
    }
    if (!strcmp(words[1], "write") && count > 3) {
        printf("xs: %s\n", xs_write(words[2], words[3]) < 0 ? "refused" : "written");
        return;
    }
    int type = !strcmp(words[1], "ls") ? XS_DIRECTORY : !strcmp(words[1], "rm") ? XS_RM : XS_READ;
    n = xs_request(type, 0, words[2], strlen(words[2]) + 1, reply, sizeof reply);
    if (n < 0) {
        printf("xs: %s\n", reply);
        return;
    }
    for (int at = 0; type == XS_DIRECTORY && at < n; at += strlen(reply + at) + 1)
        printf("%s\n", reply + at);
    if (type != XS_DIRECTORY)
        printf("%s\n", reply);
}

static void events(char **words, int count)
{
    static const char *const kinds[] = { "closed", "unbound", "interdomain", "pirq", "virq", "ipi" };
    for (uint32_t port = 0; port < 1024; port++) {
        struct evtchn_status status = { .dom = DOMID_SELF, .port = port };
        if (event_op(EVTCHN_status, &status))
            break;
        if (status.status && status.status < ARRAY_SIZE(kinds))
            printf("events: port %u %s\n", port, kinds[status.status]);
    }
}

static void idle(char **words, int count)
{
    sleep_ns((uint64_t)number_or(words, count, 1, 1) * 1000000000);
    printf("idle: done\n");
}

static void peek(char **words, int count)
{
    uint32_t address = number_or(words, count, 1, VIRT_BASE), value = 0;
    TRY("movl (%1), %0", : "+r"(value) : "r"(address) : "memory");
    if (fault.vector >= 0)
        printf("%08x: trap %d, error %x\n", address, fault.vector, fault.error);
    else
        printf("%08x: %08x\n", address, value);
}

static void poke(char **words, int count)
{
    uint32_t address = number_or(words, count, 1, 0), value = number_or(words, count, 2, 0);
    TRY("movl %1, (%0)", : : "r"(address), "r"(value) : "memory");
    if (fault.vector >= 0)
        printf("%08x: trap %d, error %x\n", address, fault.vector, fault.error);
}

/* Ways to end badly: what a person sees then comes from the hypervisor. */
static void crash(char **words, int count)
{
    const char *how = count > 1 ? words[1] : "";
    if (!strcmp(how, "panic"))
        panic("by request");
    if (strcmp(how, "ud2") && strcmp(how, "pagefault") && strcmp(how, "triple") && strcmp(how, "wildptr")) {
        printf("crash: ud2, pagefault, triple, wildptr, or panic\n");
        return;
    }
    if (strcmp(how, "triple"))
        hypercall(HC_set_trap_table, 0);        /* no handlers: it is for the hypervisor to say */
    if (!strcmp(how, "ud2"))
        asm volatile("ud2");
    else if (!strcmp(how, "wildptr"))
        asm volatile("jmp *%0" : : "r"(0xDEADBEEF));
    else if (!strcmp(how, "triple"))
        asm volatile("movl $0x1000, %esp\n\tint3");
    else
        *(volatile uint32_t *)0x1234 = 0;
    printf("crash: still alive\n");
}

/* Ways to hang: for good and with interrupts off, for good with them on, waiting for what never comes, asleep for good. */
static void hang(char **words, int count)
{
    const char *how = count > 1 ? words[1] : "";
    if (!strcmp(how, "spin")) {
        events_disable();
        for (;;)
            barrier();
    } else if (!strcmp(how, "busy")) {
        for (;;)
            barrier();
    } else if (!strcmp(how, "wait")) {
        timer_set(0);
        for (;;)
            hypercall(HC_sched_op, SCHEDOP_block);
    } else if (!strcmp(how, "dead")) {
        timer_set(0);
        for (uint32_t port = 1; port < 1024; port++)
            event_mask(port);
        for (;;)
            hypercall(HC_sched_op, SCHEDOP_block);
    }
    printf("hang: spin, busy, wait, or dead\n");
}

/* What the keyboard really sends. */
static void keys(char **words, int count)
{
    printf("keys: press some, q ends\n");
    for (int c = 0; c != 'q'; ) {
        c = console_getc();
        printf("%02x ", c);
    }
    printf("\n");
}

/* Takes input as it comes, at the speed of the ring: for pastes. */
static void sum(char **words, int count)
{
    uint32_t wanted = number_or(words, count, 1, 0), hash = 2166136261u;
    for (uint32_t i = 0; i < wanted; i++)
        hash = (hash ^ (uint8_t)console_getc()) * 16777619;
    printf("sum: %u bytes, checksum %08x\n", wanted, hash);
}

static void bytes(char **words, int count)
{
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = i;
    console_write_raw(all, sizeof all);
    printf("\n");
}

static void run_selftest(char **words, int count)
{
    selftest(count > 1 ? words[1] : 0);
}

static void run_fuzz(char **words, int count)
{
    fuzz(number_or(words, count, 1, 1), number_or(words, count, 2, 1000));
}

static void user(char **words, int count)
{
    user_demo();
}

static void halt(char **words, int count)
{
    shutdown(SHUTDOWN_poweroff);
}

static void reboot(char **words, int count)
{
    shutdown(SHUTDOWN_reboot);
}

static void echo(char **words, int count)
{
    for (int i = 1; i < count; i++)
        printf("%s%s", words[i], i + 1 < count ? " " : "");
    printf("\n");
}

static const struct { const char *name; void (*run)(char **, int); const char *help; } commands[] = {
    { "help", help, "this list" },
    { "mem", memory, "memory map" },
    { "time", time, "uptime and wall clock" },
    { "bench", bench, "[-t] [KERNEL|all] [N]: compute kernels N times; -t shows the time" },
    { "disk", disk, "read SECTOR [COUNT] | write SECTOR TEXT | sum | close" },
    { "xs", xs, "ls PATH | read PATH | write PATH VALUE | rm PATH" },
    { "events", events, "event channels in use" },
    { "pair", pair, "offer DOMAIN | join DOMAIN REF PORT COPY WORDS [keep]: two domains on a shared ring" },
    { "serve", run_serve, "[COUNT]: serves disks and network cards to other domains, until so many are closed" },
    { "net", net, "ADDRESS | close: uses the network card" },
    { "ping", ping, "ADDRESS [COUNT [BYTES]]" },
    { "user", user, "runs the ring-3 process" },
    { "idle", idle, "[SECONDS]: sleeps" },
    { "peek", peek, "ADDRESS" },
    { "poke", poke, "ADDRESS VALUE" },
    { "selftest", run_selftest, "[GROUP]: tests of the hypervisor and the processor" },
    { "fuzz", run_fuzz, "[SEED] [COUNT]: random hypercalls; the guest may not survive" },
    { "crash", crash, "ud2 | pagefault | triple | wildptr | panic" },
    { "hang", hang, "spin | busy | wait | dead" },
    { "suspend", suspend_command, "[MFN]: how often it was asked to; the next time with MFN for start_info's" },
    { "keys", keys, "shows the codes of keys until q" },
    { "sum", sum, "COUNT: takes so many bytes of input, and shows their checksum" },
    { "bytes", bytes, "writes a byte of each value" },
    { "echo", echo, "WORDS" },
    { "halt", halt, "power off" },
    { "reboot", reboot, "reboot" },
};

static void help(char **words, int count)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(commands); i++)
        printf("%-9s %s\n", commands[i].name, commands[i].help);
}

void monitor_execute(char *line)
{
    char *words[8];
    int count = split(line, words, 8);
    if (!count)
        return;
    for (uint32_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (!strcmp(commands[i].name, words[0])) {
            commands[i].run(words, count);
            return;
        }
    printf("%s: unknown; try help\n", words[0]);
}

/* Line editing: backspace, delete, ^U; either kind of line end, of a pair only one counts. */
static void read_line(char *line, int size)
{
    static int after_return;
    int n = 0;
    for (;;) {
        int c = console_getc();
        if (c == '\n' && after_return) {
            after_return = 0;
            continue;
        }
        after_return = c == '\r';
        if (c == '\r' || c == '\n')
            break;
        if ((c == 8 || c == 127) && n) {
            n--;
            console_write("\b \b", 3);
        } else if (c == 21) {
            for (; n; n--)
                console_write("\b \b", 3);
        } else if (c >= 32 && c < 127 && n < size - 1) {
            char echoed = line[n++] = c;
            console_write(&echoed, 1);
        }
    }
    line[n] = 0;
    console_write("\n", 1);
}

void monitor(void)
{
    static char line[256];
    for (;;) {
        printf("dbt> ");
        read_line(line, sizeof line);
        monitor_execute(line);
    }
}
