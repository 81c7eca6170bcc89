/* Everything the files of this kernel share. */
#ifndef DBT_KERNEL_H
#define DBT_KERNEL_H
#include "abi.h"
#include <stdarg.h>

typedef uint64_t pte_t;
#define PTE_P   1u
#define PTE_RW  2u
#define PTE_US  4u
#define PTE_A   0x20u
#define PTE_D   0x40u
#define PTE_PS  0x80u
#define PTE_ADDR 0x000FFFFFFFFFF000ull

#define barrier() asm volatile("" ::: "memory")
#define mb() asm volatile("lock; addl $0,(%%esp)" ::: "memory", "cc")
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE_ALIGN __attribute__((aligned(PAGE_SIZE)))

/* What trap_common leaves on the stack. esp and ss are there only where the trap came from ring 3. */
struct regs {
    uint32_t es, ds, edi, esi, ebp, esp_at_pusha, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags, esp, ss;
};
#define VECTOR_UPCALL   0x100
#define VECTOR_FAILSAFE 0x101

/* start.S */
int hypercall(uint32_t number, ...);          /* through the hypercall page */
int hypercall_int82(uint32_t number, ...);    /* by INT 0x82, any number */
int enter_user(uint32_t eip, uint32_t esp);   /* returns when exit_user is called */
void exit_user(int code) __attribute__((noreturn));
extern uint32_t native_iret;                  /* enter_user executes IRET instead of the hypercall */
void iret_hypercall(uint32_t *frame);         /* leaves through the iret hypercall with the frame given */
extern char hypercall_page[], upcall_entry[], failsafe_entry[], trap_stack_top[], trap_stubs[];
extern char _start[], _text_end[], _end[];
extern char user_blob[], user_blob_end[];

/* libc.c */
void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
int parse_number(const char *s, uint32_t *value);
uint64_t divide(uint64_t n, uint32_t d, uint32_t *remainder);
int vformat(char *buffer, int size, const char *format, va_list args);
int format(char *buffer, int size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* console.c */
void console_init(void);
void console_write(const char *s, int n);
void console_write_raw(const char *s, int n); /* needs the ring; a line end stays what it is */
void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int console_getc(void);                       /* blocks */
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void shutdown(int reason) __attribute__((noreturn));

/* memory.c */
extern struct start_info *start_info;
extern struct shared_info *shared;
extern volatile struct vcpu_info *vcpu;      /* ours; in shared_info until it is registered elsewhere */
extern uint32_t *p2m;
extern const uint32_t *m2p;                  /* machine to pseudo-physical, the hypervisor's, read-only */
void memory_init(void);
void *page_alloc(void);                       /* zeroed, mapped writable at its own address */
void page_free(void *page);
uint32_t pages_free(void);
uint32_t virt_to_mfn(const void *va);
void *mfn_to_virt(uint32_t mfn);
pte_t *walk(uint32_t va, int level);          /* level 3, 2, 1: entry that covers va, or 0 */
uint64_t entry_machine(const pte_t *entry);   /* machine address of a table entry */
int map_page(uint32_t va, uint64_t pte);      /* makes tables as needed */
int set_entry(pte_t *entry, pte_t value);     /* by mmu_update */
void set_readonly(void *page);
void set_writable(void *page);
void memory_report(void);
void memory_show_shared_info(void);
void memory_hide_shared_info(void);

/* traps.c */
struct fault_record { int vector; uint32_t error, cr2, eip, eflags, count; };
extern struct fault_record fault;
extern uint32_t fault_resume;
extern int (*trap_hook)(struct regs *);       /* sees every trap first; nonzero: handled */
void traps_init(void);
void trap_handler(struct regs *regs);

/*
 * Executes instructions of which one is expected to fault; where it does, execution goes on behind them and
 * fault.vector tells which fault it was (-1: none).
 */
#define TRY(insns, ...) do { fault.vector = -1; barrier(); \
    asm volatile("movl $771f, fault_resume\n\t" insns "\n771:\tmovl $0, fault_resume" __VA_ARGS__); barrier(); } while (0)

/* events.c */
typedef void (*event_handler)(uint32_t port);
void events_init(void);                       /* by queues where the command line begins with "fifo" */
void events_resume(void);                     /* in a new domain: no channel is bound, all are masked */
void events_handle(void);
void event_bind(uint32_t port, event_handler handler);
void event_unbind(uint32_t port);
int event_op(int op, void *argument);
void event_send(uint32_t port);
void events_disable(void);
void events_enable(void);
/* Sleeps in the hypervisor until the condition holds, or the time (0: none) is over; nonzero where it holds. */
int wait_for(int (*condition)(void *), void *argument, uint64_t timeout_ns);
uint32_t events_seen(void);
void event_mask(uint32_t port);
int event_pending(uint32_t port);
void event_clear(uint32_t port);              /* takes an event back */

/* fifo.c: the same by queues */
int fifo_init(void);                          /* the number of processors, or 0 where it isn't to be had */
int fifo_used(void);
void fifo_mask(uint32_t port);
int fifo_pending(uint32_t port);
void fifo_clear(uint32_t port);
void fifo_take(uint32_t processor, void (*handle)(uint32_t port));

/* timer.c */
void timer_init(void);
uint64_t system_time(void);
uint32_t timer_events(void);
void timer_set(uint64_t deadline);
void sleep_ns(uint64_t ns);

/* grants.c */
void grants_init(void);
void grants_show(void);
void grants_hide(void);
int grant_page(uint16_t domid, void *page, int readonly);
void grant_end(int ref);
extern struct grant_entry *grant_table;

/* xenstore.c */
#define SHUTDOWN_TOKEN "shutdown"
void xs_init(void);
int xs_request(int type, uint32_t tx, const char *payload, int length, char *reply, int size);
int xs_read(const char *path, char *reply, int size);
int xs_write(const char *path, const char *value);
int xs_watch(const char *path, const char *token);
extern uint32_t xs_watch_events;
int xs_available(void);
int xs_shutdown_asked(void);                  /* takes what waits; whether control/shutdown has changed since the last time */
int xs_pending(void);                         /* whether the store has sent something */
int xs_take_events(void);                     /* takes what waits; the number of watch events since the last time */

/* xenbus.c: a device's nodes, of either end */
enum { INITIALISING = 1, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED };
int xenbus_read(const char *base, const char *node, char *value, int size);
uint32_t xenbus_read_number(const char *base, const char *node, uint32_t otherwise);
void xenbus_write(const char *base, const char *node, const char *value);
void xenbus_write_number(const char *base, const char *node, uint32_t value);
/* The first device of a kind: its folder and its back end's. Nonzero where there is one. */
int xenbus_first(const char *kind, char *front, int front_size, char *back, int back_size);
int xenbus_reaches(const char *back, uint32_t wanted);  /* waits for a back end's state; 0 where it is gone or went further */

/* blkfront.c */
int blk_init(void);                           /* nonzero where a disk is there */
uint32_t blk_sectors(void);
int blk_transfer(int write, uint32_t sector, uint32_t count, void *page);
const char *blk_name(void);
void blk_close(void);
void blk_resume(void);                        /* in a new domain: connects again */

/* netfront.c: a network card, the first that xenstore names */
typedef void (*frame_receiver)(const uint8_t *frame, uint32_t length, uint16_t flags);
int card_open(void);                          /* nonzero where there is one */
void card_close(void);
void card_resume(void);                       /* in a new domain: connects again */
int card_is_connected(void);                  /* a back end serves it still */
const uint8_t *card_address(void);
int card_send(const void *frame, uint32_t length, uint16_t flags); /* NETTXF_; 0 where there is no room */
void card_receive(frame_receiver receiver);   /* who gets frames from now on, called from the upcall; 0: nobody, they are polled */
int card_has_frames(void);
void card_poll(frame_receiver receiver);

/* ping.c */
void net(char **words, int count);            /* commands of the monitor */
void ping(char **words, int count);

/* serve.c: a driver domain */
#define SERVED 8
struct served {
    const struct backend *kind;                 /* 0: not in use */
    int state;
    uint16_t domain;
    uint32_t number, port;
    char back[64], front[64];
};
struct backend {
    const char *name, *what;
    void (*offer)(struct served *device);       /* writes what it has to say of itself */
    int (*connect)(struct served *device);      /* maps the rings; nonzero where it could */
    void (*disconnect)(struct served *device);  /* lets go of what it mapped */
    void (*forget)(struct served *device);      /* gives back what it was offered with; 0: nothing */
    int (*has_work)(struct served *device);
    void (*work)(struct served *device);
};
extern struct served served[SERVED];
extern const struct backend disk_backend, card_backend;
void serve(int count);
void *serve_map(struct served *device, uint32_t va, uint32_t ref, uint32_t *handle);
void serve_unmap(void *page, uint32_t handle);

/* netback.c: what comes by our own card, where we have one */
int uplink_open(void);
int uplink_has_work(void);
void uplink_work(void);

/* user.c */
void user_demo(void);
int user_run(const char *argument, uint32_t *faults);
int user_map_blob(void);

/* kernels.c */
struct kernel { const char *name; uint32_t (*run)(uint32_t n); uint32_t n, expected; };
extern const struct kernel kernels[];

/* pair.c */
void pair(char **words, int count);           /* a command of the monitor */

/* suspend.c */
void suspend_init(void);
void suspend_if_asked(void);                  /* returns when it goes on */
void suspend_command(char **words, int count);

/* monitor.c, selftest.c, fuzz.c */
void monitor(void);
void monitor_execute(char *line);
void selftest(const char *name);
void fuzz(uint32_t seed, uint32_t count);
#endif
