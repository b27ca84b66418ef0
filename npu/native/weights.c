/* Weight decoder, some twenty times as fast as `hil.npu.weights.codec`, which describes the format.
 *
 * It only detects malformed streams; `codec` then raises the error that names the cause. */
#include "native.h"

#define LONGEST (1 << 15)
#define LARGEST (1 << 25) /* of a quotient: beyond all symbols and streams, and shifted by 5 it fits 32 bits */
#define MALFORMED -1
#define TOO_SMALL -2

enum { ZDIV_PLAIN = 6, ZDIV_END = 7, WDIV_PLAIN = 7, AHEAD = 8 };

typedef struct {
    const uint8_t *data;
    int64_t position, limit; /* in bits; eight bytes follow */
} Bits;

typedef struct {
    int64_t length, width, unary, places, truncated, zero_limit, zero_width, zero_bits;
} Slice;

typedef struct {
    int32_t entries[32];
    int64_t size, bits, direct_offset, runs;
} Palette;

INLINE int64_t peek(const Bits *bits, int64_t position, int64_t count) {
    uint32_t word;
    memcpy(&word, bits->data + (position >> 3), 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word >> (position & 7) & ((1u << count) - 1);
}

INLINE int64_t take(Bits *bits, int64_t count) {
    int64_t value = peek(bits, bits->position, count);
    bits->position += count;
    return value;
}

/* Writes the quotients that end in a chunk to `out`, and gives their number; `carry` is the start of the next. */
INLINE int64_t quotients(int64_t codes, int64_t more, const Slice *slice, int64_t *carry, int32_t *out) {
    int64_t found = 0, sum = *carry;
    for (int64_t i = 0; i < slice->places; i++, codes >>= 1) { /* Without branches, which nothing could predict. */
        int64_t one = codes & 1, two = one & more, goes_on = two & !slice->truncated;
        more >>= one;
        sum = least(sum + one + two, LARGEST);
        out[found] = (int32_t)sum;
        found += !goes_on;
        sum &= -goes_on;
    }
    *carry = sum;
    return found;
}

INLINE int64_t zero_runs(int64_t codes, int64_t places, int64_t *carry, int32_t *out) {
    int64_t found = 0, sum = *carry;
    for (int64_t i = 0; i < places; i++, codes >>= 1) {
        int64_t goes_on = codes & 1;
        out[found] = (int32_t)sum;
        found += !goes_on;
        sum = least(sum + 1, LARGEST) & -goes_on;
    }
    *carry = sum;
    return found;
}

/* Reads the symbols of a slice and its zero runs; returns 0 if it ends early. */
static int read_slice(Bits *bits, const Slice *slice, int32_t *weights, int32_t *runs) {
    if (!slice->unary && !slice->zero_limit) { /* Nothing but remainders. */
        if (bits->position + slice->length * slice->width > bits->limit)
            return 0;
        for (int64_t i = 0; i < slice->length; i++)
            weights[i] = (int32_t)take(bits, slice->width);
        return 1;
    }
    int32_t parts[16] = {0}, zeros[16] = {0};
    int64_t left = slice->length, zeros_left = slice->zero_limit, lead = zeros_left - left;
    int64_t pending = 0, zeros_pending = 0, carry = 0, zero_carry = 0;
    for (;;) {
        int64_t ahead = zeros_left - left - lead;
        int take_weights = left > 0 && (slice->zero_limit == 0 || ahead < AHEAD);
        int take_zeros = zeros_left > 0 && ahead >= 0;
        int64_t codes = take_weights ? take(bits, slice->unary) : 0;
        int64_t zero_codes = take_zeros ? take(bits, slice->zero_bits) : 0;
        int64_t extra = __builtin_popcountll(codes), more = take(bits, extra);
        if (bits->position + pending * slice->width + zeros_pending * slice->zero_width > bits->limit)
            return 0;
        for (int64_t i = 0; i < pending; i++)
            *weights++ = (int32_t)((parts[i] << slice->width) + take(bits, slice->width));
        for (int64_t i = 0; i < zeros_pending; i++)
            *runs++ = (int32_t)((zeros[i] << slice->zero_width) + take(bits, slice->zero_width));
        if (!(take_weights || take_zeros))
            return 1;
        pending = zeros_pending = 0;
        if (take_weights) {
            pending = quotients(codes, more, slice, &carry, parts);
            left -= pending;
            pending += least(left, 0);
        }
        if (take_zeros) {
            zeros_pending = zero_runs(zero_codes, slice->zero_bits, &zero_carry, zeros);
            zeros_left -= zeros_pending;
            zeros_pending += least(zeros_left, 0);
        }
    }
}

static int read_palette(Bits *bits, Palette *palette, int64_t runs) {
    if (bits->position + 13 > bits->limit)
        return 0;
    palette->direct_offset = take(bits, 5);
    palette->size = take(bits, 5);
    palette->size += palette->size > 0;
    palette->bits = take(bits, 3) + 2;
    palette->runs = runs;
    if (bits->position + palette->size * palette->bits > bits->limit)
        return 0;
    for (int64_t i = 0; i < palette->size; i++)
        palette->entries[i] = (int32_t)take(bits, palette->bits);
    return 1;
}

/* Reads the header of a slice whose zero divisor is `zdiv`; returns 0 if it is malformed. */
static int read_header(Bits *bits, int64_t zdiv, Palette *palette, Slice *slice) {
    int64_t runs = zdiv != ZDIV_PLAIN;
    if ((zdiv > 3 && runs) || bits->position + 20 > bits->limit)
        return 0;
    slice->length = take(bits, 15) + 1;
    int64_t wdiv = take(bits, 3);
    slice->truncated = take(bits, 1);
    int64_t fresh = take(bits, 1);
    if (fresh && !read_palette(bits, palette, runs))
        return 0;
    if (palette->runs != runs || wdiv == 6)
        return 0;
    slice->width = wdiv, slice->unary = 12, slice->places = 12;
    if (wdiv == WDIV_PLAIN) {
        slice->width = palette->bits, slice->unary = 0;
        if (palette->size)
            for (slice->width = 0; (palette->size - 1) >> slice->width;)
                slice->width++;
        slice->places = slice->width > 5 ? 8 : 12;
    }
    slice->zero_limit = runs ? slice->length + fresh : 0;
    slice->zero_width = runs ? zdiv : 0;
    slice->zero_bits = runs ? (zdiv < 3 ? 12 : 8) : 0;
    return 1;
}

/* Appends the weights of a slice and the zeros of their runs; returns the new length, or why there is none. */
static int64_t spread(const Palette *palette, const Slice *slice, const int32_t *symbols, const int32_t *runs,
                      int16_t *out, int64_t at, int64_t most_weights, int64_t capacity) {
    int64_t total = slice->length, lead = slice->zero_limit ? slice->zero_limit - slice->length : 0;
    for (int64_t i = 0; i < slice->zero_limit; i++)
        total += runs[i];
    if (at + total > most_weights)
        return MALFORMED;
    if (at + total > capacity)
        return TOO_SMALL;
    if (lead)
        at += runs[0];
    for (int64_t i = 0; i < slice->length; i++) {
        int64_t symbol = symbols[i];
        if (symbol >= 512)
            return MALFORMED;
        int64_t value = symbol < palette->size ? palette->entries[symbol]
                                               : symbol - palette->size + palette->direct_offset;
        out[at++] = (int16_t)(value & 1 ? -(value >> 1) : value >> 1);
        if (slice->zero_limit)
            at += runs[i + lead];
    }
    return at;
}

/* Decodes a stream of `limit` bits, eight bytes after which can be read, to `out`, `capacity` zeros.
 *
 * Returns the number of weights, -1 for a malformed stream and for more than `most_weights`, -2 if `out` is too small.
 * `symbols` has room for 2^16 + 1 numbers. */
int64_t decode_weights(const uint8_t *data, int64_t limit, int64_t most_weights, int16_t *out, int64_t capacity,
                       int32_t *symbols) {
    Bits bits = {data, 0, limit};
    Palette palette = {.runs = -1};
    Slice slice;
    int32_t *runs = symbols + LONGEST;
    int64_t count = 0;
    while (bits.position + 3 <= limit) {
        int64_t zdiv = take(&bits, 3);
        if (zdiv == ZDIV_END) {
            bits.position = (bits.position + 7) / 8 * 8;
            palette.runs = -1;
            if (bits.position >= limit)
                return count;
            continue;
        }
        if (!read_header(&bits, zdiv, &palette, &slice) || !read_slice(&bits, &slice, symbols, runs))
            return MALFORMED;
        count = spread(&palette, &slice, symbols, runs, out, count, most_weights, capacity);
        if (count < 0)
            return count;
    }
    return MALFORMED;
}
