/* Steps of a program in compiled code: what Python fills, and what each file here offers the others.
 *
 * `hil.npu.native.records` mirrors these structures; their numbers are 64 bits wide, but those of `Scales`.
 * `arithmetic/native_*.py` fill them only for operands for which `hil.npu.arithmetic.exactness` proves the arithmetic
 * here exact, and only with addresses inside the extents that a program checks before it runs. */
#ifndef HIL_NATIVE_H
#define HIL_NATIVE_H

#include <stdint.h>
#include <string.h>

#define BRICK 16
#define MAX_REGIONS 9
#define SLACK 256 /* bytes after a buffer that loads of whole vectors may read */

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define VNNI __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#endif
#define INLINE static inline __attribute__((always_inline))

/* A feature map: pixel (y, x) begins at (x < split ? left : right)[y] + x*step_x of its region; sixteen channels are
 * adjacent, the next sixteen step_c bytes further. */
typedef struct {
    int64_t region, size, is_signed, height, width, depth, split, step_x, step_c;
    const int64_t *left, *right;
} Map;

/* The output stage; arrays by channel.  Mode 0 does not scale, 1 scales in float64, 2 in int64. */
typedef struct {
    int64_t mode, rounding, zero_point, low, high, wraps, function, table_kind, table_signed;
    const int64_t *bias, *factor, *shift;
    const double *multiplier, *half, *nudge;
    const int64_t *table, *slope;
} Stage;

enum { TFL, TRUNCATE, NATURAL };
enum { NOTHING, TANH = 3, SIGMOID = 4 };
enum { NO_TABLE, BYTES, INTERPOLATED };

/* Where the windows of an operation lie: padded height and width, and what is added above and left of the input. */
typedef struct {
    int64_t height, width, stride_y, stride_x, dilation_y, dilation_x, top, left, padded_height, padded_width,
        inside_height, inside_width, upscale;
} Window;

typedef struct {
    int64_t source, destination, length, pieces;
    const int64_t *from, *to;
} Copy;

/* How sixteen channels are scaled, the zero point added, as `hil.npu.arithmetic.exactness` explains.
 *
 * A sum s becomes ((s + 2^31)*factor + rounding + (s + 2^31 & nudge) >> shift) - offset, without signs and in the last 64
 * and 32 bits.  In float32 it becomes s*multiplier + low, and nudged if s < 0, rounded to the nearest integer, where that
 * is the same with high instead of low. */
typedef struct {
    uint64_t factor[BRICK], rounding[BRICK], shift[BRICK], nudge[BRICK];
    uint32_t offset[BRICK];
    float multiplier[BRICK], low[BRICK], high[BRICK], nudged[BRICK];
} Scales;

enum { ANY_OPERANDS, PAIRS_OF_BYTES, DOTS_OF_BYTES };

/* A convolution: `whole` sums over the input's depth, else each channel has its own kernel.
 *
 * A window is `runs` pieces of memory at `offsets`; `weights` as `native_packing` orders them.  `operands`: ANY_OPERANDS
 * (`convolution.c`), PAIRS_OF_BYTES (`pairs.h`), or DOTS_OF_BYTES (`vectors.c`).  For bytes: `first`, the 32-bit sums
 * to begin with; `scales` of each sixteen channels, in float32 what that is sure of, if `fast`; `table`, 256 bytes or
 * null.
 *
 * The order of channels is that of `native_packing.Form`. */
typedef struct {
    Map ifm, ofm;
    Window window;
    Stage stage;
    int64_t whole, zero_point, fits_int32, chunk, operands, flip, fill, two_sided, fast, tile_rows, tile_samples, runs,
        groups, vectors;
    const int64_t *offsets;
    const void *weights;
    const int32_t *first;
    const Scales *scales;
    const uint8_t *table;
} Convolution;

enum { MAXIMUM, SUM, DEPTH_SUM };

/* A pool; factor and shift divide by the count of elements at each position, null if the stage does. */
typedef struct {
    Map ifm, ofm;
    Window window;
    Stage stage;
    int64_t function, zero_point, lowest;
    const int64_t *factor, *shift;
} Pool;

enum { MUL, ADD, SUB, MIN, MAX, LRELU, ABS, CLZ, SHR, SHL };

/* An elementwise operation; `pairs` has room for the results of all pairs of bytes, null if it has other operands.
 *
 * If `linear`, results before their limits are first*by_first + second*by_second + low of unsigned bytes in float32,
 * rounded to the nearest integer, where that is the same with high instead of low. */
typedef struct {
    Map ifm, ifm2, ofm;
    Stage stage;
    int64_t kind, has_second, scalar, zero_point, zero_point2, reversed, scaled_operand, operand_rounding, whole_first;
    int64_t factor_a, shift_a, factor_b, scaled, factor, shift;
    uint8_t *pairs;
    int64_t pairs_ready, computed, linear;
    float by_first, by_second, low, high;
} Elementwise;

enum { COPY, CONVOLUTION, POOL, ELEMENTWISE };

typedef struct {
    int64_t kind, scratch;
    void *data;
} Step;

/* `count` steps that run on `group` samples at a time: what one writes is in the cache when the next reads it. */
typedef struct {
    int64_t count, group;
} Stretch;

/* Some samples of a batch: addresses of their first one in each region, and bytes to the next. */
typedef struct {
    uint8_t *base[MAX_REGIONS];
    int64_t stride[MAX_REGIONS];
    int64_t count;
    int64_t level; /* 0: any CPU, 1: AVX2, 2: AVX-512 VNNI */
    uint8_t *scratch;
} Batch;

INLINE uint8_t *sample_of(const Batch *batch, int64_t region, int64_t sample) {
    return batch->base[region] + sample * batch->stride[region];
}

INLINE int64_t pixel_of(const Map *map, int64_t y, int64_t x) {
    return (x < map->split ? map->left : map->right)[y] + x * map->step_x;
}

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

#define WINDOWS 4 /* that pairs of products are added for at a time */

typedef int32_t Sums_plain[BRICK];

/* Adds products of `pairs` pairs of inputs of each window by sixteen channels of weights. */
INLINE void add_pairs_plain(const int16_t *const *windows, int64_t pairs, const int16_t *weights, Sums_plain *sums) {
    for (int64_t pair = 0; pair < pairs; pair++, weights += 2 * BRICK)
        for (int i = 0; i < WINDOWS; i++) {
            int32_t a = windows[i][2 * pair], b = windows[i][2 * pair + 1];
            for (int c = 0; c < BRICK; c++)
                sums[i][c] += a * weights[2 * c] + b * weights[2 * c + 1];
        }
}

#ifdef AVX2
typedef __m256i Sums_avx2[2];

AVX2 INLINE void add_pairs_avx2(const int16_t *const *windows, int64_t pairs, const int16_t *weights, Sums_avx2 *sums) {
    for (int64_t pair = 0; pair < pairs; pair++, weights += 2 * BRICK) {
        __m256i low = _mm256_loadu_si256((const __m256i *)weights);
        __m256i high = _mm256_loadu_si256((const __m256i *)(weights + BRICK));
#pragma GCC unroll 4
        for (int i = 0; i < WINDOWS; i++) {
            int32_t two;
            memcpy(&two, windows[i] + 2 * pair, 4);
            __m256i inputs = _mm256_set1_epi32(two);
            sums[i][0] = _mm256_add_epi32(sums[i][0], _mm256_madd_epi16(inputs, low));
            sums[i][1] = _mm256_add_epi32(sums[i][1], _mm256_madd_epi16(inputs, high));
        }
    }
}
#endif

int64_t rescale(int64_t value, int64_t factor, int64_t shift, int64_t rounding);
void read_channels(const Map *map, const uint8_t *pixel, int64_t first, int64_t count, int64_t *out);
void finish(const Stage *stage, const int64_t *sums, int64_t first, int64_t count, int64_t size, uint8_t *out);
void store_channels(const Map *map, uint8_t *pixel, int64_t first, int64_t count, const uint8_t *values);

void convolve(const Convolution *step, const Batch *batch);
void convolve_pairs(const Convolution *step, const Batch *batch);
void convolve_bytes(const Convolution *step, const Batch *batch);
void pool(const Pool *step, const Batch *batch);
void elementwise(Elementwise *step, const Batch *batch);

#endif
