/* The board's side of the link: frames in, your functions called, frames out.
 *
 *     static uint8_t memory[4096];                  // largest frame, and largest READ
 *     static hil_link link;
 *
 *     hil_link_start(&link, &board, memory, sizeof memory);     // says HELLO
 *     for (;;) hil_link_poll(&link);
 *
 * Plain C99: no heap, no recursion, only string.h.  It waits for nothing: what may wait are your functions, and each of
 * them must end by itself.  Every address is checked against `regions` before a function sees it.
 */
#ifndef HIL_LINK_H
#define HIL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hil_frame.h"
#include "hil_wire.h"

/* Memory that is free for the host; address + size is at most 2^32. */
typedef struct {
    const char *name; /* at most HIL_TEXT_BYTES */
    uint8_t kind;     /* HIL_REGION_SRAM ... */
    uint8_t flags;    /* HIL_REGION_FLAG_... */
    uint32_t address;
    uint32_t size;
} hil_region;

/* An input or output of a model that is linked in; must lie within a region, for the host to reach it. */
typedef struct {
    const char *name;
    uint8_t direction; /* HIL_DIRECTION_... */
    uint8_t element;   /* HIL_ELEMENT_... */
    uint32_t address;
    uint32_t size; /* bytes */
} hil_buffer;

/* A bus fault that was survived: Cortex-M's BFAR or MMFAR, CFSR, and the instruction's address; 0 where unknown. */
typedef struct {
    uint32_t address;
    uint32_t status;
    uint32_t pc;
} hil_fault;

typedef struct {
    uint32_t stream_address;
    uint32_t stream_bytes;
    uint64_t bases[HIL_BASES];
    uint32_t region_config;
    uint32_t qconfig;
    uint32_t axi_limits[HIL_AXI_LIMITS];
    uint16_t events[HIL_EVENTS];
    uint32_t limit_ms;
} hil_job;

/* Zeroed before `run` or `model` gets it. */
typedef struct {
    uint8_t outcome;     /* HIL_OUTCOME_... */
    uint32_t npu_status; /* the NPU's STATUS; with HIL_OUTCOME_MODEL_FAILED your own code */
    uint32_t qread;
    uint64_t cycles;
    uint32_t events[HIL_EVENTS];
    uint64_t ticks; /* of the timer, round the run */
    hil_fault fault;
    uint32_t overflow; /* PMOVSSET after the run: bits 0 to 3 of `events`, 31 of `cycles` */
} hil_result;

/* What the board is, and what it can do.  `context` is handed back to every function.  Must outlive the link. */
typedef struct {
    void *context;

    const char *firmware; /* name and version */
    const char *board;
    const char *serial;     /* number of this one board, such as its chip's unique ID; NULL or empty: none */
    uint32_t image_address; /* code and constants that run, in memory that `read` reads: their CRC-32 is reported */
    uint32_t image_size;    /* bytes; 0: not reported */
    uint32_t cpu_hz;
    uint32_t npu_hz; /* 0: no NPU */
    uint32_t timer_hz;
    uint32_t npu_id; /* registers as read; 0: no NPU */
    uint32_t npu_config;
    bool reports_overflow; /* `run` and `model` fill `overflow`; else the host takes wrapped counters to be possible */
    uint8_t window; /* unanswered requests that may lie in your receive buffer, 1 to HIL_WINDOW_MAX: at least
                       window * (largest frame + largest frame / 254 + 3) bytes must have room there */
    const hil_region *regions;
    uint8_t region_count;
    const hil_buffer *buffers; /* of a linked-in model, else NULL */
    uint8_t buffer_count;

    /* Takes what has arrived, at most `room` bytes, without waiting; gives how many. */
    size_t (*receive)(void *context, uint8_t *bytes, size_t room);
    /* Sends all; false if the line did not take them in time (the host will ask again). */
    bool (*send)(void *context, const uint8_t *bytes, size_t count);
    /* Copy between the host's ranges and `bytes`; false for a bus fault, told in `fault`. */
    bool (*read)(void *context, uint32_t address, uint8_t *bytes, uint32_t count, hil_fault *fault);
    bool (*write)(void *context, uint32_t address, const uint8_t *bytes, uint32_t count, hil_fault *fault);
    /* Runs a command stream within job->limit_ms; gives HIL_STATUS_OK once it ran, whatever its outcome, or
       HIL_STATUS_NO_NPU, _BUSY, _BAD_VALUE.  NULL: RUN is not supported.  Only the stream's range was checked. */
    uint8_t (*run)(void *context, const hil_job *job, hil_result *result);
    /* Runs the whole linked-in model on its buffers.  NULL: MODEL is not supported. */
    uint8_t (*model)(void *context, uint32_t limit_ms, hil_result *result);
    /* Resets the board; what `send` took may still have to go out first.  Where it returns, the link starts anew.  NULL:
       RESET is not supported. */
    void (*reset)(void *context);
} hil_board;

/* A reply that is kept, in case its request comes again. */
typedef struct {
    uint8_t size; /* 0: none */
    uint32_t request_crc;
    uint8_t reply[HIL_KEPT_BYTES];
} hil_kept;

/* The state of a link; its fields are the library's own. */
typedef struct {
    const hil_board *board;
    hil_decoder decoder;
    uint16_t session; /* 0: none */
    uint8_t newest;                /* place in `kept` of the last request */
    hil_kept kept[HIL_WINDOW_MAX]; /* of the last requests of any kind, or a number's next use would find its first */
} hil_link;

/* `memory` (HIL_SMALLEST_FRAME bytes at least) holds one frame's body: its size is the largest frame and largest READ.
   False, and nothing is touched, if it is too small, a needed function is missing, or `window` or a count is out of
   range. */
bool hil_link_start(hil_link *link, const hil_board *board, uint8_t *memory, size_t size);

/* Takes what has arrived, executes complete requests and answers them.  Returns when nothing more has arrived, or after
   some hundred bytes; gives whether anything had arrived. */
bool hil_link_poll(hil_link *link);

#endif
