/* Convolutions of bytes, tile by tile: included once for each set of instructions, which defines NAME(function), TARGET,
 * ELEMENT, the type to which bytes of the input are copied, AT_ONCE, a number of windows, and before that:
 *
 * move, fill: copy bytes to elements, each xor a byte; fill elements with one (they may write SLACK / 4 bytes beyond)
 * products: windows by all channels, for sums over the whole depth; their count is a multiple of AT_ONCE
 * Channels, channels, channel_rows: sixteen channels of a convolution by channel, and rows of them
 *
 * A tile is some rows of a sample or some whole samples, with its padding.  Bricks stay bricks there; of a convolution
 * by channel there is one brick at a time. */

/* Copies pixels `begin` to `end` of a row; `to` is the place of the first, `pitch` elements are between two there. */
TARGET INLINE void NAME(move_pixels)(const Map *map, const uint8_t *sample, int64_t y, int64_t begin, int64_t end,
                                     int64_t at, int64_t length, ELEMENT *to, int64_t pitch, int64_t flip) {
    while (begin < end) {
        int64_t stop = begin < map->split ? least(end, map->split) : end;
        const uint8_t *from = sample + pixel_of(map, y, begin) + at;
        if (map->step_x == pitch) { /* What lies between two pixels is copied, too; no weight but 0 meets it. */
            NAME(move)(to, from, (stop - begin - 1) * pitch + length, flip);
        } else {
            for (int64_t x = 0; x < stop - begin; x++)
                NAME(move)(to + x * pitch, from + x * map->step_x, length, flip);
        }
        to += (stop - begin) * pitch;
        begin = stop;
    }
}

/* Copies rows `top` to `top + rows` of the padded input: `length` bytes a pixel from byte `at` on, every `pitch`. */
TARGET static void NAME(move_rows)(const Convolution *step, const uint8_t *sample, int64_t top, int64_t rows, int64_t at,
                                   int64_t length, int64_t pitch, ELEMENT *to) {
    const Window *window = &step->window;
    int64_t left = window->left, end = left + window->inside_width, width = window->padded_width;
    for (int64_t row = 0; row < rows; row++, to += width * pitch) {
        int64_t y = top + row - window->top;
        if (y < 0 || y >= window->inside_height) {
            NAME(fill)(to, width * pitch, step->fill);
            continue;
        }
        NAME(fill)(to, left * pitch, step->fill);
        NAME(move_pixels)(&step->ifm, sample, y, 0, end - left, at, length, to + left * pitch, pitch, step->flip);
        NAME(fill)(to + end * pitch, (width - end) * pitch, step->fill);
    }
}

TARGET static void NAME(whole)(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm, *ofm = &step->ofm;
    int bricks = ifm->step_c != BRICK;
    int64_t pitch = bricks ? BRICK : ifm->depth, pieces = bricks ? (ifm->depth + BRICK - 1) / BRICK : 1;
    int64_t reach = (window->height - 1) * window->dilation_y + 1;
    int64_t row_size = window->padded_width * pitch;
    int64_t piece_size = ((step->tile_rows - 1) * window->stride_y + reach) * row_size;
    int64_t most_windows = step->tile_samples * step->tile_rows * ofm->width + AT_ONCE;
    const ELEMENT **windows = (const ELEMENT **)batch->scratch;
    uint8_t **outs = (uint8_t **)(windows + most_windows);
    ELEMENT *buffer = (ELEMENT *)(outs + most_windows);
    for (int64_t begin = 0; begin < batch->count; begin += step->tile_samples) {
        int64_t samples = least(step->tile_samples, batch->count - begin);
        for (int64_t top = 0; top < ofm->height; top += step->tile_rows) {
            int64_t height = least(step->tile_rows, ofm->height - top), count = 0;
            for (int64_t sample = 0; sample < samples; sample++) {
                const uint8_t *from = sample_of(batch, ifm->region, begin + sample);
                ELEMENT *to = buffer + sample * pieces * piece_size;
                for (int64_t piece = 0; piece < pieces; piece++)
                    NAME(move_rows)(step, from, top * window->stride_y, (height - 1) * window->stride_y + reach,
                                    piece * ifm->step_c, least(pitch, ifm->depth - piece * pitch), pitch,
                                    to + piece * piece_size);
                uint8_t *out = sample_of(batch, ofm->region, begin + sample);
                for (int64_t y = 0; y < height; y++)
                    for (int64_t x = 0; x < ofm->width; x++, count++) {
                        windows[count] = to + y * window->stride_y * row_size + x * window->stride_x * pitch;
                        outs[count] = out + pixel_of(ofm, top + y, x);
                    }
            }
            for (; count % AT_ONCE; count++) /* The last window again. */
                windows[count] = windows[count - 1], outs[count] = outs[count - 1];
            NAME(products)(step, windows, count, outs);
        }
    }
}

TARGET static void NAME(by_channel)(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm, *ofm = &step->ofm;
    ELEMENT *buffer = (ELEMENT *)batch->scratch;
    int64_t reach = (window->height - 1) * window->dilation_y + 1;
    for (int64_t c = 0; c < ofm->depth; c += BRICK) {
        NAME(Channels) channels = NAME(channels)(step, c);
        for (int64_t sample = 0; sample < batch->count; sample++)
            for (int64_t top = 0; top < ofm->height; top += step->tile_rows) {
                int64_t height = least(step->tile_rows, ofm->height - top);
                NAME(move_rows)(step, sample_of(batch, ifm->region, sample), top * window->stride_y,
                                (height - 1) * window->stride_y + reach, c / BRICK * ifm->step_c,
                                least(BRICK, ofm->depth - c), BRICK, buffer);
                NAME(channel_rows)(&channels, buffer, sample_of(batch, ofm->region, sample), top, height);
            }
    }
}

TARGET static void NAME(convolve_tiles)(const Convolution *step, const Batch *batch) {
    (step->whole ? NAME(whole) : NAME(by_channel))(step, batch);
}
