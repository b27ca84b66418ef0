/* Bytes between one interrupt handler that puts and one main loop that takes; no lock is needed.
 *
 * A byte that finds no room is lost: its frame's CRC is wrong then, and the host sends it again.
 */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE 32768u /* A power of 2: the counters may wrap. */

struct ring {
    volatile uint32_t put, taken; /* Bytes since the start, modulo 2^32. */
    uint8_t bytes[RING_SIZE];
};

static inline void ring_put(struct ring *ring, uint8_t byte) {
    if (ring->put - ring->taken < RING_SIZE) {
        *(volatile uint8_t *)&ring->bytes[ring->put % RING_SIZE] = byte;
        ring->put = ring->put + 1;
    }
}

static inline bool ring_take(struct ring *ring, uint8_t *byte) {
    if (ring->put == ring->taken) {
        return false;
    }
    *byte = *(volatile uint8_t *)&ring->bytes[ring->taken % RING_SIZE];
    ring->taken = ring->taken + 1;
    return true;
}

static inline bool ring_is_empty(const struct ring *ring) {
    return ring->put == ring->taken;
}

#endif
