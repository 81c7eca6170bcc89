/*
 * Compute kernels. Each runs n times and gives a checksum that depends on every step; they know nothing of the
 * kernel around them, so that the same source compiled for the host gives the values to expect for n = 1 (native-kernels.c).
 */
#include <stdint.h>
#include <stddef.h>

struct kernel { const char *name; uint32_t (*run)(uint32_t n); uint32_t n, expected; };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state;
}

static uint32_t sum(uint32_t n)
{
    uint32_t s = 0;
    for (; n; n--)
        for (uint32_t i = 0; i < 100000; i++)
            s = (s ^ i) * 3 + (s >> 7);
    return s;
}

static uint32_t crc32(uint32_t n)
{
    static uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xEDB88320 : c >> 1;
        table[i] = c;
    }
    uint32_t crc = ~0u;
    for (; n; n--)
        for (uint32_t i = 0; i < 20000; i++)
            crc = crc >> 8 ^ table[(crc ^ i) & 255];
    return ~crc;
}

static uint32_t sieve(uint32_t n)
{
    static uint8_t composite[20000];
    uint32_t primes = 0;
    for (; n; n--) {
        for (uint32_t i = 0; i < sizeof composite; i++)
            composite[i] = 0;
        for (uint32_t i = 2; i < sizeof composite; i++) {
            if (composite[i])
                continue;
            primes = primes * 31 + i;
            for (uint32_t j = i * i; j < sizeof composite; j += i)
                composite[j] = 1;
        }
    }
    return primes;
}

static void quicksort(int32_t *a, int low, int high)
{
    while (low < high) {
        int32_t pivot = a[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                int32_t t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        quicksort(a, low, j);
        low = i;
    }
}

static uint32_t sort(uint32_t n)
{
    static int32_t a[2000];
    uint32_t state = 1, h = 0;
    for (; n; n--) {
        for (int i = 0; i < 2000; i++)
            a[i] = (int32_t)next_random(&state);
        quicksort(a, 0, 1999);
        for (int i = 0; i < 2000; i++)
            h = h * 33 + (uint32_t)a[i];
    }
    return h;
}

static uint32_t matrix(uint32_t n)
{
    static int32_t a[24][24], b[24][24], c[24][24];
    uint32_t state = 7, h = 0;
    for (int i = 0; i < 24; i++)
        for (int j = 0; j < 24; j++) {
            a[i][j] = (int32_t)next_random(&state) >> 16;
            b[i][j] = (int32_t)next_random(&state) >> 16;
        }
    for (; n; n--) {
        for (int i = 0; i < 24; i++)
            for (int j = 0; j < 24; j++) {
                int32_t s = 0;
                for (int k = 0; k < 24; k++)
                    s += a[i][k] * b[k][j];
                c[i][j] = s;
                h = (h << 5 | h >> 27) ^ (uint32_t)s;
            }
        a[n % 24][n % 7] = c[n % 11][n % 24] >> 8;
    }
    return h;
}

static uint32_t rotate(uint32_t x, int k)
{
    return x >> k | x << (32 - k);
}

/* floor(cube root of p times 2^32), its low 32 bits, by bisection; p < 512. */
static uint32_t cube_root(uint32_t p)
{
    uint64_t low = 0, high = 8ull << 32;
    while (high - low > 1) {
        uint64_t mid = (low + high) >> 1;
        uint32_t power[5] = { 1, 0, 0, 0, 0 };
        for (int times = 0; times < 3; times++) {
            uint32_t old[5], top = (uint32_t)(mid >> 32), previous = 0;
            uint64_t carry = 0;
            for (int i = 0; i < 5; i++)
                old[i] = power[i];
            for (int i = 0; i < 5; i++) {
                carry += (uint64_t)old[i] * (uint32_t)mid;
                uint64_t sum = (carry & 0xFFFFFFFF) + (uint64_t)previous * top;
                power[i] = (uint32_t)sum;
                carry = (carry >> 32) + (sum >> 32);
                previous = old[i];
            }
        }
        if (power[3] >= p)
            high = mid;
        else
            low = mid;
    }
    return (uint32_t)low;
}

static uint32_t sha256(uint32_t n)
{
    /* The constants are the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
    static uint32_t k[64];
    for (uint32_t p = 2, found = 0; found < 64 && !k[63]; p++) {
        uint32_t d = 2;
        while (d < p && p % d)
            d++;
        if (d == p)
            k[found++] = cube_root(p);
    }
    uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    for (; n; n--)
        for (int block = 0; block < 20; block++) {
            uint32_t w[64], s[8];
            for (int i = 0; i < 16; i++)
                w[i] = (uint32_t)(i * 0x01010101 + block) ^ h[i & 7];
            for (int i = 16; i < 64; i++)
                w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3)
                     + (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
            for (int i = 0; i < 8; i++)
                s[i] = h[i];
            for (int i = 0; i < 64; i++) {
                uint32_t t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25))
                            + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
                uint32_t t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22))
                            + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
                for (int j = 7; j; j--)
                    s[j] = s[j - 1];
                s[4] += t1;
                s[0] = t1 + t2;
            }
            for (int i = 0; i < 8; i++)
                h[i] += s[i];
        }
    return h[0] ^ h[3] ^ h[7];
}

/* String instructions with every width, both directions, and repeat prefixes that end early. */
static uint32_t string(uint32_t n)
{
    static uint8_t a[4096], b[4096];
    uint32_t h = 0, state = 3;
    for (; n; n--) {
        for (int i = 0; i < 4096; i++)
            a[i] = (uint8_t)(next_random(&state) >> 24);
        for (int round = 0; round < 8; round++) {
            uint32_t count;
            void *d = b + round, *s = a;
            count = 1000;
            asm volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
            d = b + 3000;
            s = a + 2000;
            count = 1500;
            asm volatile("std\n\trep movsb\n\tcld" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
            d = b;
            count = 4096;
            asm volatile("repne scasb" : "+D"(d), "+c"(count) : "a"(round * 7) : "memory", "cc");
            h = h * 31 + count;
            d = b;
            s = a;
            count = 4096;
            asm volatile("repe cmpsb" : "+D"(d), "+S"(s), "+c"(count) : : "memory", "cc");
            h = h * 31 + count;
            d = b + 100 * round;
            count = 50;
            asm volatile("rep stosw" : "+D"(d), "+c"(count) : "a"(h) : "memory");
        }
        for (int i = 0; i < 4096; i++)
            h = h * 17 + b[i];
    }
    return h;
}

static __attribute__((noinline)) uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint32_t fib(uint32_t n)
{
    uint32_t h = 0;
    for (; n; n--)
        h = h * 31 + fibonacci(18);
    return h;
}

/* A small stack machine behind a jump table: indirect jumps that no predictor of blocks likes. */
static uint32_t vm(uint32_t n)
{
    enum { PUSH, ADD, XOR, DUP, SWAP, SHIFT, LOAD, STORE, JNZ, DEC, END };
    static const uint8_t code[] = {
        PUSH, 100, STORE, 0, PUSH, 1, STORE, 1,
        LOAD, 1, DUP, SHIFT, 5, XOR, LOAD, 0, ADD, PUSH, 77, SWAP, ADD, STORE, 1,
        DEC, 0, LOAD, 0, JNZ, 8, END,
    };
    uint32_t memory[4] = { 0, 0, 0, 0 }, h = 0;
    for (; n; n--) {
        for (int round = 0; round < 10; round++) {
            uint32_t stack[16], t;
            int sp = 0;
            for (uint32_t pc = 0; ; ) {
                switch (code[pc++]) {
                case PUSH: stack[sp++] = code[pc++]; continue;
                case ADD: sp--; stack[sp - 1] += stack[sp]; continue;
                case XOR: sp--; stack[sp - 1] ^= stack[sp]; continue;
                case DUP: stack[sp] = stack[sp - 1]; sp++; continue;
                case SWAP: t = stack[sp - 1]; stack[sp - 1] = stack[sp - 2]; stack[sp - 2] = t; continue;
                case SHIFT: stack[sp - 1] = stack[sp - 1] << code[pc] | stack[sp - 1] >> (32 - code[pc]); pc++; continue;
                case LOAD: stack[sp++] = memory[code[pc++]]; continue;
                case STORE: memory[code[pc++]] = stack[--sp]; continue;
                case DEC: memory[code[pc++]]--; continue;
                case JNZ: t = code[pc++]; if (stack[--sp]) pc = t; continue;
                }
                break;
            }
            h = h * 31 + memory[1] + (uint32_t)round;
        }
    }
    return h;
}

/* Arithmetic that the others hardly use: 64-bit products and quotients, carries, bit scans, byte swaps. */
static uint32_t mixed(uint32_t n)
{
    uint64_t x = 0x123456789ABCDEFull;
    uint32_t h = 0;
    for (; n; n--)
        for (uint32_t i = 1; i < 5000; i++) {
            uint32_t high = (uint32_t)(x >> 32) % i, low = (uint32_t)x, rest = high;
            asm("divl %2" : "+a"(low), "+d"(rest) : "r"(i) : "cc");
            x = x * 6364136223846793005ull + ((uint64_t)low << 32 | rest);
            x -= (x << 13) + h;
            h ^= __builtin_bswap32((uint32_t)x) + (uint32_t)__builtin_ctz((uint32_t)x | 0x80000000u);
            h += (uint32_t)((int64_t)(int32_t)h * (int32_t)(x >> 32) >> 16);
        }
    return h;
}

const struct kernel kernels[] = {
#include "expected.h"
    { 0, 0, 0, 0 },
};
