/* The output stage for any operands, equal to `hil.npu.arithmetic.output` and `scaling`. */
#include "native.h"

int64_t rescale(int64_t value, int64_t factor, int64_t shift, int64_t rounding) {
    int64_t product = value * factor;
    if (rounding == TRUNCATE)
        return (product + (product < 0 ? ((int64_t)1 << shift) - 1 : 0)) >> shift;
    if (rounding == TFL && shift > 31)
        product += product >= 0 ? (int64_t)1 << 30 : -((int64_t)1 << 30);
    return (product + (shift > 0 ? (int64_t)1 << (shift - 1) : 0)) >> shift;
}

/* Reads `count` channels from number `first` on; sixteen at most if they lie apart. */
void read_channels(const Map *map, const uint8_t *pixel, int64_t first, int64_t count, int64_t *out) {
    for (int64_t done = 0; done < count;) {
        int64_t c = first + done, run = least(count - done, BRICK - c % BRICK);
        const uint8_t *at = pixel + c / BRICK * map->step_c + c % BRICK * map->size;
        for (int64_t i = 0; i < run; i++) {
            if (map->size == 1)
                out[done + i] = map->is_signed ? (int64_t)(int8_t)at[i] : (int64_t)at[i];
            else if (map->size == 2) {
                uint16_t value;
                memcpy(&value, at + 2 * i, 2);
                out[done + i] = map->is_signed ? (int64_t)(int16_t)value : (int64_t)value;
            } else {
                int32_t value;
                memcpy(&value, at + 4 * i, 4);
                out[done + i] = value;
            }
        }
        done += run;
    }
}

void store_channels(const Map *map, uint8_t *pixel, int64_t first, int64_t count, const uint8_t *values) {
    for (int64_t done = 0; done < count;) {
        int64_t c = first + done, run = least(count - done, BRICK - c % BRICK);
        memcpy(pixel + c / BRICK * map->step_c + c % BRICK * map->size, values + done * map->size, run * map->size);
        done += run;
    }
}

/* sigmoid(i/24) in 16 bits; Python's `output` has its source. */
static int64_t logistic[256];

void set_logistic(const int64_t *table) { memcpy(logistic, table, sizeof logistic); }

static int64_t sigmoid_or_tanh(int64_t value, int64_t function) {
    int64_t bits = function == SIGMOID ? 9 : 8, magnitude = value < 0 ? -value : value;
    int64_t index = least(magnitude >> bits, 254), low = logistic[index], high = logistic[index + 1];
    int64_t result = (low << bits) + (magnitude & (((int64_t)1 << bits) - 1)) * (high - low);
    int saturated = (magnitude >> bits) >= 255;
    if (function == SIGMOID) {
        if (saturated)
            result = (int64_t)0x7FFF << 10;
        return (value >= 0 ? result + (1 << 9) : (1 << 25) - result + (1 << 9) - 1) >> 10;
    }
    result = (saturated ? (int64_t)0xFFFF << 8 : result) - (1 << 23);
    return (value >= 0 ? result + (1 << 7) : -result + (1 << 7) - 1) >> 8;
}

static void put(uint8_t *out, int64_t size, int64_t i, int64_t value) {
    if (size == 1)
        out[i] = (uint8_t)value;
    else if (size == 2)
        memcpy(out + 2 * i, &(int16_t){(int16_t)value}, 2);
    else
        memcpy(out + 4 * i, &(int32_t){(int32_t)value}, 4);
}

static int64_t look_up(const Stage *stage, int64_t value) {
    if (stage->table_kind == BYTES)
        return stage->table[(value + (stage->table_signed ? 128 : 0)) & 255];
    int64_t entry = (value + 32768) >> 7;
    return stage->table[entry] + ((stage->slope[entry] * (value & 127) + 64) >> 7);
}

static void activate(const Stage *stage, int64_t *values, int64_t count, int64_t size, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        int64_t value = values[i];
        if (stage->function != NOTHING)
            value = sigmoid_or_tanh(value, stage->function);
        if (stage->wraps)
            value = (int64_t)(int32_t)value;
        else
            value = least(most(value, stage->low), stage->high);
        if (stage->table_kind != NO_TABLE && stage->function == NOTHING)
            value = look_up(stage, value);
        put(out, size, i, value);
    }
}

#define PART 64

/* Converts the sums of channels `first` to `first + count` to output elements of `size` bytes. */
void finish(const Stage *stage, const int64_t *sums, int64_t first, int64_t count, int64_t size, uint8_t *out) {
    int64_t values[PART];
    for (int64_t done = 0; done < count; done += PART) {
        int64_t part = least(PART, count - done), c = first + done;
        const int64_t *from = sums + done;
        if (stage->mode == 1)
            for (int64_t i = 0; i < part; i++) {
                double value = (double)(from[i] + stage->bias[c + i]) * stage->multiplier[c + i];
                double nudge = stage->nudge[c + i];
                value += (value < 0 ? -nudge : nudge) + stage->half[c + i];
                value = value < -1e15 ? -1e15 : value > 1e15 ? 1e15 : value; /* beyond all limits */
                int64_t whole = (int64_t)value;
                values[i] = whole - ((double)whole > value) + stage->zero_point;
            }
        else if (stage->mode == 2)
            for (int64_t i = 0; i < part; i++)
                values[i] = rescale(from[i] + stage->bias[c + i], stage->factor[c + i], stage->shift[c + i],
                                    stage->rounding) + stage->zero_point;
        else
            for (int64_t i = 0; i < part; i++)
                values[i] = from[i] + stage->bias[c + i] + stage->zero_point;
        activate(stage, values, part, size, out + done * size);
    }
}
