/* Convolutions of bytes for CPUs without AVX-512 VNNI: `pairs.h` with the instructions of AVX2, and of any CPU. */
#include "native.h"

#define AT_ONCE WINDOWS

/* Stores `count` of sixteen bytes each of two windows, looked up in `table` if there is one. */
static void store_bytes(uint8_t *values, const uint8_t *table, uint8_t *const *outs, int64_t at, int64_t count) {
    for (int i = 0; table && i < 2 * BRICK; i++)
        values[i] = table[values[i]];
    memcpy(outs[0] + at, values, count);
    memcpy(outs[1] + at, values + BRICK, count);
}

#define NAME(function) function##_plain
#define TARGET
#include "pairs.h"
#undef NAME
#undef TARGET

#ifdef AVX2
#define NAME(function) function##_avx2
#define TARGET AVX2
#define WITH_AVX2
#include "pairs.h"

void convolve_pairs(const Convolution *step, const Batch *batch) {
    (batch->level > 0 ? convolve_tiles_avx2 : convolve_tiles_plain)(step, batch);
}
#else
void convolve_pairs(const Convolution *step, const Batch *batch) { convolve_tiles_plain(step, batch); }
#endif
