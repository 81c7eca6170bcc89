/* Event channels by queues (the FIFO ABI): a word for each port, 16 queues for each processor, linked through the words. */
#include "kernel.h"

#define PENDING (1u << 31)
#define MASKED  (1u << 30)
#define LINKED  (1u << 29)
#define LINK    0x1FFFFu
#define QUEUES  16

struct control_block { volatile uint32_t ready, reserved, head[QUEUES]; };

static volatile uint32_t *words;
static struct control_block *blocks;

/* Asks for it: a control block for each processor, then words for the first 1024 ports, all masked. */
int fifo_init(void)
{
    static struct control_block all_blocks[PAGE_SIZE / sizeof *blocks] PAGE_ALIGN;
    static volatile uint32_t all_words[1024] PAGE_ALIGN;
    memset(blocks = all_blocks, 0, sizeof all_blocks);
    int processors = 0;
    for (;; processors++) {
        struct evtchn_init_control control = { virt_to_mfn(blocks), processors * sizeof *blocks, processors, 0, { 0 } };
        if (event_op(EVTCHN_init_control, &control))
            break;
        if (control.link_bits != 17)
            panic("events: links of %u bits", control.link_bits);
    }
    if (!processors)
        return 0;
    for (int i = 0; i < 1024; i++)
        all_words[i] = MASKED;
    struct evtchn_expand_array expand = { virt_to_mfn((void *)all_words) };
    int error = event_op(EVTCHN_expand_array, &expand);
    if (error)
        panic("events: no words: %d", error);
    words = all_words;
    return processors;
}

int fifo_used(void)
{
    return words != 0;
}

void fifo_mask(uint32_t port)
{
    __atomic_fetch_or(&words[port], MASKED, __ATOMIC_SEQ_CST);
}

int fifo_pending(uint32_t port)
{
    return words[port] >> 31;
}

void fifo_clear(uint32_t port)
{
    __atomic_fetch_and(&words[port], ~PENDING, __ATOMIC_SEQ_CST);
}

/* Takes all events off a processor's queues, the lowest queue first. */
void fifo_take(uint32_t processor, void (*handle)(uint32_t port))
{
    struct control_block *block = &blocks[processor];
    uint32_t head[QUEUES] = { 0 };
    uint32_t ready = __atomic_exchange_n(&block->ready, 0, __ATOMIC_SEQ_CST);
    while (ready) {
        uint32_t queue = __builtin_ctz(ready);
        uint32_t port = head[queue] ? head[queue] : block->head[queue];
        uint32_t word = __atomic_fetch_and(&words[port], ~(LINKED | LINK), __ATOMIC_SEQ_CST);
        head[queue] = word & LINK;
        if (!head[queue])
            ready &= ~(1u << queue);
        if ((word & (PENDING | MASKED)) == PENDING) {
            fifo_clear(port);
            handle(port);
        }
        ready |= __atomic_exchange_n(&block->ready, 0, __ATOMIC_SEQ_CST);
    }
}
