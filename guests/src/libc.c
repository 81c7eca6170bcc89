/* The few library routines a kernel cannot do without. */
#include "kernel.h"

void *memset(void *p, int c, size_t n)
{
    void *d = p;
    asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    return p;
}

void *memcpy(void *d, const void *s, size_t n)
{
    void *to = d;
    size_t words = n >> 2;
    asm volatile("rep movsl\n\tmovl %3, %2\n\trep movsb" : "+D"(to), "+S"(s), "+c"(words) : "r"(n & 3) : "memory");
    return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, ~0u);
}

char *strchr(const char *s, int c)
{
    for (; *s; s++)
        if (*s == c)
            return (char *)s;
    return 0;
}

/* Decimal or 0x hexadecimal, the whole string. */
int parse_number(const char *s, uint32_t *value)
{
    uint32_t base = 10, v = 0;
    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    if (!*s)
        return 0;
    for (; *s; s++) {
        uint32_t digit = *s >= 'a' ? *s - 'a' + 10u : *s >= 'A' ? *s - 'A' + 10u : *s - '0' + 0u;
        if (digit >= base)
            return 0;
        v = v * base + digit;
    }
    *value = v;
    return 1;
}

/* 64 by 32 bits, without the compiler's library. */
uint64_t divide(uint64_t n, uint32_t d, uint32_t *remainder)
{
    uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n, quotient_high = high / d, rest = high % d;
    asm("divl %2" : "+a"(low), "+d"(rest) : "r"(d) : "cc");
    if (remainder)
        *remainder = rest;
    return (uint64_t)quotient_high << 32 | low;
}

struct sink { char *buffer; int size, used; };

static void put(struct sink *sink, char c)
{
    if (sink->used + 1 < sink->size)
        sink->buffer[sink->used] = c;
    sink->used++;
}

static void put_number(struct sink *sink, uint64_t value, uint32_t base, int negative, int width, char pad)
{
    char digits[24];
    int n = 0;
    do {
        uint32_t digit;
        value = divide(value, base, &digit);
        digits[n++] = "0123456789abcdef"[digit];
    } while (value);
    if (negative && pad == '0') {
        put(sink, '-');
        width--;
    } else if (negative) {
        digits[n++] = '-';
    }
    for (; width > n; width--)
        put(sink, pad);
    while (n)
        put(sink, digits[--n]);
}

/* %c %s %d %u %x with width, 0 and - flags, l and ll. Returns the length the whole would have. */
int vformat(char *buffer, int size, const char *format, va_list args)
{
    struct sink sink = { buffer, size, 0 };
    for (; *format; format++) {
        if (*format != '%') {
            put(&sink, *format);
            continue;
        }
        int width = 0, left = 0, longs = 0;
        char pad = ' ';
        format++;
        if (*format == '-') {
            left = 1;
            format++;
        }
        if (*format == '0')
            pad = '0';
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + *format - '0';
        for (; *format == 'l'; format++)
            longs++;
        if (*format == 's') {
            const char *s = va_arg(args, const char *);
            int n = strlen(s);
            for (int i = n; i < width && !left; i++)
                put(&sink, ' ');
            for (; *s; s++)
                put(&sink, *s);
            for (int i = n; i < width && left; i++)
                put(&sink, ' ');
        } else if (*format == 'c') {
            put(&sink, va_arg(args, int));
        } else if (*format == 'd') {
            int64_t v = longs > 1 ? va_arg(args, int64_t) : va_arg(args, int32_t);
            put_number(&sink, v < 0 ? -v : v, 10, v < 0, width, pad);
        } else if (*format == 'u' || *format == 'x') {
            uint64_t v = longs > 1 ? va_arg(args, uint64_t) : va_arg(args, uint32_t);
            put_number(&sink, v, *format == 'x' ? 16 : 10, 0, width, pad);
        } else {
            put(&sink, *format);
        }
    }
    if (size)
        buffer[sink.used < size ? sink.used : size - 1] = 0;
    return sink.used;
}

int format(char *buffer, int size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vformat(buffer, size, format, args);
    va_end(args);
    return n;
}
