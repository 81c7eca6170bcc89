/* Integer kernels, one chosen by -DKERNEL; the same static program runs natively and in the guest. Each gives a checksum. */
#include "share.h"
#define N 4096
#define ALWAYS static __attribute__((noinline))

typedef unsigned int u32;
typedef unsigned char u8;

static u32 words[N * 4];
static u8 bytes[N * 16];
static u32 seed = 12345;

static u32 next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

static void fill(void) {
    for (int i = 0; i < N * 4; i++)
        words[i] = next_random();
    for (int i = 0; i < N * 16; i++)
        bytes[i] = (u8)next_random();
}

/* Sums with a data-dependent choice. */
static int sum(void) {
    u32 total = 0;
    for (int round = 0; round < ROUNDS(120000); round++)
        for (int i = 0; i < N; i++)
            total += words[i] & 1 ? words[i] : ~words[i] >> 3;
    return (int)total;
}

/* Words copied one by one. */
static int copy(void) {
    for (int round = 0; round < ROUNDS(120000); round++) {
        volatile u32 *to = words + N;
        for (int i = 0; i < N; i++)
            to[i] = words[i] + round;
    }
    return (int)words[N + 17];
}

static int crc32(void) {
    static u32 table[256];
    for (u32 i = 0; i < 256; i++) {
        u32 value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xEDB88320 : value >> 1;
        table[i] = value;
    }
    u32 crc = ~0u;
    for (int round = 0; round < ROUNDS(3000); round++)
        for (int i = 0; i < N * 16; i++)
            crc = table[(crc ^ bytes[i]) & 0xFF] ^ crc >> 8;
    return (int)crc;
}

struct node {
    struct node *next;
    u32 value;
};

/* A list in random order. */
static int chase(void) {
    static struct node nodes[N];
    static u32 order[N];
    for (u32 i = 0; i < N; i++)
        order[i] = i;
    for (u32 i = N - 1; i > 0; i--) {
        u32 other = next_random() % (i + 1), held = order[i];
        order[i] = order[other];
        order[other] = held;
    }
    for (u32 i = 0; i < N; i++) {
        nodes[order[i]].next = nodes + order[(i + 1) % N];
        nodes[order[i]].value = i;
    }
    u32 total = 0;
    struct node *at = nodes;
    for (int i = 0; i < ROUNDS(150000000); i++) {
        total = total * 3 + at->value;
        at = at->next;
    }
    return (int)total;
}

ALWAYS void quicksort(u32 *low, u32 *high) {
    while (low < high) {
        u32 pivot = low[(high - low) / 2], *left = low, *right = high;
        while (left <= right) {
            while (*left < pivot)
                left++;
            while (*right > pivot)
                right--;
            if (left <= right) {
                u32 held = *left;
                *left++ = *right;
                *right-- = held;
            }
        }
        if (right - low < high - left) {
            quicksort(low, right);
            low = left;
        } else {
            quicksort(left, high);
            high = right;
        }
    }
}

static int sort(void) {
    u32 total = 0;
    for (int round = 0; round < ROUNDS(500); round++) {
        for (int i = 0; i < N * 4; i++)
            words[i] = next_random();
        quicksort(words, words + N * 4 - 1);
        total = total * 31 + words[round];
    }
    return (int)total;
}

static int sieve(void) {
    u32 count = 0;
    for (int round = 0; round < ROUNDS(4000); round++) {
        for (int i = 0; i < N * 16; i++)
            bytes[i] = 1;
        for (u32 i = 2; i < N * 16; i++)
            if (bytes[i]) {
                count++;
                for (u32 j = i * 2; j < N * 16; j += i)
                    bytes[j] = 0;
            }
    }
    return (int)count;
}

/* 64 x 64 integers. */
static int matrix(void) {
    u32 *a = words, *b = words + N, *c = words + N * 2;
    for (int round = 0; round < ROUNDS(3000); round++)
        for (int i = 0; i < 64; i++)
            for (int j = 0; j < 64; j++) {
                u32 total = round;
                for (int k = 0; k < 64; k++)
                    total += a[i * 64 + k] * b[k * 64 + j];
                c[i * 64 + j] = total;
            }
    return (int)c[77];
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* The compression function's shape: 64 rounds over eight words, the constants made up. */
static int digest(void) {
    u32 state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, schedule[64];
    for (int block = 0; block < ROUNDS(1000000); block++) {
        for (int i = 0; i < 16; i++)
            schedule[i] = words[(block * 16 + i) & (N - 1)];
        for (int i = 16; i < 64; i++) {
            u32 x = schedule[i - 15], y = schedule[i - 2];
            schedule[i] = schedule[i - 16] + (ROTATE(x, 7) ^ ROTATE(x, 18) ^ x >> 3) + schedule[i - 7] + (ROTATE(y, 17) ^ ROTATE(y, 19) ^ y >> 10);
        }
        u32 a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
        for (int i = 0; i < 64; i++) {
            u32 one = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + ((e & f) ^ (~e & g)) + 0x9E3779B9 * (i + 1) + schedule[i];
            u32 two = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
    return (int)(state[0] ^ state[7]);
}

ALWAYS int fibonacci(int n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static int recursion(void) {
    return fibonacci(SHARE > 1 ? 27 : 40);
}

/* An interpreter of six instructions: a jump table. */
static int machine(void) {
    static const u8 program[] = {0, 1, 3, 2, 4, 0, 2, 5, 1, 4, 3, 0, 5, 2, 1, 6};
    u32 a = 1, b = 2, turns = 0, at = 0;
    for (;;)
        switch (program[at++]) {
        case 0: a += b; break;
        case 1: b ^= a << 3; break;
        case 2: a = a * 5 + 1; break;
        case 3: b -= a >> 2; break;
        case 4: words[a & (N - 1)] = b; break;
        case 5: b += words[b & (N - 1)]; break;
        default:
            at = 0;
            if (++turns == ROUNDS(30000000))
                return (int)(a ^ b);
        }
}

/* Upper case, length, comparison of zero-terminated strings. */
static int strings(void) {
    u32 total = 0;
    char *text = (char *)bytes, *other = (char *)bytes + N * 8;
    for (int i = 0; i < N * 8; i++)
        text[i] = other[i] = (char)(i % 61 ? 'a' + i % 26 : 0);
    for (int round = 0; round < ROUNDS(10000); round++) {
        for (int at = 0; at < N * 8 - 64;) {
            int length = 0;
            while (text[at + length]) {
                char c = text[at + length];
                if (c >= 'a' && c <= 'z' && (round & 1))
                    c -= 32;
                total += (u8)c;
                length++;
            }
            int same = 0;
            while (text[at + same] && text[at + same] == other[at + same])
                same++;
            total += (u32)(same + length);
            at += length + 1;
        }
        other[round * 7 % (N * 8)] ^= 1;
    }
    return (int)total;
}

/* Calls through a table of functions, 64-bit arithmetic, divisions. */
ALWAYS u32 add(u32 x, u32 y) { return x + y; }
ALWAYS u32 mix(u32 x, u32 y) { return (u32)((unsigned long long)x * y >> 16); }
ALWAYS u32 part(u32 x, u32 y) { return x / (y | 1); }
ALWAYS u32 turn(u32 x, u32 y) { return ROTATE(x, 5) ^ y; }

static int calls(void) {
    static u32 (*volatile const table[])(u32, u32) = {add, mix, part, turn};
    u32 value = 1;
    for (u32 i = 0; i < ROUNDS(160000000); i++)
        value = table[i & 3](value, i) + 7;
    return (int)value;
}

#include "start.h"
