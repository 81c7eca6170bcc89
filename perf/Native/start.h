/* Behind the kernels of a file: fills its data, runs the one that -DKERNEL names, and ends with its result as exit status.
   With -DSERVED it does so for each byte that comes, and writes each result. */
__attribute__((used, noipa)) int run(void) { /* noipa: a kernel that depends on nothing is to run each time */
    fill();
    return KERNEL();
}

#ifdef __x86_64__
#define READ 0
#define WRITE 1
#define CALL "syscall"
#define ARGUMENTS "a"(number), "D"(file), "S"(buffer), "d"(length) : "memory", "rcx", "r11"
__asm__(".globl _start\n_start: and $-16, %rsp\n call go\n mov %eax, %edi\n mov $60, %eax\n syscall\n");
#else
#define READ 3
#define WRITE 4
#define CALL "int $0x80"
#define ARGUMENTS "a"(number), "b"(file), "c"(buffer), "d"(length) : "memory"
__asm__(".globl _start\n_start: and $-16, %esp\n call go\n mov %eax, %ebx\n mov $1, %eax\n int $0x80\n");
#endif

#ifdef SERVED
static long host(long number, long file, void *buffer, long length) {
    long result;
    __asm__ volatile(CALL : "=a"(result) : ARGUMENTS);
    return result;
}

__attribute__((used)) int go(void) {
    char told;
    while (host(READ, 0, &told, 1) == 1) {
        int result = run();
        if (host(WRITE, 1, &result, sizeof result) != sizeof result)
            return 1;
    }
    return 0;
}
#else
__attribute__((used)) int go(void) {
    return run();
}
#endif
