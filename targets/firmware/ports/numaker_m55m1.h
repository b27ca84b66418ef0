/* Nuvoton NuMaker-M55M1: a port from public facts alone, never run on the board (docs/porting.md names the sources).
 *
 * The CPU and the NPU are secure; bit 28 of an address is 0 there, where the MPS3 has it 1.  The monitor stands in flash
 * at the address that the chip boots from, with its data in DTCM.  The clock is the internal oscillator that the chip
 * boots with: cycles hold at any rate, milliseconds are those of 12 MHz.
 */
#define PORT_BOARD "numaker_m55m1"

#define PORT_CODE 0x00100000 /* Flash (APROM). */
#define PORT_CODE_SIZE 0x10000
#define PORT_DATA 0x20000000 /* DTCM, 128 KiB. */
#define PORT_DATA_SIZE 0x10000

#define PORT_CPU_HZ 12000000
#define PORT_NPU_HZ 12000000
#define PORT_NPU 0x40003000

#define PORT_UNIQUE_ID numaker_unique_id
#define PORT_UNIQUE_ID_BASE 0x40044000 /* The flash controller. */

#define PORT_UART numaker_uart
#define PORT_UART_BASE 0x4024D000 /* UART 0, which Nu-Link2 makes a USB port. */
#define PORT_UART_HZ 12000000
#ifndef PORT_UART_BAUD
#define PORT_UART_BAUD 115200
#endif
#if PORT_UART_HZ / PORT_UART_BAUD < 12
#error "PORT_UART_BAUD is too high: a bit needs 12 cycles of the UART's 12 MHz"
#endif
#define PORT_UART_INTERRUPT 75

/* The vendor's linker script has the NPU reach flash and SRAM 0 and 1, no other memory. */
#define PORT_REGIONS                                                       \
    REGION("sram01", SRAM, 0x20100000, 0x00100000, WRITABLE | NPU_VISIBLE), \
    REGION("sram2", SRAM, 0x20200000, 0x00050000, WRITABLE),                \
    REGION("dtcm", SRAM, PORT_DATA + PORT_DATA_SIZE, 0x00010000, WRITABLE)
