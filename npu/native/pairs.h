/* Convolutions of bytes by pairs of products of 16 bits, on any CPU: included by `pairs.c` once for each set of
 * instructions, which defines NAME(function), TARGET and, for AVX2, WITH_AVX2.
 *
 * Of sixteen channels, sums and weights are in the order 0-3, 8-11, 4-7, 12-15, as AVX2 unpacks and packs them. */

/* Copies bytes to 16 bits, each xor `flip`. */
TARGET INLINE void NAME(move)(int16_t *to, const uint8_t *from, int64_t count, int64_t flip) {
#ifdef WITH_AVX2
    for (; count >= 16; count -= 16, to += 16, from += 16)
        _mm256_storeu_si256((__m256i *)to,
                            _mm256_xor_si256(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from)),
                                             _mm256_set1_epi16((short)flip)));
#endif
    for (int64_t i = 0; i < count; i++)
        to[i] = (int16_t)(from[i] ^ flip);
}

TARGET INLINE void NAME(fill)(int16_t *to, int64_t count, int64_t value) {
    for (int64_t i = 0; i < count; i++)
        to[i] = (int16_t)value;
}

#ifdef WITH_AVX2
AVX2 INLINE void begin_avx2(const int32_t *first, Sums_avx2 *sums) {
    (*sums)[0] = _mm256_loadu_si256((const __m256i *)first);
    (*sums)[1] = _mm256_loadu_si256((const __m256i *)(first + 8));
}

/* Adds products of a pair of elements of the kernel, at `a` and `b`. */
AVX2 INLINE void add_taps_avx2(const int16_t *a, const int16_t *b, const int16_t *weights, Sums_avx2 *sums) {
    __m256i first = _mm256_loadu_si256((const __m256i *)a), second = _mm256_loadu_si256((const __m256i *)b);
    __m256i low = _mm256_loadu_si256((const __m256i *)weights);
    __m256i high = _mm256_loadu_si256((const __m256i *)(weights + BRICK));
    (*sums)[0] = _mm256_add_epi32((*sums)[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), low));
    (*sums)[1] = _mm256_add_epi32((*sums)[1], _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), high));
}

AVX2 INLINE __m256i four_of(const uint64_t *values) { return _mm256_loadu_si256((const __m256i *)values); }

/* Scales eight sums, from number `at` of sixteen on. */
AVX2 INLINE __m256i scaled_avx2(const Scales *by, int two_sided, __m256i sums, int at) {
    sums = _mm256_xor_si256(sums, _mm256_set1_epi32(INT32_MIN));
    __m256i odd = _mm256_shuffle_epi32(sums, 0xF5);
    __m256i a = _mm256_add_epi64(_mm256_mul_epu32(sums, four_of(by->factor + at)), four_of(by->rounding + at));
    __m256i b = _mm256_add_epi64(_mm256_mul_epu32(odd, four_of(by->factor + at + 4)), four_of(by->rounding + at + 4));
    if (two_sided) {
        a = _mm256_add_epi64(a, _mm256_and_si256(sums, four_of(by->nudge + at)));
        b = _mm256_add_epi64(b, _mm256_and_si256(odd, four_of(by->nudge + at + 4)));
    }
    a = _mm256_srlv_epi64(a, four_of(by->shift + at));
    b = _mm256_shuffle_epi32(_mm256_srlv_epi64(b, four_of(by->shift + at + 4)), 0xA0);
    return _mm256_sub_epi32(_mm256_blend_epi32(a, b, 0xAA), _mm256_loadu_si256((const __m256i *)(by->offset + at)));
}

/* The same in float32, if both results are equal. */
AVX2 INLINE void scaled_fast_avx2(const Scales *by, __m256i sums, int at, __m256i *low, __m256i *high) {
    __m256 numbers = _mm256_cvtepi32_ps(sums), multiplier = _mm256_loadu_ps(by->multiplier + at);
    *low = _mm256_cvtps_epi32(_mm256_fmadd_ps(numbers, multiplier, _mm256_loadu_ps(by->low + at)));
    *high = _mm256_cvtps_epi32(_mm256_fmadd_ps(numbers, multiplier, _mm256_loadu_ps(by->high + at)));
}

typedef struct {
    __m256i low, high;
    const uint8_t *table;
    int is_signed, two_sided, fast;
} Limits_avx2;

AVX2 INLINE Limits_avx2 limits_avx2(const Convolution *step) {
    const Stage *stage = &step->stage;
    return (Limits_avx2){
        _mm256_set1_epi8((char)stage->low),
        _mm256_set1_epi8((char)stage->high),
        step->table,
        (int)step->ofm.is_signed,
        (int)step->two_sided,
        step->fast && !step->two_sided,
    };
}

/* Packs two windows of sixteen results each to bytes that saturate. */
AVX2 INLINE __m256i packed_avx2(const Limits_avx2 *limits, const __m256i *results) {
    __m256i first = _mm256_packs_epi32(results[0], results[1]), second = _mm256_packs_epi32(results[2], results[3]);
    return limits->is_signed ? _mm256_packs_epi16(first, second) : _mm256_packus_epi16(first, second);
}

AVX2 INLINE __m256i limited_avx2(const Limits_avx2 *limits, __m256i bytes) {
    if (limits->is_signed)
        return _mm256_min_epi8(_mm256_max_epi8(bytes, limits->low), limits->high);
    return _mm256_min_epu8(_mm256_max_epu8(bytes, limits->low), limits->high);
}

/* Scales the sums of two windows to bytes. */
AVX2 INLINE __m256i scale_two_avx2(const Scales *by, const Limits_avx2 *limits, const Sums_avx2 *sums) {
    __m256i results[4], others[4];
    if (limits->fast) {
        for (int i = 0; i < 4; i++)
            scaled_fast_avx2(by, sums[i / 2][i % 2], i % 2 * 8, results + i, others + i);
        __m256i bytes = packed_avx2(limits, results), unsure = _mm256_xor_si256(bytes, packed_avx2(limits, others));
        if (_mm256_testz_si256(unsure, unsure))
            return bytes;
    }
    for (int i = 0; i < 4; i++)
        results[i] = scaled_avx2(by, limits->two_sided, sums[i / 2][i % 2], i % 2 * 8);
    return packed_avx2(limits, results);
}

/* Scales the sums of two windows and stores `count` channels of each at `outs` plus `at`. */
AVX2 INLINE void store_two_avx2(const Scales *by, const Limits_avx2 *limits, const Sums_avx2 *sums, uint8_t *const *outs,
                                int64_t at, int64_t count) {
    __m256i bytes = _mm256_permute4x64_epi64(limited_avx2(limits, scale_two_avx2(by, limits, sums)), 0xD8);
    if (count == BRICK && !limits->table) {
        _mm_storeu_si128((__m128i *)(outs[0] + at), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(outs[1] + at), _mm256_extracti128_si256(bytes, 1));
        return;
    }
    uint8_t parts[2 * BRICK];
    _mm256_storeu_si256((__m256i *)parts, bytes);
    store_bytes(parts, limits->table, outs, at, count);
}
#else
static const int8_t channel_of[BRICK] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

INLINE void begin_plain(const int32_t *first, Sums_plain *sums) { memcpy(sums, first, sizeof *sums); }

INLINE void add_taps_plain(const int16_t *a, const int16_t *b, const int16_t *weights, Sums_plain *sums) {
    for (int i = 0; i < BRICK; i++)
        (*sums)[i] += a[channel_of[i]] * weights[2 * i] + b[channel_of[i]] * weights[2 * i + 1];
}

typedef const Convolution *Limits_plain;

INLINE Limits_plain limits_plain(const Convolution *step) { return step; }

INLINE void store_two_plain(const Scales *by, const Limits_plain *limits, const Sums_plain *sums, uint8_t *const *outs,
                            int64_t at, int64_t count) {
    const Stage *stage = &(*limits)->stage;
    uint8_t values[2 * BRICK];
    for (int i = 0; i < 2 * BRICK; i++) {
        int place = i % BRICK, lane = i / 8 % 2 * 8 + i % 2 * 4 + i % 8 / 2;
        uint64_t sum = (uint32_t)sums[i / BRICK][place] ^ 0x80000000;
        uint64_t number = sum * by->factor[lane] + by->rounding[lane] + (sum & by->nudge[lane]);
        int64_t value = (int32_t)((uint32_t)(number >> by->shift[lane]) - by->offset[place]);
        values[i - place + channel_of[place]] = (uint8_t)least(most(value, stage->low), stage->high);
    }
    store_bytes(values, (*limits)->table, outs, at, count);
}
#endif

TARGET static void NAME(products)(const Convolution *step, const int16_t *const *windows, int64_t count,
                                  uint8_t *const *outs) {
    const NAME(Limits) limits = NAME(limits)(step);
    const int64_t runs = step->runs, groups = step->groups, depth = step->ofm.depth, *offsets = step->offsets;
    const int16_t *weights = step->weights;
    for (int64_t c = 0; c < depth; c += BRICK, weights += runs * groups * 2 * BRICK)
        for (int64_t at = 0; at < count; at += WINDOWS) {
            NAME(Sums) sums[WINDOWS];
            for (int i = 0; i < WINDOWS; i++)
                NAME(begin)(step->first + c, sums + i);
            for (int64_t run = 0; run < runs; run++) {
                const int16_t *from[WINDOWS];
                for (int i = 0; i < WINDOWS; i++)
                    from[i] = windows[at + i] + offsets[run];
                NAME(add_pairs)(from, groups, weights + run * groups * 2 * BRICK, sums);
            }
            for (int i = 0; i < WINDOWS; i += 2)
                NAME(store_two)(step->scales + c / BRICK, &limits, sums + i, outs + at + i, c / BRICK * step->ofm.step_c,
                                least(BRICK, depth - c));
        }
}

typedef struct {
    const Convolution *step;
    int64_t first;
} NAME(Channels);

TARGET static NAME(Channels) NAME(channels)(const Convolution *step, int64_t c) {
    return (NAME(Channels)){step, c};
}

/* Windows `begin` to `end` of a row, two at a time, of which the last may be twice the same. */
TARGET INLINE void NAME(channel_row)(const NAME(Channels) *channels, const NAME(Limits) *limits, const int16_t *row,
                                     uint8_t *out, int64_t y, int64_t begin, int64_t end) {
    const Convolution *step = channels->step;
    const int64_t c = channels->first, groups = step->groups, stride = step->window.stride_x * BRICK;
    const int64_t *const offsets = step->offsets, step_x = step->ofm.step_x, count = least(BRICK, step->ofm.depth - c);
    const int16_t *const weights = (const int16_t *)step->weights + c * groups * 2;
    const int32_t *const first = step->first + c;
    const Scales *const scales = step->scales + c / BRICK;
    row += begin * stride;
    out += pixel_of(&step->ofm, y, begin) + c / BRICK * step->ofm.step_c;
    for (int64_t x = begin; x < end; x += 2, row += 2 * stride, out += 2 * step_x) {
        const int16_t *next = x + 1 < end ? row + stride : row;
        uint8_t *const outs[2] = {out, x + 1 < end ? out + step_x : out};
        NAME(Sums) sums[2];
        NAME(begin)(first, sums);
        NAME(begin)(first, sums + 1);
        for (int64_t pair = 0; pair < groups; pair++) {
            int64_t a = offsets[2 * pair], b = offsets[2 * pair + 1];
            const int16_t *by = weights + pair * 2 * BRICK;
            NAME(add_taps)(row + a, row + b, by, sums);
            NAME(add_taps)(next + a, next + b, by, sums + 1);
        }
        NAME(store_two)(scales, limits, sums, outs, 0, count);
    }
}

TARGET static void NAME(channel_rows)(const NAME(Channels) *channels, const int16_t *buffer, uint8_t *out, int64_t top,
                                      int64_t height) {
    const Convolution *step = channels->step;
    const NAME(Limits) limits = NAME(limits)(step);
    const int64_t pitch = step->window.stride_y * step->window.padded_width * BRICK;
    const int64_t width = step->ofm.width, split = least(step->ofm.split, width);
    for (int64_t y = 0; y < height; y++, buffer += pitch) {
        NAME(channel_row)(channels, &limits, buffer, out, top + y, 0, split);
        if (split < width)
            NAME(channel_row)(channels, &limits, buffer, out, top + y, split, width);
    }
}

#define ELEMENT int16_t
#include "tiles.h"
#undef ELEMENT
