/* Clocks, pins and UART of the Nuvoton M55M1, as far as the monitor needs them.
 *
 * Source of registers and bits: the headers of Nuvoton's M55M1BSP 3.01.001 (sys_reg.h, clk_reg.h, pmc_reg.h, uart_reg.h).
 */
#include "hil_frame.h"
#include "monitor.h"
#include "registers.h"
#include "uart.h"
#include "unique_id.h"

#define SYS 0x40000000u
#define LOCK (SYS + 0x100u) /* Reads 1 once the protected registers can be written. */
#define PINS_B12_TO_B15 (SYS + 0x31Cu)
#define PINS_B12_B13 0x1F1Fu
#define PINS_B12_B13_UART0 0x0606u

#define CLOCKS 0x40001000u
#define CLOCK_NPU (CLOCKS + 0x28Cu)
#define CLOCK_SRAM (CLOCKS + 0x2C0u)
#define CLOCK_SRAM_1_2 (1u << 1 | 1u << 2)
#define CLOCK_UART (CLOCKS + 0x2E0u)
#define CLOCK_UART_SOURCE (CLOCKS + 0x460u)
#define CLOCK_UART0_SOURCE 7u
#define CLOCK_UART0_INTERNAL_12_MHZ 1u
#define CLOCK_UART_DIVIDER (CLOCKS + 0x53Cu)
#define CLOCK_UART0_DIVIDER 15u
#define FIRST 1u /* The first of a kind in its register: NPU 0, UART 0. */

#define POWER_SRAM_1 0x40002104u
#define POWER_SRAM_2 0x40002108u
#define POWER_SRAM_BUSY (1u << 31)

#define FLASH_CONTROL 0x00u /* Of the flash controller: protected, as the clocks are. */
#define FLASH_CONTROL_ON 1u
#define FLASH_CONTROL_FAILED (1u << 6)
#define FLASH_ADDRESS 0x04u
#define FLASH_DATA 0x08u
#define FLASH_COMMAND 0x0Cu
#define FLASH_COMMAND_READ_UNIQUE_ID 0x04u
#define FLASH_TRIGGER 0x10u
#define FLASH_POLLS 1000000u

#define UART_DATA 0x00u
#define UART_INTERRUPTS 0x04u
#define UART_INTERRUPT_RECEIVED 1u
#define UART_FIFO 0x08u
#define UART_LINE 0x0Cu
#define UART_LINE_8_BITS 3u
#define UART_STATE 0x18u
#define UART_STATE_OVERRUN 1u /* Cleared by writing one. */
#define UART_STATE_RECEIVED_NONE (1u << 14)
#define UART_STATE_SEND_FULL (1u << 23)
#define UART_BAUD 0x24u
#define UART_BAUD_MODE_2 (3u << 28)
#define UART_FUNCTION 0x30u

static void change(uint32_t address, uint32_t clear, uint32_t set) {
    register_write(address, (register_read(address) & ~clear) | set);
}

static void unlock(void) {
    static const uint32_t keys[] = {0x59, 0x16, 0x88};
    while (register_read(LOCK) == 0) {
        for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++) {
            register_write(LOCK, keys[i]);
        }
    }
}

static void power(uint32_t address) {
    register_write(address, 0); /* All its blocks in normal mode. */
    while (register_read(address) & POWER_SRAM_BUSY)
        ;
}

void port_start(void) {
    unlock();
    power(POWER_SRAM_1);
    power(POWER_SRAM_2);
    change(CLOCK_SRAM, 0, CLOCK_SRAM_1_2);
    change(CLOCK_NPU, 0, FIRST);
    change(CLOCK_UART_SOURCE, CLOCK_UART0_SOURCE, CLOCK_UART0_INTERNAL_12_MHZ);
    change(CLOCK_UART_DIVIDER, CLOCK_UART0_DIVIDER, 0);
    change(CLOCK_UART, 0, FIRST);
    change(PINS_B12_TO_B15, PINS_B12_B13, PINS_B12_B13_UART0);
}

size_t numaker_unique_id(uint32_t base, uint8_t id[UNIQUE_ID_BYTES]) {
    change(base + FLASH_CONTROL, 0, FLASH_CONTROL_ON);
    size_t size = 0;
    for (uint32_t word = 0; word < 3; word++) {
        register_write(base + FLASH_COMMAND, FLASH_COMMAND_READ_UNIQUE_ID);
        register_write(base + FLASH_ADDRESS, 4 * word);
        register_write(base + FLASH_TRIGGER, 1);
        uint32_t polls = FLASH_POLLS;
        while (register_read(base + FLASH_TRIGGER) & 1u && --polls > 0)
            ;
        if (polls == 0 || register_read(base + FLASH_CONTROL) & FLASH_CONTROL_FAILED) {
            break;
        }
        hil_put32(id + 4 * word, register_read(base + FLASH_DATA));
        size = 4 * (word + 1);
    }
    change(base + FLASH_CONTROL, FLASH_CONTROL_ON, 0);
    return size == 12 ? size : 0;
}

static void start(uint32_t base, uint32_t clock_hz, uint32_t baud) {
    register_write(base + UART_FUNCTION, 0);
    register_write(base + UART_LINE, UART_LINE_8_BITS);
    register_write(base + UART_FIFO, 0); /* An interrupt at the first byte. */
    register_write(base + UART_BAUD, UART_BAUD_MODE_2 | ((clock_hz + baud / 2) / baud - 2));
    register_write(base + UART_INTERRUPTS, UART_INTERRUPT_RECEIVED);
}

static bool take(uint32_t base, uint8_t *byte) {
    uint32_t state = register_read(base + UART_STATE);
    if (state & UART_STATE_OVERRUN) {
        register_write(base + UART_STATE, UART_STATE_OVERRUN);
    }
    if (state & UART_STATE_RECEIVED_NONE) {
        return false;
    }
    *byte = (uint8_t)register_read(base + UART_DATA); /* Ends the interrupt, when it was the last. */
    return true;
}

static bool put(uint32_t base, uint8_t byte) {
    if (register_read(base + UART_STATE) & UART_STATE_SEND_FULL) {
        return false;
    }
    register_write(base + UART_DATA, byte);
    return true;
}

extern const struct uart numaker_uart;
const struct uart numaker_uart = {.start = start, .take = take, .put = put};
