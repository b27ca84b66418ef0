/* The monitor's parts on this machine: Python functions play the hardware's registers. */
#include <stdbool.h>
#include <stdint.h>

#include "registers.h"
#include "ring.h"

uint32_t (*on_read)(uint32_t address);
void (*on_write)(uint32_t address, uint32_t value);

uint32_t register_read(uint32_t address) {
    return on_read(address);
}

void register_write(uint32_t address, uint32_t value) {
    on_write(address, value);
}

void register_barrier(void) {
}

static struct ring ring;

void put(uint8_t byte) {
    ring_put(&ring, byte);
}

int take(void) /* -1: empty. */
{
    uint8_t byte;
    return ring_take(&ring, &byte) ? byte : -1;
}

void start_ring_at(uint32_t count) {
    ring.put = ring.taken = count;
}
