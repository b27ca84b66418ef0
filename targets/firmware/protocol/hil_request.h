/* Between the files of the library: a request, and the ways to answer it.  An application needs hil_link.h alone. */
#ifndef HIL_REQUEST_H
#define HIL_REQUEST_H

#include "hil_link.h"

/* A request: its header, its payload, and the CRC that ended its frame. */
typedef struct {
    uint8_t command;
    uint8_t sequence;
    uint16_t session;
    uint8_t *payload;
    uint32_t size;
    uint32_t crc;
} hil_request;

/* The answer to what may be executed twice: `first` (at most HIL_NUMBERS_BYTES) and then `rest` are its payload. */
void hil_answer(hil_link *link, const hil_request *asked, uint8_t status, const uint8_t *first, size_t first_size,
                const void *rest, size_t rest_size);
void hil_answer_status(hil_link *link, const hil_request *asked, uint8_t status);
void hil_answer_fault(hil_link *link, const hil_request *asked, const hil_fault *fault);

/* The answer to what must not be executed twice; its payload has HIL_RESULT_BYTES at most. */
void hil_answer_kept(hil_link *link, const hil_request *asked, uint8_t status, const uint8_t *payload, size_t size);
/* A request is executed now: makes a place for its answer, where the oldest one was. */
void hil_answer_newest(hil_link *link);
/* Whether `asked` was executed before: its answer has then gone out again. */
bool hil_answer_again(hil_link *link, const hil_request *asked);

void hil_put_fault(uint8_t *bytes, const hil_fault *fault);

/* Whether a range, not empty, lies within one region that has all `flags`; no sum in it can wrap. */
bool hil_is_free(const hil_link *link, uint32_t address, uint32_t size, uint8_t flags);

/* Goes on with a CRC-32 over memory, whatever its region; false for a bus fault. */
bool hil_memory_crc(hil_link *link, uint32_t address, uint32_t size, uint32_t *crc, hil_fault *fault);

/* The commands. */
void hil_write_memory(hil_link *link, const hil_request *asked);
void hil_read_memory(hil_link *link, const hil_request *asked);
void hil_check_memory(hil_link *link, const hil_request *asked);
void hil_run_job(hil_link *link, const hil_request *asked);
void hil_run_model(hil_link *link, const hil_request *asked);

#endif
