/* Faults in ring 1 and ring 3, returns from them, code that changes itself, strings that fault midway. */
#include "../src/selftest.h"

static int hooked, hooked_error, hook_count;
static uint32_t hooked_cr2, hooked_eip;

static void faults(void)
{
    uint32_t x = 0;
    TRY("xorl %%eax, %%eax\n\tcltd\n\tdivl %%eax", : : : "eax", "edx", "cc");
    CHECK("divide", fault.vector, 0);
    TRY("ud2");
    CHECK("undefined", fault.vector, 6);
    TRY("int3");
    CHECK("int3", fault.vector, 3);
    TRY("movb $0x7f, %%al\n\taddb $1, %%al\n\tinto", : : : "eax", "cc");
    CHECK("into", fault.vector, 4);
    static const int32_t bounds[2] = { 1, 5 };
    TRY("bound %0, %1", : : "r"(6), "m"(bounds));
    CHECK("bound", fault.vector, 5);
    TRY("bound %0, %1", : : "r"(5), "m"(bounds));
    CHECK("bound-inside", fault.vector, -1);
    TRY("int $0x81");
    CHECK("int-0x81", fault.vector, 0x81);
    TRY("movl (%1), %0", : "+r"(x) : "r"(0x5678) : "memory");
    CHECK("read-absent", fault.vector, 14);
    CHECK("read-absent-error", fault.error, 0);
    CHECK("read-absent-cr2", fault.cr2, 0x5678);
    TRY("movl %0, (%1)", : : "r"(1), "r"(0x5678) : "memory");
    CHECK("write-absent-error", fault.error, 2);
    TRY("movl %0, (%1)", : : "r"(1), "r"(m2p) : "memory");
    CHECK("write-m2p", fault.vector, 14);
    CHECK("write-m2p-error", fault.error, 3);
    CHECK("write-m2p-cr2", fault.cr2, (long)m2p);
    TRY("movl %%eax, (%0)", : : "r"(0xFFFFF000) : "memory");
    CHECK("write-hypervisor", fault.vector, 14);
    TRY("movl (%1), %0", : "+r"(x) : "r"(0xFFFFFFFE) : "memory");
    CHECK("read-wrap", fault.vector >= 0, 1);
    TRY("jmp *%0", : : "r"(0x9000) : "memory", "eax", "ecx", "edx");
    CHECK("jump-absent", fault.vector, 14);
    CHECK("jump-absent-cr2", fault.cr2, 0x9000);
    CHECK("jump-absent-eip", fault.eip, 0x9000);
    TRY("jmp *%0", : : "r"(m2p) : "memory", "eax", "ecx", "edx");
    CHECK("jump-m2p", fault.vector == 14 || fault.vector == 6, 1);
    CHECK("jump-m2p-eip", fault.eip, (long)m2p);
    TRY("jmp *%0", : : "r"(0xFFFFFFF0) : "memory", "eax", "ecx", "edx");
    CHECK("jump-top", fault.vector, 14);
    TRY("movw %w0, %%ds", : : "r"(0x1238));
    CHECK("bad-ds", fault.vector, 13);
    CHECK("bad-ds-error", fault.error, 0x1238);
    TRY("movw %w0, %%ss", : : "r"(0));
    CHECK("null-ss", fault.vector, 13);
    TRY("movw %w0, %%ss", : : "r"(USER_DS));
    CHECK("user-ss", fault.vector, 13);
    CHECK("user-ss-error", fault.error, USER_DS & ~3);
    TRY("movw %w0, %%gs\n\tmovl %%gs:0, %%eax", : : "r"(0) : "eax");
    CHECK("null-gs", fault.vector, 13);
    TRY("lcall $7, $0");
    CHECK("absent-ldt-gate", fault.vector, 13);
    CHECK("absent-ldt-gate-error", fault.error, 4);
    TRY("ljmp $0x0004, $0");
    CHECK("absent-ldt-jump", fault.error, 4);
    TRY(".byte 0xf0, 0x89, 0xc0");              /* lock mov */
    CHECK("lock-mov", fault.vector, 6);
    TRY(".byte 0x0f, 0xff, 0xc0");              /* ud0 */
    CHECK("ud0", fault.vector, 6);
    TRY("aam $0", : : : "eax", "cc");
    CHECK("aam-0", fault.vector, 0);
    TRY("movl $0x80000000, %%eax\n\tcltd\n\tmovl $-1, %%ecx\n\tidivl %%ecx", : : : "eax", "ecx", "edx", "cc");
    CHECK("divide-overflow", fault.vector, 0);
}

static int count_steps(struct regs *regs)
{
    if (regs->vector != 1)
        return 0;
    if (++hook_count == 4)
        regs->eflags &= ~0x100u;
    return 1;
}

static void single_step(void)
{
    uint32_t x = 0;
    hook_count = 0;
    trap_hook = count_steps;
    asm volatile("pushf\n\torl $0x100, (%%esp)\n\tpopf\n\tincl %0\n\tincl %0\n\tincl %0\n\tincl %0\n\tincl %0" : "+r"(x) : : "memory", "cc");
    trap_hook = 0;
    CHECK("steps", hook_count, 4);
    CHECK("instructions", x, 5);
}

/* Ring 3: a few bytes are put into the program's page, and the first trap from there ends it. */
static int first_trap(struct regs *regs)
{
    if ((regs->cs & 3) != 3)
        return 0;
    hooked = regs->vector;
    hooked_error = regs->error;
    hooked_cr2 = vcpu->cr2;
    hooked_eip = regs->eip;
    hook_count = regs->cs;
    trap_hook = 0;
    exit_user(0);
}

static void run_user(const char *code, uint32_t n)
{
    if (!user_map_blob())
        panic("no user pages");
    memcpy((void *)0x08048000, code, n);
    trap_hook = first_trap;
    enter_user(0x08048000, 0x0C000000 - 16);
    trap_hook = 0;
    events_enable();
}

#define USER(code) run_user(code, sizeof code - 1)
#define ANY_ERROR -1

static void user_faults(void)
{
    static const struct { const char *name, *code; int size, vector, error; uint32_t cr2; } table[] = {
#define ROW(name, code, vector, error, cr2) { name, code, sizeof code - 1, vector, error, cr2 }
        ROW("ud2", "\x0f\x0b", 6, 0, 0),
        ROW("divide", "\x31\xc9\xf7\xf1", 0, 0, 0),
        ROW("int3", "\xcc", 3, 0, 0),
        ROW("into", "\xb0\x7f\x04\x01\xce", 4, 0, 0),
        ROW("system-call", "\xcd\x80", 0x80, 0, 0),
        ROW("int-0x81", "\xcd\x81", 13, 0x40a, 0),
        ROW("int-14", "\xcd\x0e", 13, 0x72, 0),
        ROW("hypercall", "\x31\xc0\xcd\x82", 13, 0x412, 0),
        ROW("hlt", "\xf4", 13, 0, 0),
        ROW("cli", "\xfa", 13, 0, 0),
        ROW("sti", "\xfb", 13, 0, 0),
        ROW("in", "\xe4\x61", 13, 0, 0),
        ROW("out", "\xee", 13, 0, 0),
        ROW("rdmsr", "\x0f\x32", 13, 0, 0),
        ROW("mov-cr0", "\x0f\x20\xc0", 13, 0, 0),
        ROW("read-kernel", "\xa1\x00\x00\x10\xc0", 14, 5, 0xC0100000),
        ROW("write-kernel", "\xa3\x00\x00\x10\xc0", 14, 7, 0xC0100000),
        ROW("read-absent", "\xa1\x00\x10\x00\x00", 14, 4, 0x1000),
        ROW("write-absent", "\xa3\x00\x10\x00\x00", 14, 6, 0x1000),
        ROW("read-top", "\xa1\x00\xf0\xff\xff", 14, ANY_ERROR, 0xFFFFF000),
        ROW("jump-absent", "\xb8\x00\x20\x00\x00\xff\xe0", 14, ANY_ERROR, 0x2000),
        ROW("jump-kernel", "\xb8\x00\x00\x10\xc0\xff\xe0", 14, ANY_ERROR, 0xC0100000),
        ROW("bad-ds", "\xb8\x38\x12\x00\x00\x8e\xd8", 13, 0x1238, 0),
        ROW("kernel-ds", "\xb8\x21\xe0\x00\x00\x8e\xd8", 13, 0xe020, 0),
        ROW("kernel-call", "\x9a\x00\x00\x10\xc0\x19\xe0", 13, 0xe018, 0),
        ROW("bad-lock", "\xf0\x90", 6, 0, 0),
        ROW("single-step", "\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\x90", 1, 0, 0),
        ROW("iopl-by-popf", "\x9c\x81\x0c\x24\x00\x30\x00\x00\x9d\xfa", 13, 0, 0),
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(table); i++) {
        char name[64];
        hooked = -1;
        run_user(table[i].code, table[i].size);
        CHECK(table[i].name, hooked, table[i].vector);
        if (table[i].error != ANY_ERROR && hooked_error != table[i].error) {
            format(name, sizeof name, "%s-error", table[i].name);
            CHECK(name, hooked_error, table[i].error);
        }
        if (table[i].vector == 14) {
            format(name, sizeof name, "%s-cr2", table[i].name);
            CHECK(name, hooked_cr2, table[i].cr2);
        }
    }
    CHECK("selector", hook_count & 0xFFFF, USER_CS);
    USER("\x90\x90\x0f\x0b");
    CHECK("eip", hooked_eip, 0x08048002);
    USER("\x90\xcd\x80");
    CHECK("eip-after-call", hooked_eip, 0x08048003);
}

static void returns(void)
{
    uint32_t flags, x = 0;
    asm volatile("pushf\n\tpushl %%cs\n\tpushl $1f\n\tiret\n1:\tincl %0" : "+r"(x) : : "memory", "cc");
    CHECK("native-ring1", x, 1);
    asm volatile("pushf\n\tpushl %%cs\n\tpushl $1f\n\tjmp hypercall_page + 23 * 32\n1:\tincl %0" : "+r"(x) : : "memory", "cc");
    CHECK("hypercall-ring1", x, 2);
    asm volatile("movl $0x12345678, %%eax\n\tpushf\n\tpushl %%cs\n\tpushl $1f\n\tjmp hypercall_page + 23 * 32\n1:\tmovl %%eax, %0" : "=r"(x) : : "eax", "memory", "cc");
    CHECK("hypercall-keeps-eax", x, 0x12345678);
    events_disable();
    asm volatile("pushl $0x202\n\tpushl %%cs\n\tpushl $1f\n\tjmp hypercall_page + 23 * 32\n1:" : : : "memory", "cc");
    CHECK("hypercall-unmasks", vcpu->upcall_mask, 0);
    asm volatile("pushl $0x002\n\tpushl %%cs\n\tpushl $1f\n\tjmp hypercall_page + 23 * 32\n1:" : : : "memory", "cc");
    CHECK("hypercall-masks", vcpu->upcall_mask, 1);
    events_enable();
    asm volatile("pushl $0x3202\n\tpopf\n\tpushf\n\tpopl %0" : "=r"(flags) : : "memory", "cc");
    CHECK("iopl-not-by-popf", flags >> 12 & 3, 0);
    TRY("pushl $0x202\n\tpushl $0x1238\n\tpushl $0\n\tiret");
    CHECK("native-bad-cs", fault.vector, 13);
    CHECK("native-bad-cs-error", fault.error, 0x1238);
    native_iret = 1;
    hooked = -1;
    USER("\xb8\x78\x56\x34\x12\xcd\x80");
    native_iret = 0;
    CHECK("native-ring3", hooked, 0x80);
    CHECK("native-ring3-selector", hook_count & 0xFFFF, USER_CS);
}

static void self_modifying(void)
{
    uint8_t *code = page_alloc(), *two = page_alloc(), *next = page_alloc();
    uint32_t (*run)(void) = (uint32_t (*)(void))code, sum = 0;
    code[0] = 0xB8;                             /* mov eax, imm32; ret */
    code[5] = 0xC3;
    for (uint32_t i = 0; i < 3000; i++) {
        *(volatile uint32_t *)(code + 1) = i;
        barrier();
        sum += run();
    }
    CHECK("immediate", sum, 2999 * 3000 / 2);
    code[0] = 0x31;                             /* xor eax, eax; ret */
    code[1] = 0xC0;
    code[2] = 0xC3;
    barrier();
    CHECK("opcode", run(), 0);

    /* movb imm, the next instruction's immediate; mov al, 0x41; movzx eax, al; ret */
    static const uint8_t patch_next[] = { 0xC6, 0x05, 0, 0, 0, 0, 0, 0xB0, 0x41, 0x0F, 0xB6, 0xC0, 0xC3 };
    memcpy(two, patch_next, sizeof patch_next);
    *(uint32_t *)(two + 2) = (uint32_t)two + 8;
    run = (uint32_t (*)(void))two;
    sum = 0;
    for (uint32_t i = 0; i < 200; i++) {
        two[6] = i;
        two[8] = 0x41;
        barrier();
        sum += run() == i;
    }
    CHECK("next-instruction", sum, 200);

    /* The same frame at another address: a write there changes the code here. */
    uint32_t alias = 0x30000000;
    map_page(alias, (pte_t)virt_to_mfn(code) << 12 | PTE_P | PTE_RW | PTE_A | PTE_D);
    run = (uint32_t (*)(void))code;
    code[0] = 0xB8;
    code[5] = 0xC3;
    sum = 0;
    for (uint32_t i = 0; i < 300; i++) {
        *(volatile uint32_t *)(alias + 1) = i;
        barrier();
        sum += run() == i;
    }
    CHECK("alias-write", sum, 300);
    run = (uint32_t (*)(void))alias;
    *(volatile uint32_t *)(code + 1) = 77;
    barrier();
    CHECK("alias-run", run(), 77);

    /* Another frame at an address where code has run. */
    next[0] = 0xB8;
    next[1] = 99;
    next[5] = 0xC3;
    hypercall(HC_update_va_mapping, alias, (pte_t)virt_to_mfn(next) << 12 | PTE_P | PTE_A, UVMF_INVLPG);
    CHECK("remapped", run(), 99);
    memcpy(code + 0x100, code, 16);
    run = (uint32_t (*)(void))(code + 0x100);
    CHECK("copied", run(), 77);
    *(volatile uint32_t *)(code + 0x101) = 78;
    barrier();
    CHECK("copied-patched", run(), 78);
    hypercall(HC_update_va_mapping, alias, 0ull, UVMF_INVLPG);
    page_free(code);
    page_free(two);
    page_free(next);
}

static void locked(void)
{
    uint32_t v = 5, a = 3;
    uint64_t w = 0x100000002ull;
    uint8_t set;
    asm volatile("lock; xaddl %0, %1" : "+r"(a), "+m"(v) : : "cc");
    CHECK("xadd", a * 100 + v, 508);
    asm volatile("lock; cmpxchgl %3, %1; sete %0" : "=q"(set), "+m"(v), "+a"(a) : "r"(9) : "cc");
    CHECK("cmpxchg-fails", a * 100 + v + set, 808);
    asm volatile("lock; cmpxchgl %3, %1; sete %0" : "=q"(set), "+m"(v), "+a"(a) : "r"(9) : "cc");
    CHECK("cmpxchg", v * 10 + set, 91);
    uint32_t low = 2, high = 1;
    asm volatile("lock; cmpxchg8b %1; sete %0" : "=q"(set), "+m"(w), "+a"(low), "+d"(high) : "b"(7), "c"(8) : "cc");
    CHECK("cmpxchg8b", (w == 0x800000007ull) * 10 + set, 11);
    asm volatile("lock; cmpxchg8b %1; sete %0" : "=q"(set), "+m"(w), "+a"(low), "+d"(high) : "b"(1), "c"(1) : "cc");
    CHECK("cmpxchg8b-fails", (low == 7 && high == 8) * 10 + set, 10);
    asm volatile("lock; btsl $4, %1; setc %0" : "=q"(set), "+m"(v) : : "cc");
    CHECK("bts", v * 10 + set, 250);
    asm volatile("lock; btrl $4, %1; setc %0" : "=q"(set), "+m"(v) : : "cc");
    CHECK("btr", v * 10 + set, 91);
    asm volatile("lock; decl %0; lock; negl %0; lock; notl %0; lock; subl $2, %0" : "+m"(v) : : "cc");
    CHECK("chain", v, 5);
    asm volatile("xchgl %0, %1" : "+r"(a), "+m"(v));
    CHECK("xchg", a, 5);
    uint8_t bytes[8] = { 0 };
    asm volatile("lock; addl $0x01010101, %0" : "+m"(*(uint32_t *)(bytes + 1)) : : "cc");
    CHECK("unaligned", bytes[1] + bytes[4] + bytes[5], 2);
}

static uint32_t demand_base, demand_pages[4];

static int demand(struct regs *regs)
{
    uint32_t va = vcpu->cr2 & ~4095u;
    if (regs->vector != 14 || va < demand_base || va >= demand_base + 4 * PAGE_SIZE)
        return 0;
    hook_count++;
    void *page = page_alloc();
    demand_pages[(va - demand_base) >> 12] = (uint32_t)page;
    return map_page(va, (pte_t)virt_to_mfn(page) << 12 | PTE_P | PTE_RW | PTE_A | PTE_D) == 0;
}

static void demand_end(void)
{
    trap_hook = 0;
    for (int i = 0; i < 4; i++)
        if (demand_pages[i]) {
            hypercall(HC_update_va_mapping, demand_base + i * PAGE_SIZE, 0ull, UVMF_INVLPG);
            page_free((void *)demand_pages[i]);
            demand_pages[i] = 0;
        }
}

static void strings(void)
{
    uint8_t *source = page_alloc();
    demand_base = 0x30200000;
    for (int i = 0; i < PAGE_SIZE; i++)
        source[i] = (uint8_t)(i * 7 + (i >> 8));
    hook_count = 0;
    trap_hook = demand;
    void *s = source, *d = (void *)(demand_base + PAGE_SIZE - 100);
    uint32_t n = PAGE_SIZE;
    asm volatile("rep movsb" : "+S"(s), "+D"(d), "+c"(n) : : "memory");
    CHECK("movsb-faults", hook_count, 2);
    CHECK("movsb-registers", n == 0 && s == source + PAGE_SIZE && d == (void *)(demand_base + 2 * PAGE_SIZE - 100), 1);
    CHECK("movsb-data", memcmp((void *)(demand_base + PAGE_SIZE - 100), source, PAGE_SIZE), 0);
    demand_end();

    hook_count = 0;
    trap_hook = demand;
    d = (void *)(demand_base + 2);              /* every page end is in the middle of a double word */
    n = 3000;
    asm volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(0x01020304) : "memory");
    CHECK("stosl-faults", hook_count, 3);
    CHECK("stosl-registers", n == 0 && d == (void *)(demand_base + 2 + 12000), 1);
    uint32_t good = 0;
    for (uint32_t i = 0; i < 3000; i++)
        good += *(uint32_t *)(demand_base + 2 + i * 4) == 0x01020304;
    CHECK("stosl-data", good, 3000);
    demand_end();

    hook_count = 0;
    trap_hook = demand;
    d = (void *)(demand_base + 3 * PAGE_SIZE);
    n = 600;
    asm volatile("subl $4, %0\n\tstd\n\trep stosl\n\tcld" : "+D"(d), "+c"(n) : "a"(5) : "memory", "cc");
    CHECK("stosl-down", hook_count == 1 && n == 0 && d == (void *)(demand_base + 3 * PAGE_SIZE - 2404), 1);
    demand_end();

    hook_count = 0;
    trap_hook = demand;
    barrier();
    *(volatile uint32_t *)(demand_base + PAGE_SIZE - 2) = 0xAABBCCDD;
    barrier();
    CHECK("split-store", hook_count, 2);
    CHECK("split-data", *(volatile uint8_t *)(demand_base + PAGE_SIZE + 1), 0xAA);
    uint32_t before = *(volatile uint32_t *)(demand_base + 2 * PAGE_SIZE - 4), after;
    asm volatile("lock; addl $0x10000, %0" : "+m"(*(uint32_t *)(demand_base + 2 * PAGE_SIZE - 2)) : : "memory", "cc");
    after = *(volatile uint32_t *)(demand_base + 2 * PAGE_SIZE - 4);
    CHECK("split-locked", hook_count * 10 + (after == before) + *(volatile uint8_t *)(demand_base + 2 * PAGE_SIZE), 32);
    demand_end();
    page_free(source);
}

const struct test processor_tests[] = {
    { "faults", faults }, { "single_step", single_step }, { "user_faults", user_faults }, { "iret", returns },
    { "self_modifying", self_modifying }, { "locked", locked }, { "strings", strings }, { 0, 0 },
};
