/* Pools of all kinds, equal to `hil.npu.arithmetic.pooling`. */
#include "native.h"

#define PART 64

/* Adds the elements under one element of the kernel, or takes the larger. */
static void take(const Pool *step, int64_t *sums, const int64_t *values, int64_t count) {
    if (step->function == MAXIMUM)
        for (int64_t c = 0; c < count; c++)
            sums[c] = most(sums[c], values[c]);
    else
        for (int64_t c = 0; c < count; c++)
            sums[c] += values[c];
}

/* Reads channels at (y, x) of the padded input less the zero point; padding is `lowest` of a maximum, else 0. */
static void padded(const Pool *step, const uint8_t *sample, int64_t y, int64_t x, int64_t first, int64_t count,
                   int64_t *out) {
    const Window *window = &step->window;
    int64_t fill = 0;
    y -= window->top;
    x -= window->left;
    if (y < 0 || x < 0 || y >= window->inside_height || x >= window->inside_width)
        fill = step->function == MAXIMUM ? step->lowest - step->zero_point : 0;
    else if (window->upscale != 2 || (y % 2 == 0 && x % 2 == 0)) {
        int64_t by = window->upscale ? 2 : 1;
        read_channels(&step->ifm, sample + pixel_of(&step->ifm, y / by, x / by), first, count, out);
        for (int64_t c = 0; c < count; c++)
            out[c] -= step->zero_point;
        return;
    }
    for (int64_t c = 0; c < count; c++)
        out[c] = fill;
}

static void reduce(const Pool *step, const uint8_t *sample, int64_t y, int64_t x, int64_t first, int64_t count,
                   int64_t *sums) {
    const Window *window = &step->window;
    int64_t values[PART];
    for (int64_t ky = 0; ky < window->height; ky++)
        for (int64_t kx = 0; kx < window->width; kx++) {
            padded(step, sample, y * window->stride_y + ky * window->dilation_y,
                   x * window->stride_x + kx * window->dilation_x, first, count, ky || kx ? values : sums);
            if (ky || kx)
                take(step, sums, values, count);
        }
}

/* One pixel's sums: of all channels together, or of `count` from `first` on. */
static void window_at(const Pool *step, const uint8_t *sample, int64_t y, int64_t x, int64_t first, int64_t count,
                      int64_t *sums) {
    if (step->function == DEPTH_SUM) {
        int64_t total = 0;
        for (int64_t c = 0; c < step->ifm.depth; c += PART) {
            int64_t part = least(PART, step->ifm.depth - c);
            reduce(step, sample, y, x, c, part, sums);
            for (int64_t i = 0; i < part; i++)
                total += sums[i];
        }
        sums[0] = total;
        return;
    }
    reduce(step, sample, y, x, first, count, sums);
    int64_t at = y * step->ofm.width + x;
    if (step->factor)
        for (int64_t c = 0; c < count; c++)
            sums[c] = rescale(sums[c], step->factor[at], step->shift[at], step->stage.rounding);
}

/* A sample is computed before anything is stored, because it may be written over its input. */
void pool(const Pool *step, const Batch *batch) {
    const Map *ofm = &step->ofm;
    for (int64_t sample = 0; sample < batch->count; sample++) {
        const uint8_t *from = sample_of(batch, step->ifm.region, sample);
        uint8_t *to = sample_of(batch, ofm->region, sample), *result = batch->scratch;
        for (int64_t y = 0; y < ofm->height; y++)
            for (int64_t x = 0; x < ofm->width; x++)
                for (int64_t c = 0; c < ofm->depth; c += PART) {
                    int64_t count = least(PART, ofm->depth - c), sums[PART];
                    window_at(step, from, y, x, c, count, sums);
                    finish(&step->stage, sums, c, count, ofm->size, result);
                    result += count * ofm->size;
                }
        result = batch->scratch;
        for (int64_t y = 0; y < ofm->height; y++)
            for (int64_t x = 0; x < ofm->width; x++, result += ofm->depth * ofm->size)
                store_channels(ofm, to + pixel_of(ofm, y, x), 0, ofm->depth, result);
    }
}
