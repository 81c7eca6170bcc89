/* The trap table, and what happens on a trap: a test's expectation, a user's page, a system call, or the end. */
#include "kernel.h"

struct fault_record fault;
uint32_t fault_resume;
int (*trap_hook)(struct regs *);

extern int user_trap(struct regs *regs);

static void dump(struct regs *regs)
{
    printf("trap %u, error %x at %04x:%08x, flags %08x, cr2 %08x\n", regs->vector, regs->error, regs->cs & 0xFFFF,
           regs->eip, regs->eflags, vcpu->cr2);
    printf("eax %08x ebx %08x ecx %08x edx %08x esi %08x edi %08x ebp %08x\n", regs->eax, regs->ebx, regs->ecx,
           regs->edx, regs->esi, regs->edi, regs->ebp);
}

void trap_handler(struct regs *regs)
{
    regs->cs &= 0xFFFF;                 /* the upper half holds the saved event mask */
    if (regs->vector == VECTOR_UPCALL) {
        events_handle();
        return;
    }
    uint32_t cr2 = vcpu->cr2;
    if (trap_hook && trap_hook(regs))
        return;
    if (fault_resume) {
        fault = (struct fault_record){ (int)regs->vector, regs->error, cr2, regs->eip, regs->eflags, fault.count + 1 };
        regs->eip = fault_resume;
        regs->cs = KERNEL_CS;
        regs->eflags &= ~0x100u;
        fault_resume = 0;
        return;
    }
    if ((regs->cs & 3) == 3 && user_trap(regs))
        return;
    if (regs->vector == 7)              /* the hypervisor has cleared TS; the instruction is tried again */
        return;
    dump(regs);
    panic("unexpected trap");
}

void traps_init(void)
{
    static struct trap_info table[257];
    for (int i = 0; i < 256; i++) {
        /* Programs may call 3, 4 and 0x80; a page fault reads cr2, so no event may come first. */
        int open = i == 3 || i == 4 || i == 0x80;
        table[i] = (struct trap_info){ i, (open ? 3 : 1) | (i == 14 ? 4 : 0), KERNEL_CS, (uint32_t)trap_stubs + i * 16 };
    }
    table[256] = (struct trap_info){ 0 };
    int error = hypercall(HC_set_trap_table, table);
    if (error)
        panic("set_trap_table: %d", error);
    hypercall(HC_set_callbacks, KERNEL_CS, upcall_entry, KERNEL_CS, failsafe_entry);
    hypercall(HC_stack_switch, KERNEL_DS, trap_stack_top);
    hypercall(HC_vm_assist, 0, 2);      /* writable page tables, in so far as plain writes are emulated */
}
