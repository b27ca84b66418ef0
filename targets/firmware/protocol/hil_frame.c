#include "hil_frame.h"

#include "hil_wire.h"

#define GROUP_BYTES 255u /* a code byte and 254 of data */

uint16_t hil_get16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

uint32_t hil_get32(const uint8_t *bytes) {
    return hil_get16(bytes) | ((uint32_t)hil_get16(bytes + 2) << 16);
}

uint64_t hil_get64(const uint8_t *bytes) {
    return hil_get32(bytes) | ((uint64_t)hil_get32(bytes + 4) << 32);
}

void hil_put16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

void hil_put32(uint8_t *bytes, uint32_t value) {
    hil_put16(bytes, (uint16_t)value);
    hil_put16(bytes + 2, (uint16_t)(value >> 16));
}

void hil_put64(uint8_t *bytes, uint64_t value) {
    hil_put32(bytes, (uint32_t)value);
    hil_put32(bytes + 4, (uint32_t)(value >> 32));
}

uint32_t hil_crc32(uint32_t start, const uint8_t *bytes, size_t count) {
    /* Four bits at a time: the table of eight would take a kilobyte. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = ~start;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static void begin_frame(hil_decoder *decoder) {
    decoder->size = 0;
    decoder->left = 0;
    decoder->zero_follows = false;
    decoder->spoilt = false;
}

void hil_decoder_start(hil_decoder *decoder, uint8_t *body, uint32_t room) {
    decoder->body = body;
    decoder->room = room;
    decoder->frame_size = 0;
    begin_frame(decoder);
}

static void store(hil_decoder *decoder, uint8_t byte) {
    if (decoder->size == decoder->room) {
        decoder->spoilt = true;
    } else {
        decoder->body[decoder->size++] = byte;
    }
}

static bool is_whole(const hil_decoder *decoder) {
    if (decoder->spoilt || decoder->left != 0 || decoder->size < HIL_REQUEST_BYTES + HIL_CRC_BYTES) {
        return false;
    }
    uint32_t checked = decoder->size - HIL_CRC_BYTES;
    return hil_crc32(0, decoder->body, checked) == hil_get32(decoder->body + checked);
}

bool hil_decoder_take(hil_decoder *decoder, uint8_t byte) {
    if (byte == HIL_DELIMITER) {
        bool whole = is_whole(decoder);
        decoder->frame_size = whole ? decoder->size : 0;
        begin_frame(decoder);
        return whole;
    }
    if (decoder->spoilt) {
        return false;
    }
    if (decoder->left > 0) {
        decoder->left--;
        store(decoder, byte);
        return false;
    }
    if (decoder->zero_follows) {
        store(decoder, 0);
    }
    decoder->left = (uint8_t)(byte - 1u);
    decoder->zero_follows = byte != 0xFFu;
    return false;
}

static void flush(hil_encoder *encoder) {
    if (!encoder->lost) {
        encoder->lost = !encoder->send(encoder->context, encoder->groups, encoder->size);
    }
    encoder->size = 0;
}

static void begin_group(hil_encoder *encoder) {
    if (encoder->size + GROUP_BYTES > sizeof encoder->groups) {
        flush(encoder);
    }
    encoder->code_at = encoder->size++;
}

static void end_group(hil_encoder *encoder) {
    encoder->groups[encoder->code_at] = (uint8_t)(encoder->size - encoder->code_at);
}

static void put_byte(hil_encoder *encoder, uint8_t byte) {
    if (byte != 0) {
        encoder->groups[encoder->size++] = byte;
    }
    if (byte == 0 || encoder->size == encoder->code_at + GROUP_BYTES) {
        end_group(encoder);
        begin_group(encoder);
    }
}

void hil_encoder_start(hil_encoder *encoder, hil_send send, void *context) {
    encoder->send = send;
    encoder->context = context;
    encoder->crc = 0;
    encoder->lost = false;
    encoder->groups[0] = HIL_DELIMITER;
    encoder->size = 1;
    begin_group(encoder);
}

void hil_encoder_put(hil_encoder *encoder, const uint8_t *bytes, size_t count) {
    encoder->crc = hil_crc32(encoder->crc, bytes, count);
    for (size_t i = 0; i < count; i++) {
        put_byte(encoder, bytes[i]);
    }
}

void hil_encoder_end(hil_encoder *encoder) {
    uint8_t crc[HIL_CRC_BYTES];
    hil_put32(crc, encoder->crc);
    for (size_t i = 0; i < sizeof crc; i++) {
        put_byte(encoder, crc[i]);
    }
    end_group(encoder);
    encoder->groups[encoder->size++] = HIL_DELIMITER; /* a group that is begun has room for a byte */
    flush(encoder);
}
