/* Elementwise operations, equal to `hil.npu.arithmetic.elementwise`. */
#include "native.h"

#define PAIRS 65536
#define PART 64
#define MARGIN 0x1p-12f /* of a result in float32 that is sure; all pairs of bytes are tried before it is used */

static int64_t common_scale(const Elementwise *step, int64_t value, int64_t place) {
    if (step->scaled_operand == 0)
        return value * (place == 1 ? step->factor_a : step->factor_b);
    int64_t bits = step->ifm.size == 1 ? 20 : 15;
    if (step->scaled_operand != place)
        return value << (bits - 1);
    return rescale(value << bits, step->factor_a, least(step->shift_a + bits, 62), step->operand_rounding);
}

static int64_t unary(const Elementwise *step, int64_t value) {
    if (step->kind == ABS)
        return value < 0 ? -value : value;
    if (step->kind == CLZ)
        return value < 0 ? 0 : value == 0 ? 32 : 32 - (64 - __builtin_clzll(value));
    if (value >= 0 || !step->scaled)
        return value;
    return rescale(value, step->factor, step->shift, step->stage.rounding);
}

static int64_t binary(const Elementwise *step, int64_t first, int64_t second) {
    switch (step->kind) {
    case ADD:
        return first + second;
    case SUB:
        return first - second;
    case MUL:
        if (step->ifm.size < 4)
            return first * second;
        return most(least(rescale(first * second, 1, step->shift, step->stage.rounding), INT32_MAX), INT32_MIN);
    case MIN:
        return least(first, second);
    case MAX:
        return most(first, second);
    }
    int64_t bits = least(most(second, 0), 63);
    if (step->kind == SHL)
        return first << bits;
    if (step->stage.rounding != TRUNCATE && bits > 0)
        first += (int64_t)1 << (bits - 1);
    return first >> bits;
}

/* Computes `count` elements of channels from `first` on from the operands less their zero points. */
static void compute(const Elementwise *step, int64_t *a, int64_t *b, int64_t first, int64_t count, uint8_t *out) {
    int scales = (step->kind == ADD || step->kind == SUB) && step->ifm.size < 4;
    int64_t place = step->reversed ? 2 : 1;
    if (step->kind == LRELU || step->kind == ABS || step->kind == CLZ) {
        for (int64_t i = 0; i < count; i++)
            a[i] = unary(step, a[i]);
    } else {
        if (scales)
            for (int64_t i = 0; i < count; i++) {
                a[i] = common_scale(step, a[i], place);
                b[i] = common_scale(step, b[i], 3 - place);
            }
        for (int64_t i = 0; i < count; i++)
            a[i] = step->reversed ? binary(step, b[i], a[i]) : binary(step, a[i], b[i]);
    }
    finish(&step->stage, a, first, count, step->ofm.size, out);
}

/* Pixel (y, x) of an operand, which is broadcast along axes of length 1. */
INLINE const uint8_t *operand_at(const Map *map, const uint8_t *sample, int64_t y, int64_t x) {
    return sample + pixel_of(map, map->height > 1 ? y : 0, map->width > 1 ? x : 0);
}

static void operand(const Map *map, const uint8_t *sample, int64_t y, int64_t x, int64_t first, int64_t count,
                    int64_t zero_point, int64_t *out) {
    const uint8_t *at = operand_at(map, sample, y, x);
    if (map->depth > 1)
        read_channels(map, at, first, count, out);
    else {
        read_channels(map, at, 0, 1, out);
        for (int64_t i = 1; i < count; i++)
            out[i] = out[0];
    }
    for (int64_t i = 0; i < count; i++)
        out[i] -= zero_point;
}

static void compute_pixel(const Elementwise *step, const uint8_t *first, const uint8_t *second, int64_t y, int64_t x,
                          uint8_t *out) {
    int64_t a[PART], b[PART];
    for (int64_t c = 0; c < step->ofm.depth; c += PART) {
        int64_t count = least(PART, step->ofm.depth - c);
        operand(&step->ifm, first, y, x, c, count, step->zero_point, a);
        if (second)
            operand(&step->ifm2, second, y, x, c, count, step->zero_point2, b);
        else
            for (int64_t i = 0; i < count; i++)
                b[i] = step->scalar - step->zero_point2;
        compute(step, a, b, c, count, out + c * step->ofm.size);
    }
}

static void fill_pairs(const Elementwise *step) {
    int64_t a[PART], b[PART];
    for (int64_t high = 0; high < 256; high++)
        for (int64_t low = 0; low < 256; low += PART) {
            for (int64_t i = 0; i < PART; i++) {
                a[i] = (step->ifm.is_signed ? (int64_t)(int8_t)high : high) - step->zero_point;
                int64_t second = step->ifm2.is_signed ? (int64_t)(int8_t)(low + i) : low + i;
                b[i] = step->has_second ? second - step->zero_point2 : step->scalar - step->zero_point2;
            }
            for (int64_t i = 0; i < PART; i++) /* All scales are alike: there is one channel. */
                compute(step, a + i, b + i, 0, 1, step->pairs + 256 * high + low + i);
        }
}

/* Computes the first `count` elements of each of some adjacent bricks; returns how many bricks needed no table. */
typedef int64_t Compute(const Elementwise *step, const uint8_t *first, const uint8_t *second, int64_t bricks,
                        int64_t count, uint8_t *out);

static int64_t look_up(const Elementwise *step, const uint8_t *first, const uint8_t *second, int64_t bricks,
                       int64_t count, uint8_t *out) {
    const uint8_t *pairs = step->pairs;
    for (; bricks > 0; bricks--, first += BRICK, second += BRICK, out += BRICK) {
        uint8_t values[BRICK];
        for (int64_t i = 0; i < count; i++)
            values[i] = pairs[first[i] << 8 | second[i]];
        if (count == BRICK) /* A count that the compiler knows. */
            memcpy(out, values, BRICK);
        else
            memcpy(out, values, count);
    }
    return 0;
}

#ifdef AVX2
typedef struct {
    __m256 by_first, by_second, low, high;
    __m128i flip_first, flip_second;
    __m256i least, most;
} Line;

AVX2 INLINE Line line_of(const Elementwise *step) {
    return (Line){
        _mm256_set1_ps(step->by_first),
        _mm256_set1_ps(step->by_second),
        _mm256_set1_ps(step->low),
        _mm256_set1_ps(step->high),
        _mm_set1_epi8(step->ifm.is_signed ? INT8_MIN : 0),
        _mm_set1_epi8(step->ifm2.is_signed ? INT8_MIN : 0),
        _mm256_set1_epi16((short)step->stage.low),
        _mm256_set1_epi16((short)step->stage.high),
    };
}

/* Computes sixteen elements; returns 0 if it is not sure of one. */
AVX2 INLINE int draw_brick(const Line *line, const uint8_t *at, const uint8_t *at2, __m128i *out) {
    __m128i first = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), line->flip_first);
    __m128i second = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at2), line->flip_second);
    __m256i results[2], unsure = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(first)), b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(second));
        __m256 sums = _mm256_fmadd_ps(a, line->by_first, _mm256_mul_ps(b, line->by_second));
        results[i] = _mm256_cvtps_epi32(_mm256_add_ps(sums, line->low));
        __m256i high = _mm256_cvtps_epi32(_mm256_add_ps(sums, line->high));
        unsure = _mm256_or_si256(unsure, _mm256_xor_si256(results[i], high));
        first = _mm_unpackhi_epi64(first, first);
        second = _mm_unpackhi_epi64(second, second);
    }
    if (!_mm256_testz_si256(unsure, unsure))
        return 0;
    __m256i values = _mm256_permute4x64_epi64(_mm256_packs_epi32(results[0], results[1]), 0xD8);
    values = _mm256_min_epi16(_mm256_max_epi16(values, line->least), line->most);
    values = _mm256_and_si256(values, _mm256_set1_epi16(0xFF));
    values = _mm256_packus_epi16(values, values);
    *out = _mm256_castsi256_si128(_mm256_permute4x64_epi64(values, 0x08));
    return 1;
}

AVX2 static int64_t draw(const Elementwise *step, const uint8_t *first, const uint8_t *second, int64_t bricks,
                         int64_t count, uint8_t *out) {
    const Line line = line_of(step);
    const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m128i ours = _mm_cmpgt_epi8(_mm_set1_epi8((char)count), order);
    const int64_t last = count < BRICK; /* behind which there need be no memory */
    int64_t sure = 0;
    for (; bricks > last; bricks--, first += BRICK, second += BRICK, out += BRICK) {
        __m128i values;
        if (!draw_brick(&line, first, second, &values)) {
            look_up(step, first, second, 1, count, out);
            continue;
        }
        if (last) /* What lies between two pixels stays. */
            values = _mm_blendv_epi8(_mm_loadu_si128((const __m128i *)out), values, ours);
        _mm_storeu_si128((__m128i *)out, values);
        sure++;
    }
    look_up(step, first, second, last, count, out);
    return sure;
}

/* The real factor by which the sum grows with the operand at `place`. */
static double slope(const Elementwise *step, int64_t place) {
    return (double)(common_scale(step, 255, place) - common_scale(step, 0, place)) / 255;
}

/* Finds the line of an addition or subtraction and tries it on all pairs: it is used if what it is sure of is right,
 * and that is most of them. */
static void find_line(Elementwise *step) {
    const Stage *stage = &step->stage;
    if ((step->kind != ADD && step->kind != SUB) || stage->mode == 0)
        return;
    double scale = stage->mode == 1 ? stage->multiplier[0] : (double)stage->factor[0] / (double)(1ULL << stage->shift[0]);
    double first = scale * slope(step, step->reversed ? 2 : 1), second = scale * slope(step, step->reversed ? 1 : 2);
    if (step->kind == SUB)
        *(step->reversed ? &first : &second) *= -1;
    double at = (double)stage->zero_point + scale * (double)stage->bias[0];
    at -= first * (double)(step->zero_point + (step->ifm.is_signed ? 128 : 0));
    at += second * (double)(step->has_second ? -step->zero_point2 - (step->ifm2.is_signed ? 128 : 0)
                                             : step->scalar - step->zero_point2);
    step->by_first = (float)first, step->by_second = step->has_second ? (float)second : 0;
    step->low = (float)at - MARGIN, step->high = (float)at + MARGIN;
    uint8_t high[256], low[256], found[256];
    int64_t sure = 0;
    for (int64_t i = 0; i < 256; i++)
        low[i] = (uint8_t)i;
    for (int64_t i = 0; i < 256; i++) {
        memset(high, (int)i, sizeof high);
        sure += draw(step, high, low, 256 / BRICK, BRICK, found);
        if (memcmp(found, step->pairs + 256 * i, 256))
            return;
    }
    step->linear = sure > PAIRS / BRICK / 8 * 7;
}
#endif

/* True if the pixels of a row are adjacent, sixteen channels at a time. */
INLINE int adjacent(const Map *map, int64_t width) {
    return map->width == width && map->step_x == BRICK && (map->split <= 0 || map->split >= width);
}

static void compute_row(const Elementwise *step, const uint8_t *first, const uint8_t *second, uint8_t *out, int64_t y,
                        Compute *compute_elements) {
    const Map *ifm = &step->ifm, *ifm2 = &step->ifm2, *ofm = &step->ofm;
    int64_t width = ofm->width, depth = ofm->depth;
    int together = adjacent(ifm, width) && adjacent(ifm2, width) && adjacent(ofm, width);
    for (int64_t c = 0; c < depth; c += BRICK) {
        int64_t brick = c / BRICK, count = least(BRICK, depth - c), pixels = together ? width : 1;
        for (int64_t x = 0; x < width; x += pixels)
            compute_elements(step, operand_at(ifm, first, y, x) + brick * ifm->step_c,
                             operand_at(ifm2, second, y, x) + brick * ifm2->step_c, pixels, count,
                             out + pixel_of(ofm, y, x) + brick * ofm->step_c);
    }
}

/* `whole_first` computes a whole sample before it stores anything, because it writes what it has yet to read. */
void elementwise(Elementwise *step, const Batch *batch) {
    const Map *ofm = &step->ofm;
    int64_t elements = ofm->height * ofm->width * ofm->depth, row = ofm->width * ofm->depth * ofm->size;
    int64_t rows = step->whole_first ? ofm->height : 1;
    int ready = step->pairs && __atomic_load_n(&step->pairs_ready, __ATOMIC_ACQUIRE);
    if (step->pairs && !ready &&
        __atomic_add_fetch(&step->computed, elements * batch->count, __ATOMIC_RELAXED) > PAIRS) {
        fill_pairs(step); /* Two threads at once write the same bytes. */
#ifdef AVX2
        if (batch->level > 0)
            find_line(step);
#endif
        __atomic_store_n(&step->pairs_ready, 1, __ATOMIC_RELEASE);
        ready = 1;
    }
    Compute *compute_elements = look_up;
#ifdef AVX2
    if (ready && step->linear && batch->level > 0)
        compute_elements = draw;
#endif
    for (int64_t sample = 0; sample < batch->count; sample++) {
        const uint8_t *first = sample_of(batch, step->ifm.region, sample);
        const uint8_t *second = step->has_second ? sample_of(batch, step->ifm2.region, sample) : 0;
        uint8_t *out = sample_of(batch, ofm->region, sample);
        for (int64_t top = 0; top < ofm->height; top += rows) {
            if (ready) {
                compute_row(step, first, second ? second : first, out, top, compute_elements);
                continue;
            }
            for (int64_t y = 0; y < rows; y++)
                for (int64_t x = 0; x < ofm->width; x++)
                    compute_pixel(step, first, second, top + y, x,
                                  batch->scratch + y * row + x * ofm->depth * ofm->size);
            for (int64_t y = 0; y < rows; y++)
                for (int64_t x = 0; x < ofm->width; x++)
                    store_channels(ofm, out + pixel_of(ofm, top + y, x), 0, ofm->depth,
                                   batch->scratch + y * row + x * ofm->depth * ofm->size);
        }
    }
}
