/* Memory functions, under C's names and under those that the Arm run-time ABI (IHI 0043) has for compilers.
 *
 * Built with -fno-builtin, or the compiler would make each loop a call of the function it is in.
 */
#include <string.h>

#include <stdint.h>

#define WORD sizeof(uint32_t)

static int both_aligned(const void *one, const void *other) {
    return (((uintptr_t)one | (uintptr_t)other) & (WORD - 1)) == 0;
}

void *memcpy(void *to, const void *from, size_t size) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if (both_aligned(to, from)) { /* DDR is slow: a word at a time where that can be. */
        for (; size >= WORD; size -= WORD, target += WORD, source += WORD) {
            *(uint32_t *)(void *)target = *(const uint32_t *)(const void *)source;
        }
    }
    while (size--) {
        *target++ = *source++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((uintptr_t)to - (uintptr_t)from >= size) {
        return memcpy(to, from, size);
    }
    while (size--) {
        target[size] = source[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *target = to;
    while (size--) {
        *target++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const uint8_t *a = one, *b = other;
    for (; size; size--, a++, b++) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}

#define ABI(name, ...)                                                                                                 \
    void __aeabi_##name(__VA_ARGS__);                                                                                  \
    void __aeabi_##name##4(__VA_ARGS__) __attribute__((alias("__aeabi_" #name)));                                      \
    void __aeabi_##name##8(__VA_ARGS__) __attribute__((alias("__aeabi_" #name)));                                      \
    void __aeabi_##name(__VA_ARGS__)

ABI(memcpy, void *to, const void *from, size_t size) {
    memcpy(to, from, size);
}

ABI(memmove, void *to, const void *from, size_t size) {
    memmove(to, from, size);
}

ABI(memset, void *to, size_t size, int value) /* Not in C's order. */
{
    memset(to, value, size);
}

ABI(memclr, void *to, size_t size) {
    memset(to, 0, size);
}
