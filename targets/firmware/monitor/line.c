#include "line.h"

#include "core.h"
#include "registers.h"
#include "ring.h"
#include "timer.h"
#include "uart.h"

#define SEND_MS 1000u /* That a line may take no byte. */
#define DRAIN_MS 5u   /* For the last two bytes, at 9,600 baud and more. */

extern const struct uart PORT_UART;

static struct ring received;

void line_start(void) {
    PORT_UART.start(PORT_UART_BASE, PORT_UART_HZ, PORT_UART_BAUD);
    register_write(NVIC_ENABLE + 4 * (PORT_UART_INTERRUPT / 32), 1u << PORT_UART_INTERRUPT % 32);
}

void line_interrupt(void) {
    uint8_t byte;
    while (PORT_UART.take(PORT_UART_BASE, &byte)) {
        ring_put(&received, byte);
    }
}

size_t line_receive(uint8_t *bytes, size_t room) {
    size_t count = 0;
    while (count < room && ring_take(&received, &bytes[count])) {
        count++;
    }
    return count;
}

static bool is_over(uint64_t start, uint32_t ms) {
    return timer_now() - start > (uint64_t)ms * (PORT_CPU_HZ / 1000u);
}

bool line_send(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t start = timer_now();
        while (!PORT_UART.put(PORT_UART_BASE, bytes[i])) {
            if (is_over(start, SEND_MS)) {
                return false;
            }
        }
    }
    return true;
}

void line_drain(void) {
    uint64_t start = timer_now();
    while (!is_over(start, DRAIN_MS))
        ;
}

void line_sleep(void) {
    core_interrupts_off();
    if (ring_is_empty(&received)) { /* With interrupts off, none comes between this look and the sleep. */
        core_sleep();
    }
    core_interrupts_on();
}
