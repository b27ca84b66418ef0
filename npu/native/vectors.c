/* Convolutions of bytes in AVX-512 VNNI: `VPDPBUSD` adds four products of an unsigned and a signed byte to each of
 * sixteen 32-bit sums and does not saturate, so that it is exact while the sums fit.
 *
 * A tile of the input, some rows of a sample or some whole samples, is copied to a buffer as unsigned bytes with its
 * padding.  Bricks stay bricks there; of a depthwise convolution there is one brick at a time. */
#include "native.h"

#ifdef VNNI
#include <immintrin.h>

#define ROWS 8 /* windows that a matrix product computes at a time */
#define DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)

/* Copies bytes, each xor `flip`; may write up to 63 bytes beyond, which are written later or slack. */
VNNI INLINE void move(uint8_t *to, const uint8_t *from, int64_t count, __m512i flip) {
    for (; count >= 64; count -= 64, to += 64, from += 64)
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(from), flip));
    if (count > 0)
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_maskz_loadu_epi8(~0ULL >> (64 - count), from), flip));
}

/* Fills bytes; may write up to 63 bytes beyond. */
VNNI INLINE void set(uint8_t *to, int64_t count, __m512i fill) {
    for (; count > 0; count -= 64, to += 64)
        _mm512_storeu_si512(to, fill);
}

/* Copies pixels `begin` to `end` of a row; `to` is the place of the first, `pitch` bytes are between two there. */
VNNI INLINE void move_pixels(const Map *map, const uint8_t *sample, int64_t y, int64_t begin, int64_t end,
                                    int64_t at, int64_t length, uint8_t *to, int64_t pitch, __m512i flip) {
    while (begin < end) {
        int64_t stop = begin < map->split ? least(end, map->split) : end;
        const uint8_t *from = sample + pixel_of(map, y, begin) + at;
        if (map->step_x == pitch) { /* What lies between two pixels is copied, too; no weight but 0 meets it. */
            move(to, from, (stop - begin - 1) * pitch + length, flip);
        } else {
            for (int64_t x = 0; x < stop - begin; x++)
                move(to + x * pitch, from + x * map->step_x, length, flip);
        }
        to += (stop - begin) * pitch;
        begin = stop;
    }
}

/* Copies rows `top` to `top + rows` of the padded input: `length` bytes a pixel from byte `at` on, every `pitch`. */
VNNI static void move_rows(const Convolution *step, const uint8_t *sample, int64_t top, int64_t rows, int64_t at,
                           int64_t length, int64_t pitch, uint8_t *to) {
    const Window *window = &step->window;
    __m512i flip = _mm512_set1_epi8((char)step->flip), fill = _mm512_set1_epi8((char)step->fill);
    int64_t left = window->left, end = left + window->inside_width, width = window->padded_width;
    for (int64_t row = 0; row < rows; row++, to += width * pitch) {
        int64_t y = top + row - window->top;
        if (y < 0 || y >= window->inside_height) {
            set(to, width * pitch, fill);
            continue;
        }
        set(to, left * pitch, fill);
        move_pixels(&step->ifm, sample, y, 0, end - left, at, length, to + left * pitch, pitch, flip);
        set(to + end * pitch, (width - end) * pitch, fill);
    }
}

typedef struct {
    __m512d multiplier[2], added[2], nudged[2];
} Scaling;

typedef struct {
    __m512 multiplier, low, high, nudged;
} Fast;

typedef struct {
    __m512i low, high, zero_point, order;
    int is_signed, two_sided, fast;
} Limits;

VNNI INLINE Limits limits_of(const Convolution *step) {
    const Stage *stage = &step->stage;
    return (Limits){
        _mm512_set1_epi16((short)(stage->low - stage->zero_point)),
        _mm512_set1_epi16((short)(stage->high - stage->zero_point)),
        _mm512_set1_epi16((short)stage->zero_point),
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (int)step->ofm.is_signed,
        (int)step->two_sided,
        (int)step->fast,
    };
}

/* floor(sum * multiplier + added), plus `nudged` where the sum is negative. */
VNNI INLINE __m512i scaled(__m512i sums, const Scaling *by, int two_sided) {
    __m512d low = _mm512_cvtepi32_pd(_mm512_castsi512_si256(sums));
    __m512d high = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sums, 1));
    low = _mm512_fmadd_pd(low, by->multiplier[0], by->added[0]);
    high = _mm512_fmadd_pd(high, by->multiplier[1], by->added[1]);
    if (two_sided) {
        __mmask16 negative = _mm512_movepi32_mask(sums);
        low = _mm512_mask_add_pd(low, (__mmask8)negative, low, by->nudged[0]);
        high = _mm512_mask_add_pd(high, (__mmask8)(negative >> 8), high, by->nudged[1]);
    }
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvt_roundpd_epi32(low, DOWN)),
                              _mm512_cvt_roundpd_epi32(high, DOWN), 1);
}

/* Clamps four vectors of 32-bit results and packs them to bytes; lane i has their lanes i one behind the other. */
VNNI INLINE __m512i packed(__m512i a, __m512i b, __m512i c, __m512i d, const Limits *limits) {
    __m512i first = _mm512_packs_epi32(a, b), second = _mm512_packs_epi32(c, d);
    first = _mm512_min_epi16(_mm512_max_epi16(first, limits->low), limits->high);
    second = _mm512_min_epi16(_mm512_max_epi16(second, limits->low), limits->high);
    first = _mm512_add_epi16(first, limits->zero_point);
    second = _mm512_add_epi16(second, limits->zero_point);
    return limits->is_signed ? _mm512_packs_epi16(first, second) : _mm512_packus_epi16(first, second);
}

/* Scales four vectors in float32; returns 0 if it is not sure of a result, else their bytes.
 *
 * low and high are what is added, less and plus more than the error of float32 (`exactness.fits_float32`): if both
 * round down to the same integer, so does the exact number between them. */
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
        results[i] = _mm512_cvt_roundps_epi32(low, DOWN);
        unsure = _mm512_ternarylogic_epi32(unsure, results[i], _mm512_cvt_roundps_epi32(high, DOWN), 0xF6);
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
    Scaling by;
    for (int half = 0; half < 2; half++) {
        by.multiplier[half] = _mm512_loadu_pd(step->multiplier + channel + 8 * half);
        by.added[half] = _mm512_loadu_pd(step->added + channel + 8 * half);
        by.nudged[half] = _mm512_loadu_pd(step->nudged + channel + 8 * half);
    }
    return packed(scaled(a, &by, limits->two_sided), scaled(b, &by, limits->two_sided),
                  scaled(c, &by, limits->two_sided), scaled(d, &by, limits->two_sided), limits);
}

/* Multiplies `ROWS` windows by `number` vectors of weights from channel 16*vector on, scales and stores. */
VNNI INLINE void product(const Convolution *step, const int number, const uint8_t *const *rows, const int8_t *weights,
                         int64_t vector, uint8_t *const *outs, const Limits *limits) {
    __m512i sums[ROWS][3];
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++)
#pragma GCC unroll 3
        for (int v = 0; v < number; v++)
            sums[row][v] = _mm512_loadu_si512(step->first + 16 * (vector + v));
    for (int64_t run = 0; run < step->runs; run++) {
        const uint8_t *a[ROWS];
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++)
            a[row] = rows[row] + step->offsets[run];
        for (int64_t group = 0; group < step->groups; group++, weights += 64 * number) {
            __m512i columns[3];
#pragma GCC unroll 3
            for (int v = 0; v < number; v++)
                columns[v] = _mm512_loadu_si512(weights + 64 * v);
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) {
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
        Fast fast = {_mm512_loadu_ps(step->fast_multiplier + c), _mm512_loadu_ps(step->fast_low + c),
                     _mm512_loadu_ps(step->fast_high + c), _mm512_loadu_ps(step->fast_nudged + c)};
        const Fast *const same[4] = {&fast, &fast, &fast, &fast};
#pragma GCC unroll 2
        for (int row = 0; row < ROWS; row += 4) {
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
    for (int64_t row = 0; row < count; row += ROWS)
        product(step, 1, rows + row, weights, vector, outs + row, &limits);
}

VNNI static void product2(const Convolution *step, const uint8_t *const *rows, int64_t count, const int8_t *weights,
                          int64_t vector, uint8_t *const *outs) {
    Limits limits = limits_of(step);
    for (int64_t row = 0; row < count; row += ROWS)
        product(step, 2, rows + row, weights, vector, outs + row, &limits);
}

VNNI static void product3(const Convolution *step, const uint8_t *const *rows, int64_t count, const int8_t *weights,
                          int64_t vector, uint8_t *const *outs) {
    Limits limits = limits_of(step);
    for (int64_t row = 0; row < count; row += ROWS)
        product(step, 3, rows + row, weights, vector, outs + row, &limits);
}

/* Blocks of three vectors and two, and one only if there is one; `packing` orders the weights alike. */
VNNI static void products(const Convolution *step, const uint8_t *const *rows, int64_t count, uint8_t *const *outs) {
    const int8_t *weights = step->weights;
    for (int64_t vector = 0, left = step->vectors; left;) {
        int64_t block = left == 3 || left > 4 ? 3 : least(left, 2);
        (block == 3 ? product3 : block == 2 ? product2 : product1)(step, rows, count, weights, vector, outs);
        weights += step->runs * step->groups * 64 * block;
        vector += block;
        left -= block;
    }
}

VNNI static void whole(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm, *ofm = &step->ofm;
    int bricks = ifm->step_c != BRICK;
    int64_t pitch = bricks ? BRICK : ifm->depth, pieces = bricks ? (ifm->depth + BRICK - 1) / BRICK : 1;
    int64_t reach = (window->height - 1) * window->dilation_y + 1;
    int64_t row_bytes = window->padded_width * pitch;
    int64_t piece_bytes = ((step->tile_rows - 1) * window->stride_y + reach) * row_bytes;
    int64_t most_rows = step->tile_samples * step->tile_rows * ofm->width + ROWS;
    const uint8_t **rows = (const uint8_t **)batch->scratch;
    uint8_t **outs = (uint8_t **)(rows + most_rows), *buffer = (uint8_t *)(outs + most_rows);
    for (int64_t begin = 0; begin < batch->count; begin += step->tile_samples) {
        int64_t samples = least(step->tile_samples, batch->count - begin);
        for (int64_t top = 0; top < ofm->height; top += step->tile_rows) {
            int64_t height = least(step->tile_rows, ofm->height - top), count = 0;
            for (int64_t sample = 0; sample < samples; sample++) {
                const uint8_t *from = sample_of(batch, ifm->region, begin + sample);
                uint8_t *to = buffer + sample * pieces * piece_bytes;
                for (int64_t piece = 0; piece < pieces; piece++)
                    move_rows(step, from, top * window->stride_y, (height - 1) * window->stride_y + reach,
                              piece * ifm->step_c, least(pitch, ifm->depth - piece * pitch), pitch,
                              to + piece * piece_bytes);
                uint8_t *out = sample_of(batch, ofm->region, begin + sample);
                for (int64_t y = 0; y < height; y++)
                    for (int64_t x = 0; x < ofm->width; x++, count++) {
                        rows[count] = to + y * window->stride_y * row_bytes + x * window->stride_x * pitch;
                        outs[count] = out + pixel_of(ofm, top + y, x);
                    }
            }
            for (int64_t i = 0; i < ROWS && count % ROWS; i++, count++) /* The last window again. */
                rows[count] = rows[count - 1], outs[count] = outs[count - 1];
            products(step, rows, count, outs);
        }
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
} Channels;

VNNI static __attribute__((noinline)) __m512i pixels_exactly(const Channels *channels, __m512i a, __m512i b, __m512i c,
                                                             __m512i d) {
    const Limits *limits = &channels->limits;
    const Scaling *by = channels->by;
    return packed(scaled(a, by, limits->two_sided), scaled(b, by + 1, limits->two_sided),
                  scaled(c, by + 2, limits->two_sided), scaled(d, by + 3, limits->two_sided), limits);
}

/* Scales the sums of four pixels, or of the last `count`, and stores them. */
VNNI INLINE void store_pixels(const Channels *channels, const __m512i *sums, uint8_t *out, int64_t y, int64_t x,
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
VNNI INLINE void any_row(const Channels *channels, const uint8_t *row, uint8_t *out, int64_t y, const int64_t stride) {
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
VNNI INLINE void row_of_three(const Channels *channels, const uint8_t *row, uint8_t *out, int64_t y) {
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

VNNI static void rows_of_channels(const Channels *channels, const uint8_t *buffer, uint8_t *out, int64_t top,
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

VNNI INLINE __m512d four_twice(const double *values) { return _mm512_broadcast_f64x4(_mm256_loadu_pd(values)); }

VNNI INLINE __m512 four_times(const float *values) { return _mm512_broadcast_f32x4(_mm_loadu_ps(values)); }

VNNI static void by_channel(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm, *ofm = &step->ofm;
    int64_t reach = (window->height - 1) * window->dilation_y + 1;
    for (int64_t c = 0; c < ofm->depth; c += BRICK) {
        Channels channels = {.step = step, .weights = (const int8_t *)step->weights + c / BRICK * step->groups * 64};
        channels.limits = limits_of(step);
        channels.channels = least(BRICK, ofm->depth - c);
        channels.at = c / BRICK * ofm->step_c;
        for (int i = 0; i < 4; i++) {
            channels.first[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(step->first + c + 4 * i)));
            Scaling *by = &channels.by[i];
            by->multiplier[0] = by->multiplier[1] = four_twice(step->multiplier + c + 4 * i);
            by->added[0] = by->added[1] = four_twice(step->added + c + 4 * i);
            by->nudged[0] = by->nudged[1] = four_twice(step->nudged + c + 4 * i);
            channels.fast[i] = (Fast){four_times(step->fast_multiplier + c + 4 * i), four_times(step->fast_low + c + 4 * i),
                                      four_times(step->fast_high + c + 4 * i), four_times(step->fast_nudged + c + 4 * i)};
        }
        for (int64_t sample = 0; sample < batch->count; sample++)
            for (int64_t top = 0; top < ofm->height; top += step->tile_rows) {
                int64_t height = least(step->tile_rows, ofm->height - top);
                move_rows(step, sample_of(batch, ifm->region, sample), top * window->stride_y,
                          (height - 1) * window->stride_y + reach, c / BRICK * ifm->step_c, channels.channels, BRICK,
                          batch->scratch);
                rows_of_channels(&channels, batch->scratch, sample_of(batch, ofm->region, sample), top, height);
            }
    }
}

void convolve_bytes(const Convolution *step, const Batch *batch) { (step->whole ? whole : by_channel)(step, batch); }
#else
void convolve_bytes(const Convolution *step, const Batch *batch) { convolve(step, batch); } /* Never called. */
#endif
