/* The UART of Arm's Cortex-M System Design Kit, as on MPS2 and MPS3 boards and their models.
 *
 * It holds one received byte; the next one overruns it, and the frame's CRC tells.
 * Source: Cortex-M System Design Kit Technical Reference Manual (DDI 0479), APB UART.
 */
#include "registers.h"
#include "uart.h"

#define DATA 0x00u
#define STATE 0x04u
#define STATE_FULL_TO_SEND 1u
#define STATE_RECEIVED 2u
#define STATE_OVERRUNS (4u | 8u) /* Cleared by writing ones. */
#define CONTROL 0x08u
#define CONTROL_SEND_RECEIVE (1u | 2u)
#define CONTROL_RECEIVE_INTERRUPT 8u
#define INTERRUPTS 0x0Cu /* Cleared by writing ones. */
#define RECEIVE_INTERRUPT 2u
#define DIVIDER 0x10u

static void start(uint32_t base, uint32_t clock_hz, uint32_t baud) {
    register_write(base + DIVIDER, (clock_hz + baud / 2) / baud);
    register_write(base + STATE, STATE_OVERRUNS);
    register_write(base + CONTROL, CONTROL_SEND_RECEIVE | CONTROL_RECEIVE_INTERRUPT);
}

static bool take(uint32_t base, uint8_t *byte) {
    register_write(base + INTERRUPTS, RECEIVE_INTERRUPT); /* Before the look: a byte that comes after it interrupts. */
    uint32_t state = register_read(base + STATE);
    if (state & STATE_OVERRUNS) {
        register_write(base + STATE, STATE_OVERRUNS);
    }
    if ((state & STATE_RECEIVED) == 0) {
        return false;
    }
    *byte = (uint8_t)register_read(base + DATA);
    return true;
}

static bool put(uint32_t base, uint8_t byte) {
    if (register_read(base + STATE) & STATE_FULL_TO_SEND) {
        return false;
    }
    register_write(base + DATA, byte);
    return true;
}

const struct uart cmsdk_uart = {.start = start, .take = take, .put = put};
