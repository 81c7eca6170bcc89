/* Floating-point and SIMD kernels, one chosen by -DKERNEL; the same static program runs natively and in the guest. */
#include <emmintrin.h>
#include <wmmintrin.h>
#include "share.h"

#define N 1024

static double x[N], y[N];
static float a[N] __attribute__((aligned(16))), b[N] __attribute__((aligned(16)));

static void fill(void) {
    for (int i = 0; i < N; i++) {
        x[i] = i * 0.5;
        y[i] = 1.0 / (i + 1);
        a[i] = (float)x[i];
        b[i] = (float)y[i];
    }
}

/* y += k x */
static int daxpy(void) {
    for (int round = 0; round < ROUNDS(100000); round++) {
        double k = round & 1 ? 1.25 : -1.25;
        for (int i = 0; i < N; i++)
            y[i] += k * x[i];
    }
    return (int)y[N - 1];
}

/* The same with four single-precision numbers at a time. */
static int saxpy(void) {
    for (int round = 0; round < ROUNDS(400000); round++) {
        __m128 k = _mm_set1_ps(round & 1 ? 1.25f : -1.25f);
        for (int i = 0; i < N; i += 4)
            _mm_store_ps(b + i, _mm_add_ps(_mm_load_ps(b + i), _mm_mul_ps(k, _mm_load_ps(a + i))));
    }
    return (int)b[N - 1];
}

static int dot(void) {
    REAL sum = 0;
    for (int round = 0; round < ROUNDS(100000); round++)
        for (int i = 0; i < N; i++)
            sum += (REAL)x[i] * y[i];
    return (int)(sum / 1000000);
}

static int mandelbrot(void) {
    int inside = 0;
    for (int row = 0; row < 400; row++)
        for (int column = 0; column < 400; column++) {
            REAL cr = column * (REAL)0.0075 - 2, ci = row * (REAL)0.0075 - (REAL)1.5, zr = 0, zi = 0;
            int i = 0;
            for (; i < ROUNDS(1000); i++) {
                REAL r2 = zr * zr, i2 = zi * zi;
                if (r2 + i2 > 4)
                    break;
                zi = 2 * zr * zi + ci;
                zr = r2 - i2 + cr;
            }
            inside += i;
        }
    return inside;
}

/* Ten rounds of AES on each of many blocks in a chain. */
static int aes(void) {
#ifdef __AES__
    __m128i block = _mm_set1_epi32(1), key = _mm_set1_epi32(0x1234567);
    for (int i = 0; i < ROUNDS(30000000); i++) {
        block = _mm_aesenc_si128(block, key);
        key = _mm_add_epi32(key, block);
    }
    return _mm_cvtsi128_si32(block);
#else
    return 0;
#endif
}

/* Words of a big number multiplied by one and added to another, as OpenSSL's bn_mul_add_words does it in MMX registers (compilers no longer use them). */
#define WORD(at) "movd " #at "(%0), %%mm3\n paddq %%mm3, %%mm1\n movd " #at "(%1), %%mm2\n pmuludq %%mm0, %%mm2\n" \
    "paddq %%mm2, %%mm1\n movd %%mm1, " #at "(%0)\n psrlq $32, %%mm1\n"
static int bignum(void) {
    static unsigned sum[64], factor[64];
    int carry = 0;
    for (int i = 0; i < 64; i++)
        factor[i] = i * 2654435761u;
    for (unsigned round = 1; round < ROUNDS(1000000); round++) {
        unsigned *s = sum, *f = factor;
        int left = 64, out;
        __asm__ volatile("movd %4, %%mm0\n pxor %%mm1, %%mm1\n"
            "1: " WORD(0) WORD(4) WORD(8) WORD(12) WORD(16) WORD(20) WORD(24) WORD(28)
            "add $32, %0\n add $32, %1\n sub $8, %2\n jnz 1b\n movd %%mm1, %3\n emms\n"
            : "+r"(s), "+r"(f), "+r"(left), "=&r"(out) : "r"(round * 747796405u) : "memory", "cc");
        carry += out;
    }
    return carry ^ sum[63];
}

/* Bytes until a zero, sixteen at a time, as a C library counts them. */
static int count(void) {
    int sum = 0;
    for (int round = 0; round < ROUNDS(500000); round++) {
        const __m128i *p = (const __m128i *)a;
        __m128i zero = _mm_set1_epi8((char)0xEE);
        while (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_load_si128(p), zero)) == 0 && p < (const __m128i *)(a + N))
            p++;
        sum += p - (const __m128i *)a;
    }
    return sum;
}

#include "start.h"
