/*
 * Random hypercalls with arguments that look half right. The guest may well not survive this; the hypervisor and
 * whoever else runs on it must. What is drawn depends on the seed alone.
 */
#include "kernel.h"

static uint32_t state, gentle;
static uint32_t buffer[1024] PAGE_ALIGN, spare[1024] PAGE_ALIGN;

static uint32_t draw(uint32_t limit)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
}

static uint32_t value(void)
{
    static const uint32_t odd[] = {
        0, 1, 2, 3, 7, 8, 31, 32, 0xFF, 0x1000, 0x7FF0, 0x7FF1, 0x7FF2, 0xFFFFF, 0x100000, 0x7FFFFFFF, 0x80000000, 0xF5800000,
        0xF5FFFFFC, 0xFC000000, 0xFFFFF000, 0xFFFFFFFC, 0xFFFFFFFF, 0xC0000000, 0x40000000, KERNEL_CS, USER_DS,
    };
    switch (draw(10)) {
    case 0: return odd[draw(ARRAY_SIZE(odd))];
    case 1: return (uint32_t)buffer + draw(1024) * 4;
    case 2: return (uint32_t)buffer + PAGE_SIZE - draw(16);
    case 3: return (uint32_t)spare;
    case 4: return virt_to_mfn(spare);
    case 5: return virt_to_mfn(spare) << 12 | draw(4096);
    case 6: return start_info->pt_base + draw(PAGE_SIZE);
    case 7: return virt_to_mfn((void *)start_info->pt_base) << (draw(2) * 12);
    case 8: return draw(32);
    default: return draw(0x1000000) << 8 | draw(256);
    }
}

/* What would end the run without testing anything: power off, sleeping for ever, losing the handlers or the stack. */
static int excluded(uint32_t number, uint32_t first)
{
    switch (number) {
    case HC_sched_op:
    case HC_sched_op_compat: return first != SCHEDOP_yield;
    case HC_event_channel_op: return first == EVTCHN_reset || first == EVTCHN_init_control;
    case HC_set_trap_table:
    case HC_stack_switch:
    case HC_set_callbacks:
    case HC_callback_op:
    case HC_iret:
    case HC_console_io: return gentle || draw(20) != 0 || number == HC_iret || (number == HC_set_trap_table && !first);
    }
    return 0;
}

/* Our own buffers have to stay writable, whatever became of them. */
static int repair(void *page)
{
    uint32_t mfn = virt_to_mfn(page);
    for (int i = 0; i < 4; i++) {
        if (!hypercall(HC_update_va_mapping, page, (pte_t)mfn << 12 | PTE_P | PTE_RW | PTE_A | PTE_D, UVMF_TLB_FLUSH))
            return 1;
        struct mmuext_op op = { i == 0 ? MMUEXT_UNPIN : MMUEXT_SET_LDT, i == 0 ? mfn : 0, 0 };
        static struct mmuext_op argument;
        argument = op;
        hypercall(HC_mmuext_op, &argument, 1, 0, DOMID_SELF);
        hypercall(HC_set_gdt, &argument, 0);
    }
    return 0;
}

void fuzz(uint32_t seed, uint32_t count)
{
    state = seed * 2654435761u + 1;
    gentle = seed & 1;
    uint32_t succeeded = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!repair(buffer) || !repair(spare)) {
            printf("fuzz: lost its buffers after %u calls with seed %u\n", i, seed);
            return;
        }
        for (uint32_t j = 0, n = 1 + draw(64); j < n; j++)
            buffer[draw(1024)] = value();
        uint32_t number = draw(60), a[6];
        for (int j = 0; j < 6; j++)
            a[j] = value();
        if (draw(2))                            /* most have an operation first, or a pointer */
            a[0] = draw(2) ? draw(24) : (uint32_t)buffer + draw(512) * 4;
        if (draw(2))
            a[1] = draw(2) ? 1 + draw(4) : (uint32_t)buffer + draw(512) * 4;
        if (number == HC_multicall)
            for (uint32_t j = 0; j < 8; j++)
                for (buffer[j * 8] = draw(60); excluded(buffer[j * 8], buffer[j * 8 + 2]); )
                    buffer[j * 8] = draw(60);
        if (excluded(number, a[0]))
            continue;
        if (number == HC_multicall) {
            a[0] = (uint32_t)buffer;
            a[1] = draw(9);
        }
        succeeded += hypercall(number, a[0], a[1], a[2], a[3], a[4], a[5]) >= 0;
    }
    printf("fuzz: %u calls with seed %u, %u of them accepted\n", count, seed, succeeded);
}
