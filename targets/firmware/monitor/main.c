/* The monitor: a port's addresses, the commands behind the link's functions, the loop. */
#include <string.h>

#include "faults.h"
#include "hil_link.h"
#include "line.h"
#include "monitor.h"
#include "npu.h"
#include "ring.h"
#include "timer.h"
#include "unique_id.h"

#define LARGEST_FRAME 4000u
#define WINDOW 8u /* Requests that lie in the ring: each with COBS' overhead and delimiters. */
_Static_assert(WINDOW * (LARGEST_FRAME + LARGEST_FRAME / 254 + 3) <= RING_SIZE, "the ring must hold a window");

#define QUEUE_ALIGNMENT 16u

#define SRAM HIL_REGION_SRAM
#define DRAM HIL_REGION_DRAM
#define FLASH HIL_REGION_FLASH
#define CODE HIL_REGION_CODE
#define WRITABLE HIL_REGION_FLAG_WRITABLE
#define NPU_VISIBLE HIL_REGION_FLAG_NPU_VISIBLE
#define REGION(NAME, KIND, ADDRESS, SIZE, FLAGS)                                                                       \
    {.name = NAME, .kind = KIND, .address = ADDRESS, .size = SIZE, .flags = FLAGS}
static const hil_region regions[] = {PORT_REGIONS};
#define REGIONS (sizeof regions / sizeof *regions)

static uint8_t frame[LARGEST_FRAME];
static hil_link link;

static size_t receive(void *context, uint8_t *bytes, size_t room) {
    (void)context;
    return line_receive(bytes, room);
}

static bool send(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    return line_send(bytes, count);
}

struct copy {
    void *to;
    const void *from;
    uint32_t count;
};

static void copy(void *argument) {
    const struct copy *what = argument;
    memcpy(what->to, what->from, what->count);
}

static bool copied(void *to, const void *from, uint32_t count, hil_fault *fault) {
    struct copy what = {to, from, count};
    bool done = faults_guard(copy, &what);
    if (!done) {
        *fault = *faults_last();
    }
    return done;
}

static bool read(void *context, uint32_t address, uint8_t *bytes, uint32_t count, hil_fault *fault) {
    (void)context;
    return copied(bytes, (const void *)(uintptr_t)address, count, fault);
}

static bool write(void *context, uint32_t address, const uint8_t *bytes, uint32_t count, hil_fault *fault) {
    (void)context;
    return copied((void *)(uintptr_t)address, bytes, count, fault);
}

static bool npu_sees(uint64_t address) {
    for (size_t i = 0; i < REGIONS; i++) {
        if (regions[i].flags & NPU_VISIBLE && address >= regions[i].address &&
            address - regions[i].address < regions[i].size) {
            return true;
        }
    }
    return false;
}

static bool is_sound(const hil_job *job) {
    if (job->stream_address % QUEUE_ALIGNMENT || job->stream_bytes == 0 || job->stream_bytes % 4 ||
        !npu_sees(job->stream_address)) {
        return false;
    }
    for (uint32_t i = 0; i < HIL_BASES; i++) {
        if (job->bases[i] && !npu_sees(job->bases[i])) {
            return false;
        }
    }
    return true;
}

struct run {
    const hil_job *job;
    hil_result *result;
};

static void run_guarded(void *argument) {
    const struct run *what = argument;
    npu_run(PORT_NPU, PORT_CPU_HZ, what->job, what->result);
}

static uint8_t run(void *context, const hil_job *job, hil_result *result) {
    const hil_board *board = context;
    if (board->npu_config == 0) {
        return HIL_STATUS_NO_NPU;
    }
    if (!is_sound(job)) {
        return HIL_STATUS_BAD_VALUE;
    }
    struct run what = {job, result};
    if (!faults_guard(run_guarded, &what)) {
        result->outcome = HIL_OUTCOME_CPU_FAULT;
        result->fault = *faults_last();
    }
    return HIL_STATUS_OK;
}

static void reset(void *context) {
    (void)context;
    line_drain();
    faults_reset();
}

static hil_board board = {
    .context = &board,
    .firmware = "ethosu-hil monitor " FIRMWARE_VERSION,
    .board = PORT_BOARD,
    .cpu_hz = PORT_CPU_HZ,
    .timer_hz = PORT_CPU_HZ,
    .reports_overflow = true,
    .window = WINDOW,
    .regions = regions,
    .region_count = REGIONS,
    .receive = receive,
    .send = send,
    .read = read,
    .write = write,
    .run = run,
    .reset = reset,
};

static void look_for_npu(void *argument) {
    (void)argument;
    board.npu_config = npu_config(PORT_NPU);
    board.npu_id = board.npu_config ? npu_id(PORT_NPU) : 0;
    board.npu_hz = board.npu_config ? PORT_NPU_HZ : 0;
}

static void read_serial(void *argument) {
    static const char digits[] = "0123456789abcdef";
    static char text[2 * UNIQUE_ID_BYTES + 1];
    uint8_t id[UNIQUE_ID_BYTES];
    (void)argument;
    size_t size = PORT_UNIQUE_ID(PORT_UNIQUE_ID_BASE, id);
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15u];
    }
    board.serial = text;
}

extern const uint8_t image_end[]; /* The linker script's. */

void monitor_main(void) {
    timer_start();
    faults_guard(look_for_npu, NULL); /* A board without one may fault there. */
    faults_guard(read_serial, NULL);
    board.image_address = PORT_CODE;
    board.image_size = (uint32_t)(uintptr_t)image_end - PORT_CODE;
    line_start();
    if (!hil_link_start(&link, &board, frame, sizeof frame)) {
        faults_reset();
    }
    for (;;) {
        if (!hil_link_poll(&link)) {
            line_sleep();
        }
    }
}
