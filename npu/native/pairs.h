/* Convolutions of 8 bits by pairs of products of 16 bits, on any CPU: included by `pairs.c` once for each set of
 * instructions, which defines NAME(function), TARGET and, for AVX2, WITH_AVX2.
 *
 * A tile of the input, some rows of a sample or some whole samples, is copied to a buffer of int16 less the zero point,
 * with its padding. */

/* Copies one pixel. */
TARGET static inline void NAME(load_pixel)(const Map *map, const uint8_t *pixel, int16_t zero_point, int16_t *out) {
    for (int64_t c = 0; c < map->depth; c += BRICK) {
        int64_t run = least(BRICK, map->depth - c);
        const uint8_t *at = pixel + c / BRICK * map->step_c;
        if (run == BRICK && map->is_signed)
            for (int i = 0; i < BRICK; i++)
                out[c + i] = (int16_t)((int8_t)at[i] - zero_point);
        else if (map->is_signed)
            for (int64_t i = 0; i < run; i++)
                out[c + i] = (int16_t)((int8_t)at[i] - zero_point);
        else
            for (int64_t i = 0; i < run; i++)
                out[c + i] = (int16_t)(at[i] - zero_point);
    }
}

/* Copies rows `top` to `top + rows` of the padded input. */
TARGET static void NAME(load_rows)(const Convolution *step, const uint8_t *sample, int64_t top, int64_t rows,
                                   int16_t *out) {
    const Window *window = &step->window;
    int64_t depth = step->ifm.depth, width = window->padded_width;
    for (int64_t row = 0; row < rows; row++, out += width * depth) {
        int64_t y = top + row - window->top, left = window->left, end = left + window->inside_width;
        if (y < 0 || y >= window->inside_height) {
            memset(out, 0, 2 * width * depth);
            continue;
        }
        memset(out, 0, 2 * left * depth);
        for (int64_t x = 0; x < window->inside_width; x++)
            NAME(load_pixel)(&step->ifm, sample + pixel_of(&step->ifm, y, x), (int16_t)step->zero_point,
                             out + (left + x) * depth);
        memset(out + end * depth, 0, 2 * (width - end) * depth);
    }
}

/* Scales and stores the sums of sixteen channels from number `c` on. */
TARGET static inline void NAME(store)(const Convolution *step, const int32_t *sums, int64_t c, uint8_t *out) {
    const Stage *stage = &step->stage;
    uint8_t values[BRICK];
#ifdef WITH_AVX2
    __m128i parts[4];
    for (int i = 0; i < 4; i++) {
        __m256d value = _mm256_cvtepi32_pd(_mm_add_epi32(_mm_loadu_si128((const __m128i *)(sums + 4 * i)),
                                                         _mm_loadu_si128((const __m128i *)(step->first + c + 4 * i))));
        __m256d negative = _mm256_cmp_pd(value, _mm256_setzero_pd(), _CMP_LT_OQ);
        value = _mm256_fmadd_pd(value, _mm256_loadu_pd(step->multiplier + c + 4 * i),
                                _mm256_loadu_pd(step->added + c + 4 * i));
        value = _mm256_add_pd(value, _mm256_and_pd(negative, _mm256_loadu_pd(step->nudged + c + 4 * i)));
        parts[i] = _mm256_cvttpd_epi32(_mm256_floor_pd(value));
    }
    __m128i low = _mm_set1_epi16((short)(stage->low - stage->zero_point));
    __m128i high = _mm_set1_epi16((short)(stage->high - stage->zero_point));
    __m128i zero_point = _mm_set1_epi16((short)stage->zero_point);
    __m128i first = _mm_packs_epi32(parts[0], parts[1]), second = _mm_packs_epi32(parts[2], parts[3]);
    first = _mm_add_epi16(_mm_min_epi16(_mm_max_epi16(first, low), high), zero_point);
    second = _mm_add_epi16(_mm_min_epi16(_mm_max_epi16(second, low), high), zero_point);
    _mm_storeu_si128((__m128i *)values,
                     step->ofm.is_signed ? _mm_packs_epi16(first, second) : _mm_packus_epi16(first, second));
#else
    for (int i = 0; i < BRICK; i++) {
        int32_t sum = sums[i] + step->first[c + i];
        double value = sum * step->multiplier[c + i];
        value += step->added[c + i] + (sum < 0 ? step->nudged[c + i] : 0);
        int32_t whole = (int32_t)value;
        whole -= (double)whole > value;
        values[i] = (uint8_t)least(most(whole + stage->zero_point, stage->low), stage->high);
    }
#endif
    if (step->table)
        for (int i = 0; i < BRICK; i++)
            values[i] = step->table[values[i]];
    out += c / BRICK * step->ofm.step_c;
    if (step->ofm.depth - c >= BRICK)
        memcpy(out, values, BRICK);
    else
        memcpy(out, values, step->ofm.depth - c);
}

/* Multiplies `PAIR_ROWS` windows by sixteen channels. */
TARGET static inline void NAME(product)(const Convolution *step, const int16_t *const *rows, const int16_t *weights,
                                        int32_t (*sums)[BRICK]) {
#ifdef WITH_AVX2
    __m256i totals[PAIR_ROWS][2];
#pragma GCC unroll 4
    for (int row = 0; row < PAIR_ROWS; row++)
        totals[row][0] = totals[row][1] = _mm256_setzero_si256();
#else
    memset(sums, 0, PAIR_ROWS * sizeof *sums);
#endif
    for (int64_t run = 0; run < step->runs; run++) {
        const int16_t *a[PAIR_ROWS];
#pragma GCC unroll 4
        for (int row = 0; row < PAIR_ROWS; row++)
            a[row] = rows[row] + step->offsets[run];
        for (int64_t pair = 0; pair < step->groups; pair++, weights += 2 * BRICK) {
#ifdef WITH_AVX2
            __m256i low = _mm256_loadu_si256((const __m256i *)weights);
            __m256i high = _mm256_loadu_si256((const __m256i *)(weights + BRICK));
#pragma GCC unroll 4
            for (int row = 0; row < PAIR_ROWS; row++) {
                int32_t two;
                memcpy(&two, a[row] + 2 * pair, 4);
                __m256i inputs = _mm256_set1_epi32(two);
                totals[row][0] = _mm256_add_epi32(totals[row][0], _mm256_madd_epi16(inputs, low));
                totals[row][1] = _mm256_add_epi32(totals[row][1], _mm256_madd_epi16(inputs, high));
            }
#else
            for (int row = 0; row < PAIR_ROWS; row++) {
                int32_t first = a[row][2 * pair], second = a[row][2 * pair + 1];
                for (int c = 0; c < BRICK; c++)
                    sums[row][c] += first * weights[2 * c] + second * weights[2 * c + 1];
            }
#endif
        }
    }
#ifdef WITH_AVX2
#pragma GCC unroll 4
    for (int row = 0; row < PAIR_ROWS; row++) {
        _mm256_storeu_si256((__m256i *)sums[row], totals[row][0]);
        _mm256_storeu_si256((__m256i *)(sums[row] + 8), totals[row][1]);
    }
#endif
}

/* Sums of one window by sixteen channels; a pair is two elements of the kernel. */
TARGET static inline void NAME(taps)(const Convolution *step, const int16_t *row, const int16_t *weights,
                                     int32_t *sums) {
#ifdef WITH_AVX2
    __m256i low = _mm256_setzero_si256(), high = low;
#else
    memset(sums, 0, BRICK * sizeof *sums);
#endif
    for (int64_t pair = 0; pair < step->groups; pair++, weights += 2 * BRICK) {
        const int16_t *a = row + step->offsets[2 * pair], *b = row + step->offsets[2 * pair + 1];
#ifdef WITH_AVX2
        __m256i first = _mm256_loadu_si256((const __m256i *)a), second = _mm256_loadu_si256((const __m256i *)b);
        __m256i by_low = _mm256_loadu_si256((const __m256i *)weights);
        __m256i by_high = _mm256_loadu_si256((const __m256i *)(weights + BRICK));
        /* Channels 0-3 and 8-11, 4-7 and 12-15, as `native_packing.byte_pairs` orders the weights. */
        low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(first, second), by_low));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(first, second), by_high));
#else
        for (int part = 0; part < 4; part++) {
            const int16_t *by = weights + BRICK * (part % 2) + 8 * (part / 2);
            for (int c = 0; c < 4; c++)
                sums[4 * part + c] += a[4 * part + c] * by[2 * c] + b[4 * part + c] * by[2 * c + 1];
        }
#endif
    }
#ifdef WITH_AVX2
    _mm256_storeu_si256((__m256i *)sums, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256((__m256i *)(sums + 8), _mm256_permute2x128_si256(low, high, 0x31));
#endif
}

TARGET static void NAME(windows)(const Convolution *step, const int16_t *const *rows, int64_t count,
                                 uint8_t *const *outs) {
    for (int64_t c = 0; c < step->ofm.depth; c += BRICK) {
        int32_t sums[PAIR_ROWS][BRICK];
        if (step->whole) {
            const int16_t *weights = (const int16_t *)step->weights + c * step->runs * step->groups * 2;
            for (int64_t at = 0; at < count; at += PAIR_ROWS) {
                NAME(product)(step, rows + at, weights, sums);
                for (int row = 0; row < PAIR_ROWS; row++)
                    NAME(store)(step, sums[row], c, outs[at + row]);
            }
        } else {
            const int16_t *weights = (const int16_t *)step->weights + c * step->groups * 2;
            for (int64_t at = 0; at < count; at++) {
                NAME(taps)(step, rows[at] + c, weights, sums[0]);
                NAME(store)(step, sums[0], c, outs[at]);
            }
        }
    }
}

TARGET static void NAME(convolve_pairs)(const Convolution *step, const Batch *batch) {
    const Window *window = &step->window;
    const Map *ifm = &step->ifm, *ofm = &step->ofm;
    int64_t reach = (window->height - 1) * window->dilation_y + 1, row_size = window->padded_width * ifm->depth;
    int64_t size = ((step->tile_rows - 1) * window->stride_y + reach) * row_size;
    int64_t most_rows = step->tile_samples * step->tile_rows * ofm->width + PAIR_ROWS;
    const int16_t **rows = (const int16_t **)batch->scratch;
    uint8_t **outs = (uint8_t **)(rows + most_rows);
    int16_t *buffer = (int16_t *)(outs + most_rows);
    for (int64_t begin = 0; begin < batch->count; begin += step->tile_samples) {
        int64_t samples = least(step->tile_samples, batch->count - begin);
        for (int64_t top = 0; top < ofm->height; top += step->tile_rows) {
            int64_t height = least(step->tile_rows, ofm->height - top), count = 0;
            for (int64_t sample = 0; sample < samples; sample++) {
                int16_t *to = buffer + sample * size;
                uint8_t *out = sample_of(batch, ofm->region, begin + sample);
                NAME(load_rows)(step, sample_of(batch, ifm->region, begin + sample), top * window->stride_y,
                                (height - 1) * window->stride_y + reach, to);
                for (int64_t y = 0; y < height; y++)
                    for (int64_t x = 0; x < ofm->width; x++, count++) {
                        rows[count] = to + y * window->stride_y * row_size + x * window->stride_x * ifm->depth;
                        outs[count] = out + pixel_of(ofm, top + y, x);
                    }
            }
            for (; count % PAIR_ROWS; count++) /* The last window again. */
                rows[count] = rows[count - 1], outs[count] = outs[count - 1];
            NAME(windows)(step, rows, count, outs);
        }
    }
}
