/* Compares the functions of memory.c with the system's, at all small sizes and random large ones, overlaps included.
 * Built and run by tests/it/memory.rs, which gives memory.c's functions the names below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *checked_memcpy(void *to, const void *from, size_t n);
void *checked_memmove(void *to, const void *from, size_t n);
int checked_memcmp(const void *left, const void *right, size_t n);

enum { SIZE = 2048 };
static unsigned char source[SIZE], expected[SIZE], found[SIZE];

static void fail(const char *what, size_t n, size_t from, size_t to) {
    printf("%s of %zu bytes from %zu to %zu\n", what, n, from, to);
    exit(1);
}

static int sign(int value) { return (value > 0) - (value < 0); }

static void copies(size_t n, size_t from, size_t to) {
    memcpy(expected, source, SIZE);
    memcpy(found, source, SIZE);
    memmove(expected + to, expected + from, n);
    if (checked_memmove(found + to, found + from, n) != found + to) fail("result of memmove", n, from, to);
    if (memcmp(expected, found, SIZE)) fail("memmove", n, from, to);
    memcpy(expected + to, source + from, n);
    if (checked_memcpy(found + to, source + from, n) != found + to) fail("result of memcpy", n, from, to);
    if (memcmp(expected, found, SIZE)) fail("memcpy", n, from, to);
}

static void compares(size_t n, size_t at) {
    memcpy(found, source, SIZE);
    if (checked_memcmp(source + at, found + at, n)) fail("memcmp of equals", n, at, at);
    if (n == 0) return;
    found[at + (size_t)rand() % n] ^= (unsigned char)(1 << rand() % 8);
    if (sign(checked_memcmp(source + at, found + at, n)) != sign(memcmp(source + at, found + at, n)))
        fail("memcmp", n, at, at);
}

int main(void) {
    srand(1);
    for (size_t i = 0; i < SIZE; i++) source[i] = (unsigned char)rand();
    for (size_t n = 0; n < 300; n++)
        for (size_t to = 500; to < 550; to++) {
            copies(n, 520, to);
            compares(n, to);
        }
    for (int i = 0; i < 100000; i++) {
        size_t n = (size_t)rand() % 1000, from = (size_t)rand() % 1000, to = (size_t)rand() % 1000;
        copies(n, from, to);
        compares(n, from);
    }
    return 0;
}
