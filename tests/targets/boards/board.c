/* A board as a program of this machine: the library that goes into firmware, on standard input and output.
 *
 * 256 KB of RAM at 0x70000000.  A job whose stream is at the RAM's start ends at once with cycles = its bytes; any other
 * one finds the NPU stuck.  A reset ends the program: whoever plays the supply starts it again.  Name, version, the
 * NPU's CONFIG and the serial number stand behind a mark, so that another firmware is a copy with other bytes there.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil_link.h"

#define RAM_ADDRESS 0x70000000u
#define RAM_BYTES (256u << 10)

static struct {
    char mark[8], board[32], firmware[32];
    uint32_t npu_config;
    char serial[32];
} volatile identity = {"HIL_ID>", "bench", "monitor 1.0", 0x1807, ""};

static uint8_t ram[RAM_BYTES];
static uint8_t frame[2048];

static size_t receive(void *context, uint8_t *bytes, size_t room) {
    struct pollfd wanted = {.fd = 0, .events = POLLIN};
    (void)context;
    if (poll(&wanted, 1, 0) <= 0) {
        return 0;
    }
    ssize_t count = read(0, bytes, room);
    if (count <= 0) {
        exit(0);
    }
    return (size_t)count;
}

static bool send(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    while (count > 0) {
        ssize_t taken = write(1, bytes, count);
        if (taken <= 0) {
            exit(0);
        }
        bytes += taken;
        count -= (size_t)taken;
    }
    return true;
}

static bool load(void *context, uint32_t address, uint8_t *bytes, uint32_t count, hil_fault *fault) {
    (void)context, (void)fault;
    memcpy(bytes, ram + (address - RAM_ADDRESS), count);
    return true;
}

static bool store(void *context, uint32_t address, const uint8_t *bytes, uint32_t count, hil_fault *fault) {
    (void)context, (void)fault;
    memcpy(ram + (address - RAM_ADDRESS), bytes, count);
    return true;
}

static uint8_t run(void *context, const hil_job *job, hil_result *result) {
    (void)context;
    result->outcome = job->stream_address == RAM_ADDRESS ? HIL_OUTCOME_DONE : HIL_OUTCOME_NPU_STUCK;
    result->cycles = job->stream_bytes;
    return HIL_STATUS_OK;
}

static void reset(void *context) {
    (void)context;
    exit(3);
}

int main(void) {
    static const uint8_t flags = HIL_REGION_FLAG_WRITABLE | HIL_REGION_FLAG_NPU_VISIBLE;
    static const hil_region regions[] = {{"ram", HIL_REGION_SRAM, flags, RAM_ADDRESS, RAM_BYTES}};
    static hil_link link;
    static char name[32], version[32], serial[32];
    memcpy(name, (const char *)identity.board, sizeof name - 1);
    memcpy(version, (const char *)identity.firmware, sizeof version - 1);
    memcpy(serial, (const char *)identity.serial, sizeof serial - 1);
    hil_board board = {
        .firmware = version, .board = name, .serial = serial, .cpu_hz = 32000000, .npu_hz = 32000000, .timer_hz = 1000000,
        .npu_id = identity.npu_config ? 0x10066001 : 0, .npu_config = identity.npu_config, .window = 2,
        .regions = regions, .region_count = 1,
        .receive = receive, .send = send, .read = load, .write = store, .run = run, .reset = reset,
    };
    if (!hil_link_start(&link, &board, frame, sizeof frame)) {
        return 1;
    }
    for (;;) {
        struct pollfd wanted = {.fd = 0, .events = POLLIN};
        poll(&wanted, 1, -1);
        hil_link_poll(&link);
    }
}
