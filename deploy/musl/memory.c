/* memcpy, memmove and memcmp for static x86-64 binaries, linked in place of musl's (build.rs).
 *
 * musl copies everything by `rep movsq`, whose start alone costs some 30 cycles, and compares byte by byte. A request makes
 * about 140 copies of mostly below 100 bytes; see docs/performance.md for what that is in time.
 *
 * Copies up to 128 bytes load all before they store any, so that one function serves memcpy and memmove. SSE2 is part of
 * every x86-64, so nothing is asked at run time. Built with -fno-builtin: the compiler must not make a call of memcpy out of
 * a loop in memcpy.
 */
#include <stddef.h>
#include <stdint.h>

/* Unaligned access to any memory, as the compiler is allowed to assume it. */
typedef long long v16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef char b16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t u64 __attribute__((aligned(1), may_alias));
typedef uint32_t u32 __attribute__((aligned(1), may_alias));
typedef uint16_t u16 __attribute__((aligned(1), may_alias));

#define AT(type, pointer, offset) (*(type *)((char *)(pointer) + (offset)))
#define FROM(type, pointer, offset) (*(const type *)((const char *)(pointer) + (offset)))

/* Up to 128 bytes: a piece from the start and one from the end, which may overlap in the middle. */
static inline void *copy_small(void *to, const void *from, size_t n) {
    if (n >= 16) {
        if (n <= 32) {
            v16 a = FROM(v16, from, 0), z = FROM(v16, from, n - 16);
            AT(v16, to, 0) = a, AT(v16, to, n - 16) = z;
            return to;
        }
        v16 a = FROM(v16, from, 0), b = FROM(v16, from, 16);
        v16 y = FROM(v16, from, n - 32), z = FROM(v16, from, n - 16);
        if (n > 64) {
            v16 c = FROM(v16, from, 32), d = FROM(v16, from, 48);
            v16 w = FROM(v16, from, n - 64), x = FROM(v16, from, n - 48);
            AT(v16, to, 32) = c, AT(v16, to, 48) = d;
            AT(v16, to, n - 64) = w, AT(v16, to, n - 48) = x;
        }
        AT(v16, to, 0) = a, AT(v16, to, 16) = b;
        AT(v16, to, n - 32) = y, AT(v16, to, n - 16) = z;
        return to;
    }
    if (n >= 8) {
        u64 a = FROM(u64, from, 0), z = FROM(u64, from, n - 8);
        AT(u64, to, 0) = a, AT(u64, to, n - 8) = z;
    } else if (n >= 4) {
        u32 a = FROM(u32, from, 0), z = FROM(u32, from, n - 4);
        AT(u32, to, 0) = a, AT(u32, to, n - 4) = z;
    } else if (n >= 2) {
        u16 a = FROM(u16, from, 0), z = FROM(u16, from, n - 2);
        AT(u16, to, 0) = a, AT(u16, to, n - 2) = z;
    } else if (n == 1) {
        AT(char, to, 0) = FROM(char, from, 0);
    }
    return to;
}

/* From the start on, 64 bytes at a time; the last 64 were loaded before anything was stored. Stores are aligned. */
static void *copy_forward(void *to, const void *from, size_t n) {
    v16 first = FROM(v16, from, 0);
    v16 w = FROM(v16, from, n - 64), x = FROM(v16, from, n - 48);
    v16 y = FROM(v16, from, n - 32), z = FROM(v16, from, n - 16);
    size_t i = 16 - ((uintptr_t)to & 15);
    for (size_t a = i; a < n - 64; a += 64) {
        v16 p = FROM(v16, from, a), q = FROM(v16, from, a + 16);
        v16 r = FROM(v16, from, a + 32), s = FROM(v16, from, a + 48);
        if (a == i) AT(v16, to, 0) = first;
        AT(v16, to, a) = p, AT(v16, to, a + 16) = q;
        AT(v16, to, a + 32) = r, AT(v16, to, a + 48) = s;
    }
    AT(v16, to, n - 64) = w, AT(v16, to, n - 48) = x;
    AT(v16, to, n - 32) = y, AT(v16, to, n - 16) = z;
    return to;
}

/* The same from the end, where the target overlaps the source's end. */
static void *copy_backward(void *to, const void *from, size_t n) {
    v16 a = FROM(v16, from, 0), b = FROM(v16, from, 16);
    v16 c = FROM(v16, from, 32), d = FROM(v16, from, 48);
    size_t left = n;
    for (; left > 64; left -= 64) {
        v16 p = FROM(v16, from, left - 16), q = FROM(v16, from, left - 32);
        v16 r = FROM(v16, from, left - 48), s = FROM(v16, from, left - 64);
        AT(v16, to, left - 16) = p, AT(v16, to, left - 32) = q;
        AT(v16, to, left - 48) = r, AT(v16, to, left - 64) = s;
    }
    AT(v16, to, 0) = a, AT(v16, to, 16) = b, AT(v16, to, 32) = c, AT(v16, to, 48) = d;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    return n <= 128 ? copy_small(to, from, n) : copy_forward(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    if (n <= 128) return copy_small(to, from, n);
    if ((uintptr_t)to - (uintptr_t)from < n) return copy_backward(to, from, n);
    return copy_forward(to, from, n);
}

/* Which of two words of eight bytes comes first, as bytes. */
static inline int order(uint64_t a, uint64_t b) {
    a = __builtin_bswap64(a), b = __builtin_bswap64(b);
    return a < b ? -1 : a > b;
}

int memcmp(const void *left, const void *right, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t a = FROM(u64, left, i), b = FROM(u64, right, i);
        if (a != b) return order(a, b);
    }
    if (i == n) return 0;
    if (n >= 8) return order(FROM(u64, left, n - 8), FROM(u64, right, n - 8));
    for (; i < n; i++) {
        int difference = FROM(unsigned char, left, i) - FROM(unsigned char, right, i);
        if (difference) return difference;
    }
    return 0;
}
