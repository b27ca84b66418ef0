/* Convolutions of bytes by pairs of products of 16 bits, on any CPU: included by `pairs.c` once for each set of
 * instructions, which defines NAME(function), TARGET and, for AVX2, WITH_AVX2.
 *
 * Of sixteen channels, sums and weights are in the order 0-3, 8-11, 4-7, 12-15, as AVX2 unpacks and packs them. */

/* Copies bytes to 16 bits, each xor `flip`. */
TARGET INLINE void NAME(move)(int16_t *to, const uint8_t *from, int64_t count, int64_t flip) {
#ifdef WITH_AVX2
    for (; count >= 16; count -= 16, to += 16, from += 16)
        _mm256_storeu_si256((__m256i *)to, _mm256_xor_si256(_mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from)),
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

AVX2 INLINE __m256i of_lanes(const uint64_t *values) { return _mm256_loadu_si256((const __m256i *)values); }

/* Scales eight sums, from number `at` on. */
AVX2 INLINE __m256i scaled_avx2(const Convolution *step, __m256i sums, int64_t at) {
    __m256i odd = _mm256_shuffle_epi32(sums, 0xF5);
    __m256i a = _mm256_mul_epu32(sums, of_lanes(step->factor + at));
    __m256i b = _mm256_mul_epu32(odd, of_lanes(step->factor + at + 4));
    a = _mm256_add_epi64(a, of_lanes(step->rounding + at));
    b = _mm256_add_epi64(b, of_lanes(step->rounding + at + 4));
    if (step->two_sided) {
        a = _mm256_add_epi64(a, _mm256_and_si256(sums, of_lanes(step->nudge + at)));
        b = _mm256_add_epi64(b, _mm256_and_si256(odd, of_lanes(step->nudge + at + 4)));
    }
    a = _mm256_srlv_epi64(a, of_lanes(step->shift + at));
    b = _mm256_srlv_epi64(b, of_lanes(step->shift + at + 4));
    return _mm256_sub_epi32(_mm256_blend_epi32(a, _mm256_shuffle_epi32(b, 0xA0), 0xAA),
                            _mm256_loadu_si256((const __m256i *)(step->offset + at)));
}

AVX2 INLINE __m256i limited_avx2(const Convolution *step, const Sums_avx2 *sums, int64_t c) {
    const Stage *stage = &step->stage;
    __m256i values = _mm256_packs_epi32(scaled_avx2(step, (*sums)[0], c), scaled_avx2(step, (*sums)[1], c + 8));
    values = _mm256_max_epi16(values, _mm256_set1_epi16((short)(stage->low - stage->zero_point)));
    values = _mm256_min_epi16(values, _mm256_set1_epi16((short)(stage->high - stage->zero_point)));
    return _mm256_add_epi16(values, _mm256_set1_epi16((short)stage->zero_point));
}

/* Scales the sums of two windows, sixteen channels from number `c` on, to their bytes. */
AVX2 INLINE void finish_two_avx2(const Convolution *step, const Sums_avx2 *sums, int64_t c, uint8_t (*values)[BRICK]) {
    __m256i first = limited_avx2(step, sums, c), second = limited_avx2(step, sums + 1, c);
    __m256i bytes = step->ofm.is_signed ? _mm256_packs_epi16(first, second) : _mm256_packus_epi16(first, second);
    _mm256_storeu_si256((__m256i *)values, _mm256_permute4x64_epi64(bytes, 0xD8));
}
#else
static const int8_t channel_of[BRICK] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

INLINE void begin_plain(const int32_t *first, Sums_plain *sums) { memcpy(sums, first, sizeof *sums); }

INLINE void add_taps_plain(const int16_t *a, const int16_t *b, const int16_t *weights, Sums_plain *sums) {
    for (int i = 0; i < BRICK; i++)
        (*sums)[i] += a[channel_of[i]] * weights[2 * i] + b[channel_of[i]] * weights[2 * i + 1];
}

INLINE void finish_two_plain(const Convolution *step, const Sums_plain *sums, int64_t c, uint8_t (*values)[BRICK]) {
    const Stage *stage = &step->stage;
    for (int window = 0; window < 2; window++)
        for (int i = 0; i < BRICK; i++) {
            int64_t at = c + i / 8 * 8 + i % 2 * 4 + i % 8 / 2;
            uint64_t sum = (uint32_t)sums[window][i];
            uint64_t number = sum * step->factor[at] + step->rounding[at] + (sum & step->nudge[at]);
            int64_t value = (int32_t)((uint32_t)(number >> step->shift[at]) - (uint32_t)step->offset[c + i]);
            values[window][channel_of[i]] = (uint8_t)least(most(value + stage->zero_point, stage->low), stage->high);
        }
}
#endif

/* Scales the sums of two windows and stores them. */
TARGET INLINE void NAME(store_two)(const Convolution *step, const NAME(Sums) *sums, int64_t c, uint8_t *const *outs) {
    uint8_t values[2][BRICK];
    NAME(finish_two)(step, sums, c, values);
    for (int window = 0; window < 2; window++) {
        if (step->table)
            for (int i = 0; i < BRICK; i++)
                values[window][i] = step->table[values[window][i]];
        uint8_t *out = outs[window] + c / BRICK * step->ofm.step_c;
        if (step->ofm.depth - c >= BRICK)
            memcpy(out, values[window], BRICK);
        else
            memcpy(out, values[window], step->ofm.depth - c);
    }
}

TARGET static void NAME(products)(const Convolution *step, const int16_t *const *windows, int64_t count,
                                  uint8_t *const *outs) {
    const int16_t *weights = step->weights;
    for (int64_t c = 0; c < step->ofm.depth; c += BRICK, weights += step->runs * step->groups * 2 * BRICK)
        for (int64_t at = 0; at < count; at += WINDOWS) {
            NAME(Sums) sums[WINDOWS];
            for (int i = 0; i < WINDOWS; i++)
                NAME(begin)(step->first + c, sums + i);
            for (int64_t run = 0; run < step->runs; run++) {
                const int16_t *from[WINDOWS];
                for (int i = 0; i < WINDOWS; i++)
                    from[i] = windows[at + i] + step->offsets[run];
                NAME(add_pairs)(from, step->groups, weights + run * step->groups * 2 * BRICK, sums);
            }
            for (int i = 0; i < WINDOWS; i += 2)
                NAME(store_two)(step, sums + i, c, outs + at + i);
        }
}

typedef struct {
    const Convolution *step;
    int64_t first;
} NAME(Channels);

TARGET static NAME(Channels) NAME(channels)(const Convolution *step, int64_t c) {
    return (NAME(Channels)){step, c};
}

/* Two windows at a time, of which a last one may be twice the same. */
TARGET static void NAME(channel_rows)(const NAME(Channels) *channels, const int16_t *buffer, uint8_t *out, int64_t top,
                                      int64_t height) {
    const Convolution *step = channels->step;
    const Window *window = &step->window;
    const int16_t *weights = (const int16_t *)step->weights + channels->first * step->groups * 2;
    int64_t width = step->ofm.width, pitch = window->stride_y * window->padded_width * BRICK;
    for (int64_t y = 0; y < height; y++, buffer += pitch)
        for (int64_t x = 0; x < width; x += 2) {
            int64_t second = least(x + 1, width - 1);
            const int16_t *a = buffer + x * window->stride_x * BRICK, *b = buffer + second * window->stride_x * BRICK;
            NAME(Sums) sums[2];
            NAME(begin)(step->first + channels->first, sums);
            NAME(begin)(step->first + channels->first, sums + 1);
            for (int64_t pair = 0; pair < step->groups; pair++) {
                const int64_t *offsets = step->offsets + 2 * pair;
                const int16_t *by = weights + pair * 2 * BRICK;
                NAME(add_taps)(a + offsets[0], a + offsets[1], by, sums);
                NAME(add_taps)(b + offsets[0], b + offsets[1], by, sums + 1);
            }
            uint8_t *const outs[2] = {out + pixel_of(&step->ofm, top + y, x), out + pixel_of(&step->ofm, top + y, second)};
            NAME(store_two)(step, sums, channels->first, outs);
        }
}

#define ELEMENT int16_t
#include "tiles.h"
#undef ELEMENT
