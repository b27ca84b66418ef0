/* What a driver of a serial line does; which one a board has, and where, its port says. */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

struct uart {
    void (*start)(uint32_t base, uint32_t clock_hz, uint32_t baud); /* Interrupts on each byte received. */
    bool (*take)(uint32_t base,
                 uint8_t *byte); /* A received byte, and its interrupt is done with; false: there is none. */
    bool (*put)(uint32_t base, uint8_t byte); /* Sends; false: the last one is still waiting. */
};

extern const struct uart cmsdk_uart;

#endif
