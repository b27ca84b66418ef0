#include "hil_request.h"

#define PIECE_BYTES 64u

bool hil_is_free(const hil_link *link, uint32_t address, uint32_t size, uint8_t flags) {
    for (size_t i = 0; i < link->board->region_count; i++) {
        const hil_region *region = &link->board->regions[i];
        if ((region->flags & flags) == flags && address >= region->address && size <= region->size &&
            address - region->address <= region->size - size) {
            return size > 0;
        }
    }
    return false;
}

void hil_write_memory(hil_link *link, const hil_request *asked) {
    if (asked->size <= 4) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_LENGTH, NULL, 0);
        return;
    }
    uint32_t address = hil_get32(asked->payload);
    uint32_t size = asked->size - 4;
    hil_fault fault = {0, 0, 0};
    if (!hil_is_free(link, address, size, HIL_REGION_FLAG_WRITABLE)) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_ADDRESS, NULL, 0);
    } else if (!link->board->write(link->board->context, address, asked->payload + 4, size, &fault)) {
        uint8_t payload[HIL_FAULT_BYTES];
        hil_put_fault(payload, &fault);
        hil_answer_kept(link, asked, HIL_STATUS_FAULT, payload, sizeof payload);
    } else {
        hil_answer_kept(link, asked, HIL_STATUS_OK, NULL, 0);
    }
}

/* The data take the place of the request, which is not needed any more. */
void hil_read_memory(hil_link *link, const hil_request *asked) {
    if (asked->size != HIL_RANGE_BYTES) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_LENGTH);
        return;
    }
    uint32_t address = hil_get32(asked->payload + HIL_RANGE_AT_ADDRESS);
    uint32_t size = hil_get32(asked->payload + HIL_RANGE_AT_SIZE);
    uint8_t *data = link->decoder.body;
    hil_fault fault = {0, 0, 0};
    if (size > link->decoder.room) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_VALUE);
    } else if (!hil_is_free(link, address, size, 0)) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_ADDRESS);
    } else if (!link->board->read(link->board->context, address, data, size, &fault)) {
        hil_answer_fault(link, asked, &fault);
    } else {
        hil_answer(link, asked, HIL_STATUS_OK, NULL, 0, data, size);
    }
}

bool hil_memory_crc(hil_link *link, uint32_t address, uint32_t size, uint32_t *crc, hil_fault *fault) {
    uint8_t piece[PIECE_BYTES];
    while (size > 0) {
        uint32_t count = size < PIECE_BYTES ? size : PIECE_BYTES;
        if (!link->board->read(link->board->context, address, piece, count, fault)) {
            return false;
        }
        *crc = hil_crc32(*crc, piece, count);
        address += count;
        size -= count;
    }
    return true;
}

/* The CRCs take the place of the request too. */
void hil_check_memory(hil_link *link, const hil_request *asked) {
    if (asked->size != HIL_CHECK_BYTES) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_LENGTH);
        return;
    }
    uint32_t address = hil_get32(asked->payload + HIL_CHECK_AT_ADDRESS);
    uint32_t size = hil_get32(asked->payload + HIL_CHECK_AT_SIZE);
    uint32_t block = hil_get32(asked->payload + HIL_CHECK_AT_BLOCK);
    uint32_t start = hil_get32(asked->payload + HIL_CHECK_AT_START);
    uint32_t most = link->decoder.room / 4u < HIL_BLOCKS_MAX ? link->decoder.room / 4u : HIL_BLOCKS_MAX;
    uint8_t *crcs = link->decoder.body;
    uint32_t count = 0;
    if (block == 0 || size > HIL_CRC_RANGE_MAX || size / block + (size % block != 0) > most) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_VALUE);
        return;
    }
    if (!hil_is_free(link, address, size, 0)) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_ADDRESS);
        return;
    }
    while (size > 0) {
        hil_fault fault = {0, 0, 0};
        uint32_t here = size < block ? size : block;
        uint32_t crc = start;
        if (!hil_memory_crc(link, address, here, &crc, &fault)) {
            hil_answer_fault(link, asked, &fault);
            return;
        }
        hil_put32(crcs + 4u * count++, crc);
        address += here;
        size -= here;
    }
    hil_answer(link, asked, HIL_STATUS_OK, NULL, 0, crcs, 4u * count);
}
