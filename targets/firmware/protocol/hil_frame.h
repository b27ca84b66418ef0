/* Frames: 0x00 COBS(body and its CRC-32) 0x00.  The library's own; an application needs hil_link.h alone. */
#ifndef HIL_FRAME_H
#define HIL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint16_t hil_get16(const uint8_t *bytes);
uint32_t hil_get32(const uint8_t *bytes);
uint64_t hil_get64(const uint8_t *bytes);
void hil_put16(uint8_t *bytes, uint16_t value);
void hil_put32(uint8_t *bytes, uint32_t value);
void hil_put64(uint8_t *bytes, uint64_t value);

/* CRC-32 as in zlib: start with 0, go on with what the last call gave. */
uint32_t hil_crc32(uint32_t start, const uint8_t *bytes, size_t count);

/* Puts frames together, byte by byte. */
typedef struct {
    uint8_t *body;
    uint32_t room;
    uint32_t size;
    uint32_t frame_size; /* of the last whole frame, CRC included */
    uint8_t left;      /* data bytes until the next code byte */
    bool zero_follows; /* a zero stands before the next code byte */
    bool spoilt;       /* too long, or no COBS: ignored up to the next delimiter */
} hil_decoder;

void hil_decoder_start(hil_decoder *decoder, uint8_t *body, uint32_t room);

/* Takes a byte; true when it ends a frame whose CRC is right: `body` then holds `frame_size` bytes, until the next byte
   is taken. */
bool hil_decoder_take(hil_decoder *decoder, uint8_t byte);

typedef bool (*hil_send)(void *context, const uint8_t *bytes, size_t count);

/* Sends a frame piece by piece; what follows after `send` failed is left out. */
typedef struct {
    hil_send send;
    void *context;
    uint32_t crc;
    bool lost;
    uint16_t size;
    uint16_t code_at; /* of the group that is not ended yet */
    uint8_t groups[512];
} hil_encoder;

void hil_encoder_start(hil_encoder *encoder, hil_send send, void *context);
void hil_encoder_put(hil_encoder *encoder, const uint8_t *bytes, size_t count);
void hil_encoder_end(hil_encoder *encoder);

#endif
