/* Convolutions of bytes in AVX-512 VNNI: `VPDPBUSD` adds four products of an unsigned and a signed byte to each of
 * sixteen 32-bit sums and does not saturate, so that it is exact while the sums fit.
 *
 * `tiles.h` copies the input and calls what is here. */
#include "native.h"

#ifdef VNNI

#define AT_ONCE 8 /* windows that a matrix product computes at a time */

/* Copies bytes, each xor `flip`; may write up to 63 bytes beyond, which are written later or slack. */
VNNI INLINE void move_vnni(uint8_t *to, const uint8_t *from, int64_t count, int64_t flip) {
    __m512i by = _mm512_set1_epi8((char)flip);
    for (; count >= 64; count -= 64, to += 64, from += 64)
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(from), by));
    if (count > 0)
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_maskz_loadu_epi8(~0ULL >> (64 - count), from), by));
}

/* Fills bytes; may write up to 63 bytes beyond. */
VNNI INLINE void fill_vnni(uint8_t *to, int64_t count, int64_t value) {
    for (; count > 0; count -= 64, to += 64)
        _mm512_storeu_si512(to, _mm512_set1_epi8((char)value));
}

typedef struct {
    __m512i factor[2], rounding[2], shift[2], nudge[2], offset; /* of channels 0, 2, 4, ... and 1, 3, 5, ... */
} Scaling;

typedef struct {
    __m512 multiplier, low, high, nudged;
} Fast;

typedef struct {
    __m512i low, high, order;
    int is_signed, two_sided, fast;
} Limits;

VNNI INLINE Limits limits_of(const Convolution *step) {
    const Stage *stage = &step->stage;
    return (Limits){
        _mm512_set1_epi8((char)stage->low),
        _mm512_set1_epi8((char)stage->high),
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (int)step->ofm.is_signed,
        (int)step->two_sided,
        (int)step->fast,
    };
}

/* As `Convolution` describes it. */
VNNI INLINE __m512i scaled(__m512i sums, const Scaling *by) {
    sums = _mm512_xor_si512(sums, _mm512_set1_epi32(INT32_MIN));
    __m512i pairs[2] = {sums, _mm512_srli_epi64(sums, 32)};
    for (int i = 0; i < 2; i++) {
        __m512i numbers = _mm512_add_epi64(_mm512_mul_epu32(pairs[i], by->factor[i]), by->rounding[i]);
        numbers = _mm512_add_epi64(numbers, _mm512_and_si512(pairs[i], by->nudge[i]));
        pairs[i] = _mm512_srlv_epi64(numbers, by->shift[i]);
    }
    __m512i results = _mm512_mask_blend_epi32(0xAAAA, pairs[0], _mm512_slli_epi64(pairs[1], 32));
    return _mm512_sub_epi32(results, by->offset);
}

/* Packs four vectors of 32-bit results to clamped bytes; lane i has their lanes i one behind the other. */
VNNI INLINE __m512i packed(__m512i a, __m512i b, __m512i c, __m512i d, const Limits *limits) {
    __m512i first = _mm512_packs_epi32(a, b), second = _mm512_packs_epi32(c, d);
    if (limits->is_signed)
        return _mm512_min_epi8(_mm512_max_epi8(_mm512_packs_epi16(first, second), limits->low), limits->high);
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(first, second), limits->low), limits->high);
}

/* Scales four vectors in float32; returns 0 if it is not sure of a result, else their bytes. */
VNNI INLINE int scaled_fast(const __m512i *sums, const Fast *const *by, const Limits *limits, __m512i *bytes) {
    __m512i results[4], unsure = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512 numbers = _mm512_cvtepi32_ps(sums[i]);
        __m512 low = _mm512_fmadd_ps(numbers, by[i]->multiplier, by[i]->low);
        __m512 high = _mm512_fmadd_ps(numbers, by[i]->multiplier, by[i]->high);
        if (limits->two_sided) {
            __mmask16 negative = _mm512_movepi32_mask(sums[i]);
            low = _mm512_mask_add_ps(low, negative, low, by[i]->nudged);
            high = _mm512_mask_add_ps(high, negative, high, by[i]->nudged);
        }
        results[i] = _mm512_cvtps_epi32(low);
        unsure = _mm512_ternarylogic_epi32(unsure, results[i], _mm512_cvtps_epi32(high), 0xF6);
    }
    if (_mm512_test_epi32_mask(unsure, unsure))
        return 0;
    *bytes = packed(results[0], results[1], results[2], results[3], limits);
    return 1;
}

VNNI INLINE __m512i looked_up(__m512i bytes, const uint8_t *table) {
    uint8_t values[64];
    _mm512_storeu_si512(values, bytes);
    for (int i = 0; i < 64; i++)
        values[i] = table[values[i]];
    return _mm512_loadu_si512(values);
}

/* Stores four lanes of `mask`ed bytes at four addresses. */
VNNI INLINE void store_lanes(__m512i bytes, uint8_t *const *outs, int64_t at, __mmask16 mask) {
    if (mask == 0xFFFF && outs[3] - outs[0] == 48 && outs[1] - outs[0] == 16 && outs[2] - outs[0] == 32) {
        _mm512_storeu_si512(outs[0] + at, bytes);
        return;
    }
    _mm_mask_storeu_epi8(outs[0] + at, mask, _mm512_castsi512_si128(bytes));
    _mm_mask_storeu_epi8(outs[1] + at, mask, _mm512_extracti32x4_epi32(bytes, 1));
    _mm_mask_storeu_epi8(outs[2] + at, mask, _mm512_extracti32x4_epi32(bytes, 2));
    _mm_mask_storeu_epi8(outs[3] + at, mask, _mm512_extracti32x4_epi32(bytes, 3));
}

/* Scales four rows of sixteen channels from number `c` on. */
VNNI static __attribute__((noinline)) __m512i rows_exactly(const Convolution *step, __m512i a, __m512i b, __m512i c,
                                                           __m512i d, int64_t channel, const Limits *limits) {
    const Scales *scales = step->scales + channel / BRICK;
    Scaling by = {.offset = _mm512_loadu_si512(scales->offset)};
    for (int odd = 0; odd < 2; odd++) {
        by.factor[odd] = _mm512_loadu_si512(scales->factor + 8 * odd);
        by.rounding[odd] = _mm512_loadu_si512(scales->rounding + 8 * odd);
        by.shift[odd] = _mm512_loadu_si512(scales->shift + 8 * odd);
        by.nudge[odd] = _mm512_loadu_si512(scales->nudge + 8 * odd);
    }
    return packed(scaled(a, &by), scaled(b, &by), scaled(c, &by), scaled(d, &by), limits);
}

/* Multiplies `AT_ONCE` windows by `number` vectors of weights from channel 16*vector on, scales and stores. */
VNNI INLINE void product(const Convolution *step, const int number, const uint8_t *const *rows, const int8_t *weights,
                         int64_t vector, uint8_t *const *outs, const Limits *limits) {
    __m512i sums[AT_ONCE][3];
#pragma GCC unroll 8
    for (int row = 0; row < AT_ONCE; row++)
#pragma GCC unroll 3
        for (int v = 0; v < number; v++)
            sums[row][v] = _mm512_loadu_si512(step->first + 16 * (vector + v));
    for (int64_t run = 0; run < step->runs; run++) {
        const uint8_t *a[AT_ONCE];
#pragma GCC unroll 8
        for (int row = 0; row < AT_ONCE; row++)
            a[row] = rows[row] + step->offsets[run];
        for (int64_t group = 0; group < step->groups; group++, weights += 64 * number) {
            __m512i columns[3];
#pragma GCC unroll 3
            for (int v = 0; v < number; v++)
                columns[v] = _mm512_loadu_si512(weights + 64 * v);
#pragma GCC unroll 8
            for (int row = 0; row < AT_ONCE; row++) {
                int32_t four;
                memcpy(&four, a[row] + 4 * group, 4);
                __m512i bytes = _mm512_set1_epi32(four);
#pragma GCC unroll 3
                for (int v = 0; v < number; v++)
                    sums[row][v] = _mm512_dpbusd_epi32(sums[row][v], bytes, columns[v]);
            }
        }
    }
#pragma GCC unroll 3
    for (int v = 0; v < number; v++) {
        int64_t c = 16 * (vector + v), left = step->ofm.depth - c;
        __mmask16 mask = left >= 16 ? 0xFFFF : (__mmask16)((1 << left) - 1);
        const Scales *scales = step->scales + vector + v;
        Fast fast = {_mm512_loadu_ps(scales->multiplier), _mm512_loadu_ps(scales->low), _mm512_loadu_ps(scales->high),
                     _mm512_loadu_ps(scales->nudged)};
        const Fast *const same[4] = {&fast, &fast, &fast, &fast};
#pragma GCC unroll 2
        for (int row = 0; row < AT_ONCE; row += 4) {
            __m512i four[4] = {sums[row][v], sums[row + 1][v], sums[row + 2][v], sums[row + 3][v]}, bytes;
            if (!limits->fast || !scaled_fast(four, same, limits, &bytes))
                bytes = rows_exactly(step, four[0], four[1], four[2], four[3], c, limits);
            bytes = _mm512_permutexvar_epi32(limits->order, bytes);
            if (step->table)
                bytes = looked_up(bytes, step->table);
            store_lanes(bytes, outs + row, (vector + v) * step->ofm.step_c, mask);
        }
    }
}

VNNI static void product1(const Convolution *step, const uint8_t *const *rows, int64_t count, const int8_t *weights,
                          int64_t vector, uint8_t *const *outs) {
    Limits limits = limits_of(step);
    for (int64_t row = 0; row < count; row += AT_ONCE)
        product(step, 1, rows + row, weights, vector, outs + row, &limits);
}

VNNI static void product2(const Convolution *step, const uint8_t *const *rows, int64_t count, const int8_t *weights,
                          int64_t vector, uint8_t *const *outs) {
    Limits limits = limits_of(step);
    for (int64_t row = 0; row < count; row += AT_ONCE)
        product(step, 2, rows + row, weights, vector, outs + row, &limits);
}

VNNI static void product3(const Convolution *step, const uint8_t *const *rows, int64_t count, const int8_t *weights,
                          int64_t vector, uint8_t *const *outs) {
    Limits limits = limits_of(step);
    for (int64_t row = 0; row < count; row += AT_ONCE)
        product(step, 3, rows + row, weights, vector, outs + row, &limits);
}

/* Blocks of three vectors and two, and one only if there is one; `packing` orders the weights alike. */
VNNI static void products_vnni(const Convolution *step, const uint8_t *const *rows, int64_t count, uint8_t *const *outs) {
    const int8_t *weights = step->weights;
    for (int64_t vector = 0, left = step->vectors; left;) {
        int64_t block = left == 3 || left > 4 ? 3 : least(left, 2);
        (block == 3 ? product3 : block == 2 ? product2 : product1)(step, rows, count, weights, vector, outs);
        weights += step->runs * step->groups * 64 * block;
        vector += block;
        left -= block;
    }
}

/* Sixteen bytes of four windows `stride` pixels apart. */
VNNI INLINE __m512i four_pixels(const uint8_t *at, int64_t stride) {
    if (stride == 1)
        return _mm512_loadu_si512(at);
    if (stride == 2)
        return _mm512_shuffle_i64x2(_mm512_loadu_si512(at), _mm512_loadu_si512(at + 64), 0x88);
    const __m128i *pixel = (const __m128i *)at;
    __m512i result = _mm512_castsi128_si512(_mm_loadu_si128(pixel));
    result = _mm512_inserti32x4(result, _mm_loadu_si128(pixel + stride), 1);
    result = _mm512_inserti32x4(result, _mm_loadu_si128(pixel + 2 * stride), 2);
    return _mm512_inserti32x4(result, _mm_loadu_si128(pixel + 3 * stride), 3);
}

typedef struct {
    __m512i part[4]; /* bytes of four taps by channel: channels 0-3 of each pixel, 4-7, 8-11, 12-15 */
} Taps;

VNNI INLINE Taps interleaved(__m512i a, __m512i b, __m512i c, __m512i d) {
    __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
    __m512i low2 = _mm512_unpacklo_epi8(c, d), high2 = _mm512_unpackhi_epi8(c, d);
    return (Taps){{_mm512_unpacklo_epi16(low, low2), _mm512_unpackhi_epi16(low, low2),
                   _mm512_unpacklo_epi16(high, high2), _mm512_unpackhi_epi16(high, high2)}};
}

VNNI INLINE void add_taps(__m512i *sums, const Taps *taps, const int8_t *weights) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m512i by = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(weights + 16 * i)));
        sums[i] = _mm512_dpbusd_epi32(sums[i], taps->part[i], by);
    }
}

typedef struct {
    const Convolution *step;
    const int8_t *weights;
    Fast fast[4];
    Scaling by[4];
    __m512i first[4];
    Limits limits;
    int64_t channels, at;
} Channels_vnni;

VNNI static __attribute__((noinline)) __m512i pixels_exactly(const Channels_vnni *channels, __m512i a, __m512i b, __m512i c,
                                                             __m512i d) {
    const Limits *limits = &channels->limits;
    const Scaling *by = channels->by;
    return packed(scaled(a, by), scaled(b, by + 1), scaled(c, by + 2), scaled(d, by + 3), limits);
}

/* Scales the sums of four pixels, or of the last `count`, and stores them. */
VNNI INLINE void store_pixels(const Channels_vnni *channels, const __m512i *sums, uint8_t *out, int64_t y, int64_t x,
                              int64_t count) {
    const Convolution *step = channels->step;
    const Map *ofm = &step->ofm;
    const Fast *const fast[4] = {channels->fast, channels->fast + 1, channels->fast + 2, channels->fast + 3};
    __m512i bytes;
    if (!channels->limits.fast || !scaled_fast(sums, fast, &channels->limits, &bytes))
        bytes = pixels_exactly(channels, sums[0], sums[1], sums[2], sums[3]);
    if (step->table)
        bytes = looked_up(bytes, step->table);
    __mmask16 mask = channels->channels >= 16 ? 0xFFFF : (__mmask16)((1 << channels->channels) - 1);
    if (ofm->step_x == BRICK && (x + count <= ofm->split || x >= ofm->split)) {
        __mmask64 every = mask * 0x0001000100010001ULL & ~0ULL >> (64 - 16 * count);
        _mm512_mask_storeu_epi8(out + pixel_of(ofm, y, x) + channels->at, every, bytes);
        return;
    }
    __m128i lanes[4];
    _mm512_storeu_si512(lanes, bytes);
    for (int64_t i = 0; i < count; i++)
        _mm_mask_storeu_epi8(out + pixel_of(ofm, y, x + i) + channels->at, mask, lanes[i]);
}

/* One output row of sixteen channels; the taps of four pixels are interleaved for each group of four. */
VNNI INLINE void any_row(const Channels_vnni *channels, const uint8_t *row, uint8_t *out, int64_t y, const int64_t stride) {
    const Convolution *step = channels->step;
    for (int64_t x = 0; x < step->ofm.width; x += 4) {
        const uint8_t *at = row + x * stride * BRICK;
        __m512i sums[4] = {channels->first[0], channels->first[1], channels->first[2], channels->first[3]};
        for (int64_t group = 0; group < step->groups; group++) {
            const int64_t *offsets = step->offsets + 4 * group;
            Taps taps = interleaved(four_pixels(at + offsets[0], stride), four_pixels(at + offsets[1], stride),
                                    four_pixels(at + offsets[2], stride), four_pixels(at + offsets[3], stride));
            add_taps(sums, &taps, channels->weights + 64 * group);
        }
        store_pixels(channels, sums, out, y, x, least(4, step->ofm.width - x));
    }
}

VNNI INLINE Taps column(const uint8_t *at, const int64_t *offsets) {
    __m512i a = _mm512_loadu_si512(at + offsets[0]), b = _mm512_loadu_si512(at + offsets[1]);
    __m512i c = _mm512_loadu_si512(at + offsets[2]);
    return interleaved(a, b, c, c); /* The fourth weight is 0. */
}

VNNI INLINE Taps shifted(const Taps *here, const Taps *next, const int pixels) {
    Taps result;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        result.part[i] = pixels == 1 ? _mm512_alignr_epi32(next->part[i], here->part[i], 4)
                                     : _mm512_alignr_epi32(next->part[i], here->part[i], 8);
    return result;
}

/* The same for kernels of 3x3 whose windows are adjacent: a group is a column, which three windows share. */
VNNI INLINE void row_of_three(const Channels_vnni *channels, const uint8_t *row, uint8_t *out, int64_t y) {
    const Convolution *step = channels->step;
    Taps here = column(row, step->offsets);
    for (int64_t x = 0; x < step->ofm.width; x += 4) {
        Taps next = column(row + (x + 4) * BRICK, step->offsets);
        __m512i sums[4] = {channels->first[0], channels->first[1], channels->first[2], channels->first[3]};
        add_taps(sums, &here, channels->weights);
        Taps second = shifted(&here, &next, 1);
        add_taps(sums, &second, channels->weights + 64);
        Taps third = shifted(&here, &next, 2);
        add_taps(sums, &third, channels->weights + 128);
        store_pixels(channels, sums, out, y, x, least(4, step->ofm.width - x));
        here = next;
    }
}

VNNI static void channel_rows_vnni(const Channels_vnni *channels, const uint8_t *buffer, uint8_t *out, int64_t top,
                                   int64_t height) {
    const Convolution *step = channels->step;
    const Window *window = &step->window;
    int64_t pitch = window->stride_y * window->padded_width * BRICK;
    int adjacent = window->stride_x == 1 && window->dilation_x == 1 && window->height == 3 && window->width == 3;
    for (int64_t y = 0; y < height; y++, buffer += pitch) {
        if (adjacent)
            row_of_three(channels, buffer, out, top + y);
        else if (window->stride_x == 1)
            any_row(channels, buffer, out, top + y, 1);
        else if (window->stride_x == 2)
            any_row(channels, buffer, out, top + y, 2);
        else
            any_row(channels, buffer, out, top + y, window->stride_x);
    }
}

VNNI INLINE __m512i two_times(const uint64_t *values) {
    return _mm512_broadcast_i64x2(_mm_loadu_si128((const __m128i *)values));
}

VNNI INLINE __m512i four_sums(const void *values) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(values));
}

VNNI INLINE __m512 four_times(const float *values) { return _mm512_broadcast_f32x4(_mm_loadu_ps(values)); }

VNNI static Channels_vnni channels_vnni(const Convolution *step, int64_t c) {
    Channels_vnni channels = {.step = step, .weights = (const int8_t *)step->weights + c / BRICK * step->groups * 64};
    const Scales *scales = step->scales + c / BRICK;
    channels.limits = limits_of(step);
    channels.channels = least(BRICK, step->ofm.depth - c);
    channels.at = c / BRICK * step->ofm.step_c;
    for (int i = 0; i < 4; i++) {
        channels.first[i] = four_sums(step->first + c + 4 * i);
        channels.fast[i] = (Fast){four_times(scales->multiplier + 4 * i), four_times(scales->low + 4 * i),
                                  four_times(scales->high + 4 * i), four_times(scales->nudged + 4 * i)};
        Scaling *by = &channels.by[i];
        by->offset = four_sums(scales->offset + 4 * i);
        for (int odd = 0; odd < 2; odd++) {
            int64_t two = 8 * odd + 2 * i;
            by->factor[odd] = two_times(scales->factor + two), by->rounding[odd] = two_times(scales->rounding + two);
            by->shift[odd] = two_times(scales->shift + two), by->nudge[odd] = two_times(scales->nudge + two);
        }
    }
    return channels;
}

#define NAME(function) function##_vnni
#define TARGET VNNI
#define ELEMENT uint8_t
#include "tiles.h"

void convolve_bytes(const Convolution *step, const Batch *batch) { convolve_tiles_vnni(step, batch); }
#else
void convolve_bytes(const Convolution *step, const Batch *batch) { convolve(step, batch); } /* Never called. */
#endif
