/* Runs the steps of a program on a batch. */
#include "native.h"

#include <stdlib.h>

static void copy(const Copy *step, const Batch *batch) {
    for (int64_t sample = 0; sample < batch->count; sample++)
        for (int64_t piece = 0; piece < step->pieces; piece++)
            memmove(sample_of(batch, step->destination, sample) + step->to[piece],
                    sample_of(batch, step->source, sample) + step->from[piece], step->length);
}

/* The best instructions that this CPU has: 2 AVX-512 VNNI, 1 AVX2, 0 those of the compiler's target. */
int64_t best_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

static void run_step(const Step *step, const Batch *batch) {
    const Convolution *convolution = step->data;
    switch (step->kind) {
    case COPY:
        copy(step->data, batch);
        break;
    case CONVOLUTION:
        if (convolution->operands == DOTS_OF_BYTES)
            convolve_bytes(convolution, batch);
        else
            (convolution->operands == PAIRS_OF_BYTES ? convolve_pairs : convolve)(convolution, batch);
        break;
    case POOL:
        pool(step->data, batch);
        break;
    case ELEMENTWISE:
        elementwise(step->data, batch);
        break;
    }
}

/* Runs `count` stretches of steps, one behind the other, on the samples from `begin` to `end`. */
static void run_piece(const Step *steps, const Stretch *stretches, int64_t count, const int64_t *bases,
                      const int64_t *strides, int64_t begin, int64_t end, Batch *batch) {
    for (const Stretch *stretch = stretches; stretch < stretches + count; steps += stretch++->count)
        for (int64_t at = begin; at < end; at += stretch->group) {
            batch->count = least(stretch->group, end - at);
            for (int64_t region = 0; region < MAX_REGIONS; region++) {
                batch->stride[region] = strides[region];
                batch->base[region] = (uint8_t *)(intptr_t)bases[region] + at * strides[region];
            }
            for (int64_t i = 0; i < stretch->count; i++)
                run_step(steps + i, batch);
        }
}

/* Runs one after the other of the `pieces` of a batch that no other thread has taken; `taken` counts them.  Returns 0,
 * or 1 if there is no memory for the scratch. */
int64_t run_steps(const Step *steps, const Stretch *stretches, int64_t count, const int64_t *bases,
                  const int64_t *strides, int64_t samples, int64_t pieces, int64_t *taken, int64_t level) {
    int64_t scratch = 0, all = 0, piece;
    for (int64_t i = 0; i < count; i++)
        all += stretches[i].count;
    for (int64_t i = 0; i < all; i++)
        scratch = most(scratch, steps[i].scratch);
    uint8_t *memory = malloc(scratch + SLACK + 64);
    if (!memory)
        return 1;
    Batch batch = {.level = level};
    batch.scratch = memory + (64 - (uintptr_t)memory % 64);
    while ((piece = __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED)) < pieces)
        run_piece(steps, stretches, count, bases, strides, samples * piece / pieces, samples * (piece + 1) / pieces,
                  &batch);
    free(memory);
    return 0;
}

/* What `library.source_version` computes, from the files that were compiled. */
const int64_t source_version = SOURCE_VERSION;
