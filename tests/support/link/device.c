/* The board's side of the link as a program of this machine: the library that goes into firmware, on a pty or TCP.
 *
 *     device pty|tcp MEMORY_FILE WINDOW LARGEST_FRAME
 *
 * Prints the pty's name, or the port of loopback, when it is ready.  The board's RAM at 0x70000000 is MEMORY_FILE, so that
 * a test sees it by another way than the link.  The last 16 bytes of `hole`, which lies above, are a bus fault.
 *
 *     RUN    counts up the first word of `state`; works bases[7] ms; cycles = CRC-32 of the stream
 *     MODEL  output = input, each byte plus one
 *
 * A line on standard input: `reset` and `silent` restart the library with RAM cleared, the second without its HELLO;
 * `port` opens another pty and closes the first; the end of input ends the program.  A TCP client may go, and come back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "hil_frame.h"
#include "hil_link.h"

#define RAM_ADDRESS 0x70000000u
#define HOLE_ADDRESS 0x90000000u
#define HOLE_BYTES 64u
#define FAULTY_ADDRESS (HOLE_ADDRESS + HOLE_BYTES - 16u)
#define STATE_ADDRESS 0xFFFFFF00u /* up to the end of the address space */
#define STATE_BYTES 256u
#define OUTPUT_MS 1000

typedef struct {
    int listener; /* -1 on a pty */
    int line;     /* -1 while nobody is connected */
    int other_end;
    bool mute;
    uint8_t in[4096];
    size_t in_size, in_taken;
    uint8_t out[65536];
    size_t out_size;
    uint8_t *ram;
    uint32_t ram_bytes;
    uint8_t hole[HOLE_BYTES];
    uint8_t state[STATE_BYTES];
} device;

static uint8_t *at(device *self, uint32_t address) {
    if (address >= STATE_ADDRESS) {
        return self->state + (address - STATE_ADDRESS);
    }
    return address >= HOLE_ADDRESS ? self->hole + (address - HOLE_ADDRESS) : self->ram + (address - RAM_ADDRESS);
}

static bool faults(uint32_t address, uint32_t count, hil_fault *fault) {
    if (address < HOLE_ADDRESS || address >= STATE_ADDRESS || address + count <= FAULTY_ADDRESS) {
        return false;
    }
    fault->address = FAULTY_ADDRESS;
    fault->status = 0x8200;
    fault->pc = 0x10000100;
    return true;
}

static bool read_memory(void *context, uint32_t address, uint8_t *bytes, uint32_t count, hil_fault *fault) {
    if (faults(address, count, fault)) {
        return false;
    }
    memcpy(bytes, at(context, address), count);
    return true;
}

static bool write_memory(void *context, uint32_t address, const uint8_t *bytes, uint32_t count, hil_fault *fault) {
    if (faults(address, count, fault)) {
        return false;
    }
    memcpy(at(context, address), bytes, count);
    return true;
}

static void hang_up(device *self) {
    if (self->listener >= 0 && self->line >= 0) {
        close(self->line);
        self->line = -1;
    }
    self->out_size = 0;
}

static void flush_out(device *self) {
    size_t sent = 0;
    while (sent < self->out_size && self->line >= 0) {
        struct pollfd ready = {self->line, POLLOUT, 0};
        if (poll(&ready, 1, OUTPUT_MS) <= 0) {
            break; /* nobody takes it */
        }
        ssize_t count = write(self->line, self->out + sent, self->out_size - sent);
        if (count < 0) {
            hang_up(self);
            return;
        }
        sent += (size_t)count;
    }
    self->out_size = 0;
}

static bool send_bytes(void *context, const uint8_t *bytes, size_t count) {
    device *self = context;
    if (self->mute) {
        return true;
    }
    if (self->line < 0) {
        return false;
    }
    if (self->out_size + count > sizeof self->out) {
        flush_out(self);
    }
    memcpy(self->out + self->out_size, bytes, count);
    self->out_size += count;
    return true;
}

static size_t receive_bytes(void *context, uint8_t *bytes, size_t room) {
    device *self = context;
    size_t count = self->in_size - self->in_taken;
    count = count < room ? count : room;
    memcpy(bytes, self->in + self->in_taken, count);
    self->in_taken += count;
    return count;
}

static uint8_t run(void *context, const hil_job *job, hil_result *result) {
    device *self = context;
    flush_out(self);
    hil_put32(self->state, hil_get32(self->state) + 1);
    usleep((useconds_t)(job->bases[7] * 1000));
    result->outcome = HIL_OUTCOME_DONE;
    result->npu_status = 0x20;
    result->qread = job->stream_bytes;
    result->cycles = hil_crc32(0, at(self, job->stream_address), job->stream_bytes);
    for (size_t i = 0; i < HIL_EVENTS; i++) {
        result->events[i] = job->events[i];
    }
    result->ticks = job->bases[7] * 1000;
    result->overflow = (uint32_t)job->bases[6];
    return HIL_STATUS_OK;
}

static uint8_t run_model(void *context, uint32_t limit_ms, hil_result *result) {
    device *self = context;
    (void)limit_ms;
    for (size_t i = 0; i < 64; i++) {
        self->state[128 + i] = (uint8_t)(self->state[64 + i] + 1);
    }
    result->ticks = 7;
    return HIL_STATUS_OK;
}

static void clear(void *context) {
    device *self = context;
    memset(self->ram, 0, self->ram_bytes);
    memset(self->state, 0, sizeof self->state);
}

static int open_pty(device *self) {
    struct termios raw;
    int line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) || unlockpt(line)) {
        return -1;
    }
    self->other_end = open(ptsname(line), O_RDWR | O_NOCTTY); /* so that the line stands while no host has it open */
    if (self->other_end < 0 || tcgetattr(self->other_end, &raw)) {
        return -1;
    }
    cfmakeraw(&raw);
    tcsetattr(self->other_end, TCSANOW, &raw);
    printf("%s\n", ptsname(line));
    fflush(stdout);
    return line;
}

static int open_listener(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        return -1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_client(device *self) {
    int on = 1;
    int client = accept(self->listener, NULL, NULL);
    if (client < 0) {
        return;
    }
    hang_up(self); /* the new one counts, as with a terminal server */
    self->line = client;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void obey(device *self, hil_link *link, const hil_board *board, uint8_t *memory, size_t size) {
    char line[64] = "";
    if (!fgets(line, sizeof line, stdin)) {
        exit(0);
    }
    if (!strcmp(line, "port\n") && self->listener < 0) {
        int old = self->line, old_end = self->other_end;
        self->line = open_pty(self);
        close(old_end);
        close(old);
    } else {
        clear(self);
        self->mute = !strcmp(line, "silent\n");
        hil_link_start(link, board, memory, size);
        self->mute = false;
        flush_out(self);
        puts("done");
        fflush(stdout);
    }
}

int main(int count, char **arguments) {
    static device self;
    static hil_link link;
    signal(SIGPIPE, SIG_IGN); /* a host that is gone is no end */
    if (count != 5) {
        return 2;
    }
    struct stat file;
    int memory_file = open(arguments[2], O_RDWR);
    if (memory_file < 0 || fstat(memory_file, &file)) {
        return 2;
    }
    self.ram_bytes = (uint32_t)file.st_size;
    self.ram = mmap(NULL, self.ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file, 0);
    size_t largest = strtoul(arguments[4], NULL, 10);
    uint8_t *memory = malloc(largest);
    if (self.ram == MAP_FAILED || !memory) {
        return 2;
    }
    uint8_t all = HIL_REGION_FLAG_WRITABLE | HIL_REGION_FLAG_NPU_VISIBLE;
    const hil_region regions[] = {
        {"ram", HIL_REGION_DRAM, all, RAM_ADDRESS, self.ram_bytes},
        {"hole", HIL_REGION_SRAM, HIL_REGION_FLAG_WRITABLE, HOLE_ADDRESS, HOLE_BYTES},
        {"state", HIL_REGION_FLASH, 0, STATE_ADDRESS, 64},
        {"model", HIL_REGION_SRAM, HIL_REGION_FLAG_WRITABLE, STATE_ADDRESS + 64, STATE_BYTES - 64},
    };
    static const hil_buffer buffers[] = {
        {"input", HIL_DIRECTION_INPUT, HIL_ELEMENT_INT8, STATE_ADDRESS + 64, 64},
        {"output", HIL_DIRECTION_OUTPUT, HIL_ELEMENT_INT8, STATE_ADDRESS + 128, 64},
    };
    const hil_board board = {
        .context = &self,
        .firmware = "hil host 1.0",
        .board = "this machine",
        .serial = "host 17",
        .image_address = RAM_ADDRESS,
        .image_size = 5000,
        .cpu_hz = 25000000,
        .npu_hz = 25000000,
        .timer_hz = 1000000,
        .npu_id = 0x10066001,
        .npu_config = 0x10000007,
        .reports_overflow = true,
        .window = (uint8_t)strtoul(arguments[3], NULL, 10),
        .regions = regions,
        .region_count = 4,
        .buffers = buffers,
        .buffer_count = 2,
        .receive = receive_bytes,
        .send = send_bytes,
        .read = read_memory,
        .write = write_memory,
        .run = run,
        .model = run_model,
        .reset = clear,
    };
    bool on_pty = !strcmp(arguments[1], "pty");
    self.listener = on_pty ? -1 : open_listener();
    self.line = on_pty ? open_pty(&self) : -1;
    if ((on_pty ? self.line : self.listener) < 0 || !hil_link_start(&link, &board, memory, largest)) {
        return 2;
    }
    for (;;) {
        struct pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {self.line, POLLIN, 0}, {self.listener, POLLIN, 0}};
        flush_out(&self);
        if (poll(ready, 3, -1) < 0) {
            return 3;
        }
        if (ready[0].revents) {
            obey(&self, &link, &board, memory, largest);
        } else if (ready[1].revents) {
            ssize_t got = read(self.line, self.in, sizeof self.in);
            if (got <= 0) {
                hang_up(&self);
            }
            self.in_size = got > 0 ? (size_t)got : 0;
            self.in_taken = 0;
            while (hil_link_poll(&link)) {
            }
        } else if (ready[2].revents) {
            accept_client(&self);
        }
    }
}
