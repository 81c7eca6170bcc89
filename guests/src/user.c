/* One ring-3 process: its pages, its system calls, and memory that comes when it is touched. */
#include "kernel.h"

#define CODE  0x08048000u
#define HEAP  0x10000000u
#define HEAP_END 0x10100000u
#define STACK 0x0C000000u               /* grows down from here */
#define STACK_PAGES 4

static uint32_t demand_faults;

static int map_user(uint32_t va)
{
    pte_t *entry = walk(va, 1);
    if (entry && *entry & PTE_P)
        return 0;
    void *page = page_alloc();
    return map_page(va, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D);
}

static void unmap_user(uint32_t va)
{
    pte_t *entry = walk(va, 1);
    if (!entry || !(*entry & PTE_P))
        return;
    void *page = mfn_to_virt((uint32_t)((*entry & PTE_ADDR) >> 12));
    hypercall(HC_update_va_mapping, va, 0ull, UVMF_INVLPG);
    page_free(page);
}

static int user_readable(uint32_t va, uint32_t n)
{
    if (va + n < va || va + n > VIRT_BASE)
        return 0;
    for (uint32_t p = va & ~4095u; p < va + n; p += PAGE_SIZE) {
        pte_t *entry = walk(p, 1);
        if (!entry || (*entry & (PTE_P | PTE_US)) != (PTE_P | PTE_US))
            return 0;
    }
    return 1;
}

static void system_call(struct regs *regs)
{
    switch (regs->eax) {
    case 1:
        exit_user(regs->ebx);
    case 4:
        if (regs->ecx > 4096 || !user_readable(regs->ebx, regs->ecx)) {
            regs->eax = -EFAULT;
            break;
        }
        console_write((const char *)regs->ebx, regs->ecx);
        regs->eax = regs->ecx;
        break;
    case 20:
        regs->eax = 1;
        break;
    default:
        regs->eax = -ENOSYS;
    }
}

/* Every trap from ring 3; nonzero where the process can go on. */
int user_trap(struct regs *regs)
{
    uint32_t cr2 = vcpu->cr2;
    if (regs->vector == 0x80) {
        system_call(regs);
        return 1;
    }
    if (regs->vector == 14 && !(regs->error & 1) && cr2 >= HEAP && cr2 < HEAP_END) {
        demand_faults++;
        return map_user(cr2 & ~4095u) == 0;
    }
    printf("user: killed by trap %u (error %x) at %08x\n", regs->vector, regs->error, regs->eip);
    exit_user(-1);
}

int user_map_blob(void)
{
    for (uint32_t offset = 0; offset < (uint32_t)(user_blob_end - user_blob); offset += PAGE_SIZE)
        if (map_user(CODE + offset))
            return 0;
    for (int i = 1; i <= STACK_PAGES; i++)
        if (map_user(STACK - i * PAGE_SIZE))
            return 0;
    memcpy((void *)CODE, user_blob, user_blob_end - user_blob);
    return 1;
}

void user_demo(void)
{
    if (!user_map_blob())
        panic("no memory for the user process");
    demand_faults = 0;
    uint32_t sum = enter_user(CODE, STACK - 16);
    printf("user: exit code %08x, %u page faults handled on demand\n", sum, demand_faults);
    for (uint32_t va = HEAP; va < HEAP_END; va += PAGE_SIZE)
        unmap_user(va);
}
