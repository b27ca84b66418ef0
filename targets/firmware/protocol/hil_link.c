#include "hil_link.h"

#include <string.h>

#include "hil_request.h"

#define PIECE_BYTES 64u
#define PIECES_A_POLL 8

static void forget(hil_link *link, uint16_t session) {
    link->session = session;
    link->newest = 0;
    memset(link->kept, 0, sizeof link->kept);
}

static bool has_serial(const hil_board *board) {
    return board->serial && board->serial[0] != 0;
}

static void answer_numbers(hil_link *link, const hil_request *asked) {
    const hil_board *board = link->board;
    uint8_t numbers[HIL_NUMBERS_BYTES];
    numbers[HIL_NUMBERS_AT_PROTOCOL] = HIL_PROTOCOL;
    numbers[HIL_NUMBERS_AT_WINDOW] = board->window;
    numbers[HIL_NUMBERS_AT_REGIONS] = board->region_count;
    numbers[HIL_NUMBERS_AT_FEATURES] =
        (uint8_t)((board->run ? HIL_FEATURE_RUN : 0u) | (board->reset ? HIL_FEATURE_RESET : 0u) |
                  (board->model ? HIL_FEATURE_MODEL : 0u) | (has_serial(board) ? HIL_FEATURE_SERIAL : 0u) |
                  (board->image_size ? HIL_FEATURE_IMAGE : 0u) |
                  (board->reports_overflow ? HIL_FEATURE_OVERFLOW : 0u));
    numbers[HIL_NUMBERS_AT_BUFFERS] = board->buffer_count;
    hil_put32(numbers + HIL_NUMBERS_AT_LARGEST_FRAME, link->decoder.room);
    hil_put32(numbers + HIL_NUMBERS_AT_LARGEST_READ, link->decoder.room);
    hil_put32(numbers + HIL_NUMBERS_AT_CPU_HZ, board->cpu_hz);
    hil_put32(numbers + HIL_NUMBERS_AT_NPU_HZ, board->npu_hz);
    hil_put32(numbers + HIL_NUMBERS_AT_TIMER_HZ, board->timer_hz);
    hil_put32(numbers + HIL_NUMBERS_AT_NPU_ID, board->npu_id);
    hil_put32(numbers + HIL_NUMBERS_AT_NPU_CONFIG, board->npu_config);
    hil_answer(link, asked, HIL_STATUS_OK, numbers, sizeof numbers, NULL, 0);
}

static size_t text_size(const char *text) {
    size_t size = 0;
    while (size < HIL_TEXT_BYTES && text[size] != 0) {
        size++;
    }
    return size;
}

static void answer_text(hil_link *link, const hil_request *asked, const uint8_t *first, size_t first_size,
                        const char *text) {
    hil_answer(link, asked, HIL_STATUS_OK, first, first_size, text, text_size(text));
}

static void answer_image(hil_link *link, const hil_request *asked) {
    const hil_board *board = link->board;
    uint8_t fields[HIL_IMAGE_BYTES];
    hil_fault fault = {0, 0, 0};
    uint32_t crc = 0;
    if (!hil_memory_crc(link, board->image_address, board->image_size, &crc, &fault)) {
        hil_answer_fault(link, asked, &fault);
        return;
    }
    hil_put32(fields + HIL_IMAGE_AT_ADDRESS, board->image_address);
    hil_put32(fields + HIL_IMAGE_AT_SIZE, board->image_size);
    hil_put32(fields + HIL_IMAGE_AT_CRC, crc);
    hil_answer(link, asked, HIL_STATUS_OK, fields, sizeof fields, NULL, 0);
}

static void identify(hil_link *link, const hil_request *asked) {
    const hil_board *board = link->board;
    if (asked->size != 1) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_LENGTH);
    } else if (asked->payload[0] == HIL_PART_NUMBERS) {
        answer_numbers(link, asked);
    } else if (asked->payload[0] == HIL_PART_FIRMWARE) {
        answer_text(link, asked, NULL, 0, board->firmware);
    } else if (asked->payload[0] == HIL_PART_BOARD) {
        answer_text(link, asked, NULL, 0, board->board);
    } else if (asked->payload[0] == HIL_PART_SERIAL && has_serial(board)) {
        answer_text(link, asked, NULL, 0, board->serial);
    } else if (asked->payload[0] == HIL_PART_IMAGE && board->image_size > 0) {
        answer_image(link, asked);
    } else if (asked->payload[0] - HIL_PART_REGION < board->region_count) {
        const hil_region *region = &board->regions[asked->payload[0] - HIL_PART_REGION];
        uint8_t fields[HIL_REGION_BYTES];
        fields[HIL_REGION_AT_KIND] = region->kind;
        fields[HIL_REGION_AT_FLAGS] = region->flags;
        hil_put32(fields + HIL_REGION_AT_ADDRESS, region->address);
        hil_put32(fields + HIL_REGION_AT_SIZE, region->size);
        answer_text(link, asked, fields, sizeof fields, region->name);
    } else {
        hil_answer_status(link, asked, HIL_STATUS_BAD_VALUE);
    }
}

static void describe(hil_link *link, const hil_request *asked) {
    if (asked->size != 1) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_LENGTH);
    } else if (asked->payload[0] >= link->board->buffer_count) {
        hil_answer_status(link, asked, HIL_STATUS_BAD_VALUE);
    } else {
        const hil_buffer *buffer = &link->board->buffers[asked->payload[0]];
        uint8_t fields[HIL_BUFFER_BYTES];
        fields[HIL_BUFFER_AT_DIRECTION] = buffer->direction;
        fields[HIL_BUFFER_AT_ELEMENT] = buffer->element;
        hil_put32(fields + HIL_BUFFER_AT_ADDRESS, buffer->address);
        hil_put32(fields + HIL_BUFFER_AT_SIZE, buffer->size);
        answer_text(link, asked, fields, sizeof fields, buffer->name);
    }
}

static void say_hello(hil_link *link) {
    static const hil_request hello = {HIL_COMMAND_HELLO, 0, 0, NULL, 0, 0};
    hil_answer_status(link, &hello, HIL_STATUS_OK);
}

static void reset_board(hil_link *link, const hil_request *asked) {
    if (!link->board->reset) {
        hil_answer_kept(link, asked, HIL_STATUS_UNSUPPORTED, NULL, 0);
        return;
    }
    hil_answer_kept(link, asked, HIL_STATUS_OK, NULL, 0);
    link->board->reset(link->board->context);
    forget(link, 0);
    say_hello(link);
}

static void execute(hil_link *link, const hil_request *asked) {
    switch (asked->command) {
    case HIL_COMMAND_IDENTIFY: identify(link, asked); break;
    case HIL_COMMAND_WRITE: hil_write_memory(link, asked); break;
    case HIL_COMMAND_READ: hil_read_memory(link, asked); break;
    case HIL_COMMAND_CRC: hil_check_memory(link, asked); break;
    case HIL_COMMAND_RUN: hil_run_job(link, asked); break;
    case HIL_COMMAND_RESET: reset_board(link, asked); break;
    case HIL_COMMAND_DESCRIBE: describe(link, asked); break;
    case HIL_COMMAND_MODEL: hil_run_model(link, asked); break;
    default: hil_answer_status(link, asked, HIL_STATUS_UNSUPPORTED); break;
    }
}

static void take_request(hil_link *link) {
    uint8_t *body = link->decoder.body;
    uint32_t size = link->decoder.frame_size - HIL_CRC_BYTES;
    hil_request asked = {body[HIL_REQUEST_AT_COMMAND],
                     body[HIL_REQUEST_AT_SEQUENCE],
                     hil_get16(body + HIL_REQUEST_AT_SESSION),
                     body + HIL_REQUEST_BYTES,
                     size - HIL_REQUEST_BYTES,
                     hil_get32(body + size)};
    if (asked.sequence == 0 || asked.session == 0 || asked.command >= HIL_REPLY_BIT) {
        return; /* no request: perhaps an echo of a reply */
    }
    if (asked.command == HIL_COMMAND_IDENTIFY && asked.session != link->session) {
        forget(link, asked.session);
    }
    if (asked.session != link->session) {
        hil_answer_status(link, &asked, HIL_STATUS_NO_SESSION);
    } else if (!hil_answer_again(link, &asked)) {
        hil_answer_newest(link);
        execute(link, &asked);
    }
}

bool hil_link_start(hil_link *link, const hil_board *board, uint8_t *memory, size_t size) {
    bool complete = board->receive && board->send && board->read && board->write && board->firmware && board->board &&
                    (board->regions || board->region_count == 0) && (board->buffers || board->buffer_count == 0);
    if (!complete || size < HIL_SMALLEST_FRAME || size > UINT32_MAX || board->window == 0 ||
        board->window > HIL_WINDOW_MAX || board->region_count > HIL_REGIONS_MAX) {
        return false;
    }
    link->board = board;
    hil_decoder_start(&link->decoder, memory, (uint32_t)size);
    forget(link, 0);
    say_hello(link);
    return true;
}

bool hil_link_poll(hil_link *link) {
    bool any = false;
    for (int i = 0; i < PIECES_A_POLL; i++) {
        uint8_t bytes[PIECE_BYTES];
        size_t count = link->board->receive(link->board->context, bytes, sizeof bytes);
        if (count == 0) {
            break;
        }
        any = true;
        for (size_t k = 0; k < count && k < sizeof bytes; k++) {
            if (hil_decoder_take(&link->decoder, bytes[k])) {
                take_request(link);
            }
        }
    }
    return any;
}
