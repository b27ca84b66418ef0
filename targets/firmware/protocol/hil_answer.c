#include <string.h>

#include "hil_request.h"

#if HIL_REPLY_BYTES + HIL_RESULT_BYTES + HIL_OVERFLOW_BYTES > HIL_KEPT_BYTES
#error "a result does not fit into a kept reply"
#endif

static void put_header(uint8_t *header, const hil_request *asked, uint8_t status) {
    header[HIL_REPLY_AT_COMMAND] = (uint8_t)(asked->command | HIL_REPLY_BIT);
    header[HIL_REPLY_AT_SEQUENCE] = asked->sequence;
    hil_put16(header + HIL_REPLY_AT_SESSION, asked->session);
    header[HIL_REPLY_AT_STATUS] = status;
}

static void send_frame(hil_link *link, const uint8_t *first, size_t first_size, const void *rest, size_t rest_size) {
    hil_encoder encoder;
    hil_encoder_start(&encoder, link->board->send, link->board->context);
    hil_encoder_put(&encoder, first, first_size);
    hil_encoder_put(&encoder, rest, rest_size);
    hil_encoder_end(&encoder);
}

void hil_answer(hil_link *link, const hil_request *asked, uint8_t status, const uint8_t *first, size_t first_size,
                   const void *rest, size_t rest_size) {
    uint8_t head[HIL_REPLY_BYTES + HIL_NUMBERS_BYTES];
    put_header(head, asked, status);
    if (first_size > 0) {
        memcpy(head + HIL_REPLY_BYTES, first, first_size);
    }
    send_frame(link, head, HIL_REPLY_BYTES + first_size, rest, rest_size);
}

void hil_answer_status(hil_link *link, const hil_request *asked, uint8_t status) {
    hil_answer(link, asked, status, NULL, 0, NULL, 0);
}

void hil_answer_kept(hil_link *link, const hil_request *asked, uint8_t status, const uint8_t *payload, size_t size) {
    hil_kept *kept = &link->kept[link->newest];
    put_header(kept->reply, asked, status);
    if (size > 0) {
        memcpy(kept->reply + HIL_REPLY_BYTES, payload, size);
    }
    kept->size = (uint8_t)(HIL_REPLY_BYTES + size);
    kept->request_crc = asked->crc;
    send_frame(link, kept->reply, kept->size, NULL, 0);
}

void hil_answer_newest(hil_link *link) {
    link->newest = (uint8_t)((link->newest + 1u) % HIL_WINDOW_MAX);
    link->kept[link->newest].size = 0;
}

bool hil_answer_again(hil_link *link, const hil_request *asked) {
    for (size_t i = 0; i < HIL_WINDOW_MAX; i++) {
        const hil_kept *kept = &link->kept[i];
        if (kept->size > 0 && kept->request_crc == asked->crc &&
            kept->reply[HIL_REPLY_AT_SEQUENCE] == asked->sequence) {
            send_frame(link, kept->reply, kept->size, NULL, 0);
            return true;
        }
    }
    return false;
}

void hil_put_fault(uint8_t *bytes, const hil_fault *fault) {
    hil_put32(bytes + HIL_FAULT_AT_ADDRESS, fault->address);
    hil_put32(bytes + HIL_FAULT_AT_STATUS, fault->status);
    hil_put32(bytes + HIL_FAULT_AT_PC, fault->pc);
}

void hil_answer_fault(hil_link *link, const hil_request *asked, const hil_fault *fault) {
    uint8_t payload[HIL_FAULT_BYTES];
    hil_put_fault(payload, fault);
    hil_answer(link, asked, HIL_STATUS_FAULT, payload, sizeof payload, NULL, 0);
}
