/* What runs in ring 3, linked at 0x08048000. It knows the kernel by INT 0x80 only. */
#include <stdint.h>

enum { SYS_exit = 1, SYS_write = 4, SYS_getpid = 20 };
#define HEAP ((volatile uint32_t *)0x10000000)
#define PAGES 16

static int call(int number, uint32_t a, uint32_t b)
{
    int result;
    asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b) : "memory");
    return result;
}

static void say(const char *s)
{
    uint32_t n = 0;
    while (s[n])
        n++;
    call(SYS_write, (uint32_t)s, n);
}

/* Every first touch of a page faults, and is carried on with once the kernel has put a page there. */
static uint32_t touch(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < PAGES * 1024; i++)
        HEAP[i] = i * 2654435761u;
    for (uint32_t i = 0; i < PAGES * 1024; i++)
        sum = (sum << 1 | sum >> 31) ^ HEAP[i];
    return sum;
}

__attribute__((section(".text.first"))) void program(void)
{
    uint32_t cs;
    asm("mov %%cs, %0" : "=r"(cs));
    say("user: hello from ring 3\n");
    if ((cs & 3) != 3 || call(SYS_getpid, 0, 0) != 1)
        call(SYS_exit, 0xBAD, 0);
    if (call(SYS_write, 0xC0100000, 4) != -14)      /* the kernel's memory is not ours to print */
        call(SYS_exit, 0xBAE, 0);
    call(SYS_exit, touch(), 0);
}
