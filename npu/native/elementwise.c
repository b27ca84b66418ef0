/* Elementwise operations, equal to `hil.npu.arithmetic.elementwise`. */
#include "native.h"

#define PAIRS 65536
#define PART 64

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

static void look_up_row(const Elementwise *step, const uint8_t *first, const uint8_t *second, uint8_t *out, int64_t y) {
    const uint8_t *pairs = step->pairs;
    for (int64_t c = 0; c < step->ofm.depth; c += BRICK) {
        int64_t count = least(BRICK, step->ofm.depth - c), brick = c / BRICK;
        for (int64_t x = 0; x < step->ofm.width; x++) {
            const uint8_t *a = operand_at(&step->ifm, first, y, x) + brick * step->ifm.step_c;
            const uint8_t *b = operand_at(&step->ifm2, second, y, x) + brick * step->ifm2.step_c;
            uint8_t values[BRICK], *to = out + pixel_of(&step->ofm, y, x) + brick * step->ofm.step_c;
            if (count == BRICK) {
                for (int64_t i = 0; i < BRICK; i++)
                    values[i] = pairs[a[i] << 8 | b[i]];
                memcpy(to, values, BRICK);
            } else {
                for (int64_t i = 0; i < count; i++)
                    values[i] = pairs[a[i] << 8 | b[i]];
                memcpy(to, values, count);
            }
        }
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
        __atomic_store_n(&step->pairs_ready, 1, __ATOMIC_RELEASE);
        ready = 1;
    }
    for (int64_t sample = 0; sample < batch->count; sample++) {
        const uint8_t *first = sample_of(batch, step->ifm.region, sample);
        const uint8_t *second = step->has_second ? sample_of(batch, step->ifm2.region, sample) : 0;
        uint8_t *out = sample_of(batch, ofm->region, sample);
        for (int64_t top = 0; top < ofm->height; top += rows) {
            if (ready) {
                look_up_row(step, first, second ? second : first, out, top);
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
