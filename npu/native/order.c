/* Weight order, equal to `hil.npu.weights.order.order`, which describes it. */
#include "native.h"

typedef struct {
    int64_t output_depth, height, width, input_depth, block_depth, ofm_ublock, ifm_ublock, depthwise, part_first,
        input_block, rounding, step_y, step_x;
} Layout;

/* Weights of one kernel element by the channels of two micro-blocks; returns what follows in the stream, or null if
 * weights outside the kernel are not 0. */
static const int16_t *micro_blocks(const Layout *layout, const int16_t *stream, int64_t c_out, int64_t c_in, int64_t y,
                                   int64_t x, int inside, int16_t *out) {
    int64_t run = layout->depthwise ? 1 : layout->ifm_ublock, valid = least(run, layout->input_depth - c_in);
    for (int64_t lane = 0; lane < layout->ofm_ublock; lane++, c_out++, stream += run) {
        int64_t taken = inside && c_out < layout->output_depth && valid > 0 ? valid : 0;
        if (taken)
            memcpy(out + ((c_out * layout->height + y) * layout->width + x) * layout->input_depth + c_in, stream,
                   2 * taken);
        for (int64_t i = taken; i < run; i++)
            if (stream[i])
                return 0;
    }
    return stream;
}

static const int16_t *sub_kernel(const Layout *layout, const int16_t *stream, int64_t first_out, int64_t first_in,
                                 int64_t top, int64_t left, int16_t *out) {
    int64_t height = least(layout->height - top, layout->step_y), width = least(layout->width - left, layout->step_x);
    int64_t elements = (height * width + layout->rounding - 1) / layout->rounding * layout->rounding;
    int64_t outputs = least(layout->block_depth, layout->output_depth - first_out), inputs = 1;
    if (!layout->depthwise)
        inputs = layout->part_first ? least(layout->input_block, layout->input_depth - first_in) : layout->input_block;
    int64_t outer = layout->part_first ? inputs : 1, inner = layout->part_first ? 1 : inputs;
    for (int64_t a = 0; a < outer; a += layout->ifm_ublock)
        for (int64_t o = 0; o < outputs; o += layout->ofm_ublock)
            for (int64_t e = 0; e < elements; e++)
                for (int64_t i = 0; i < inner; i += layout->ifm_ublock) {
                    int64_t y = e / width, x = e % width;
                    stream = micro_blocks(layout, stream, first_out + o, first_in + a + i, top + y, left + x,
                                          y < height, out);
                    if (!stream)
                        return 0;
                }
    return stream;
}

/* Rearranges a stream of weights, which is as long as its layout, into `out`, zeros by output channel, kernel element
 * and input channel; returns 0 if weights outside the kernel are not 0. */
int64_t order_weights(const Layout *layout, const int16_t *stream, int16_t *out) {
    for (int64_t o = 0; o < layout->output_depth; o += layout->block_depth)
        for (int64_t i = 0; i < layout->input_depth; i += layout->input_block)
            for (int64_t top = 0; top < layout->height; top += layout->step_y)
                for (int64_t left = 0; left < layout->width; left += layout->step_x) {
                    stream = sub_kernel(layout, stream, o, i, top, left, out);
                    if (!stream)
                        return 0;
                }
    return 1;
}
