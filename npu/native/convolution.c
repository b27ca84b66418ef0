/* Convolutions of 8 and 16 bits on any CPU, equal to `hil.npu.arithmetic.convolution`.
 *
 * Inputs less their zero point are copied to a buffer of int16 with their padding; sums are of 32 bits, moved to 64
 * after each chunk of products that may not fit. */
#include "native.h"

#define PART 64

static void load_pixel(const Map *map, const uint8_t *pixel, int16_t zero_point, int16_t *out) {
    for (int64_t c = 0; c < map->depth; c += BRICK) {
        int64_t run = least(BRICK, map->depth - c);
        const uint8_t *at = pixel + c / BRICK * map->step_c;
        if (map->size == 2) {
            int16_t values[BRICK];
            memcpy(values, at, 2 * run);
            for (int64_t i = 0; i < run; i++)
                out[c + i] = (int16_t)(values[i] - zero_point);
        } else if (map->is_signed)
            for (int64_t i = 0; i < run; i++)
                out[c + i] = (int16_t)((int8_t)at[i] - zero_point);
        else
            for (int64_t i = 0; i < run; i++)
                out[c + i] = (int16_t)(at[i] - zero_point);
    }
}

/* Copies a sample, upscaled: upscale 1 repeats each element, 2 puts zero points between them. */
static void load_sample(const Convolution *step, const uint8_t *sample, int16_t *out) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm;
    int64_t width = window->padded_width * ifm->depth;
    memset(out, 0, window->padded_height * width * 2);
    for (int64_t y = 0; y < window->inside_height; y++) {
        if (window->upscale == 2 && y % 2)
            continue;
        int16_t *row = out + (y + window->top) * width + window->left * ifm->depth;
        int64_t from = window->upscale ? y / 2 : y;
        for (int64_t x = 0; x < window->inside_width; x++)
            if (window->upscale != 2 || x % 2 == 0)
                load_pixel(ifm, sample + pixel_of(ifm, from, window->upscale ? x / 2 : x), (int16_t)step->zero_point,
                           row + x * ifm->depth);
    }
}

#ifdef AVX2
AVX2 static void add_pairs_of_any(const int16_t *const *windows, int64_t pairs, const int16_t *weights,
                                  Sums_plain *sums) {
    Sums_avx2 totals[WINDOWS];
    memcpy(totals, sums, sizeof totals);
    add_pairs_avx2(windows, pairs, weights, totals);
    memcpy(sums, totals, sizeof totals);
}
#endif

/* Sums of `WINDOWS` windows by sixteen channels. */
static void sum_products(const Convolution *step, const Batch *batch, const int16_t *const *rows,
                         const int16_t *weights, int64_t (*sums)[BRICK]) {
    Sums_plain part[WINDOWS] = {{0}};
    memset(sums, 0, WINDOWS * sizeof *sums);
    int64_t waiting = 0;
    for (int64_t run = 0; run < step->runs; run++)
        for (int64_t done = 0; done < step->groups;) {
            int64_t pairs = least(step->groups - done, step->chunk - waiting);
            const int16_t *at[WINDOWS];
            for (int row = 0; row < WINDOWS; row++)
                at[row] = rows[row] + step->offsets[run] + 2 * done;
#ifdef AVX2
            if (batch->level > 0)
                add_pairs_of_any(at, pairs, weights, part);
            else
#endif
                add_pairs_plain(at, pairs, weights, part);
            weights += pairs * 2 * BRICK;
            done += pairs;
            waiting += pairs;
            if (waiting == step->chunk) {
                for (int row = 0; row < WINDOWS; row++)
                    for (int c = 0; c < BRICK; c++)
                        sums[row][c] += part[row][c], part[row][c] = 0;
                waiting = 0;
            }
        }
    for (int row = 0; row < WINDOWS; row++)
        for (int c = 0; c < BRICK; c++)
            sums[row][c] += part[row][c];
}

static void whole(const Convolution *step, const Batch *batch, const int16_t *buffer, int64_t size, int64_t begin,
                  int64_t samples) {
    const Window *window = &step->window;
    const Map *ofm = &step->ofm;
    int64_t width = window->padded_width * step->ifm.depth, pixels = ofm->height * ofm->width;
    for (int64_t c = 0; c < ofm->depth; c += BRICK) {
        int64_t count = least(BRICK, ofm->depth - c);
        const int16_t *weights = (const int16_t *)step->weights + c / BRICK * step->runs * step->groups * 2 * BRICK;
        for (int64_t at = 0; at < samples * pixels; at += WINDOWS) {
            const int16_t *rows[WINDOWS];
            uint8_t *outs[WINDOWS];
            for (int row = 0; row < WINDOWS; row++) {
                int64_t window_at = least(at + row, samples * pixels - 1);
                int64_t sample = window_at / pixels, y = window_at % pixels / ofm->width, x = window_at % ofm->width;
                rows[row] = buffer + sample * size + y * window->stride_y * width + x * window->stride_x * step->ifm.depth;
                outs[row] = sample_of(batch, ofm->region, begin + sample) + pixel_of(ofm, y, x);
            }
            int64_t sums[WINDOWS][BRICK];
            sum_products(step, batch, rows, weights, sums);
            for (int row = 0; row < WINDOWS; row++) {
                uint8_t values[4 * BRICK];
                finish(&step->stage, sums[row], c, count, ofm->size, values);
                store_channels(ofm, outs[row], c, count, values);
            }
        }
    }
}

/* Sums of one window by each of `count` channels from `first` on; offsets are those of its elements. */
static void sum_taps(const Convolution *step, const int16_t *row, int64_t first, int64_t count, int64_t *sums) {
    int32_t narrow[PART] = {0};
    memset(sums, 0, PART * sizeof *sums);
    for (int64_t tap = 0; tap < step->runs; tap++) {
        const int16_t *a = row + step->offsets[tap] + first, *by = (const int16_t *)step->weights + tap * step->ofm.depth + first;
        if (step->fits_int32)
            for (int64_t c = 0; c < count; c++)
                narrow[c] += (int32_t)a[c] * by[c];
        else
            for (int64_t c = 0; c < count; c++)
                sums[c] += (int64_t)a[c] * by[c];
    }
    if (step->fits_int32)
        for (int64_t c = 0; c < count; c++)
            sums[c] = narrow[c];
}

static void by_channel(const Convolution *step, const Batch *batch, const int16_t *buffer, int64_t sample) {
    const Window *window = &step->window;
    const Map *ofm = &step->ofm;
    int64_t depth = ofm->depth, width = window->padded_width * depth;
    for (int64_t y = 0; y < ofm->height; y++)
        for (int64_t x = 0; x < ofm->width; x++)
            for (int64_t c = 0; c < depth; c += PART) {
                int64_t count = least(PART, depth - c), sums[PART];
                uint8_t values[4 * PART];
                sum_taps(step, buffer + y * window->stride_y * width + x * window->stride_x * depth, c, count, sums);
                finish(&step->stage, sums, c, count, ofm->size, values);
                store_channels(ofm, sample_of(batch, ofm->region, sample) + pixel_of(ofm, y, x), c, count, values);
            }
}

void convolve(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    int64_t size = window->padded_height * window->padded_width * step->ifm.depth;
    int64_t at_once = step->whole ? step->tile_samples : 1;
    int16_t *buffer = (int16_t *)batch->scratch;
    for (int64_t begin = 0; begin < batch->count; begin += at_once) {
        int64_t samples = least(at_once, batch->count - begin);
        for (int64_t sample = 0; sample < samples; sample++)
            load_sample(step, sample_of(batch, step->ifm.region, begin + sample), buffer + sample * size);
        if (step->whole)
            whole(step, batch, buffer, size, begin, samples);
        else
            by_channel(step, batch, buffer, begin);
    }
}
