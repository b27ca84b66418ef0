/* What all Corstone-300 images of the MPS3 have in common; their models too.
 *
 * The CPU runs secure and uses secure addresses alone.  DDR at 0x60000000 (non-secure) and at 0x70000000 (secure) are
 * different memory; an SRAM's two addresses are the same memory.
 * Sources: Arm's AN547 and AN552 as described by the ml-embedded-evaluation-kit and QEMU's mps3-an547.
 */

#define PORT_CODE 0x10000000 /* ITCM: where the CPU takes its vectors from at reset. */
#define PORT_CODE_SIZE 0x10000
#define PORT_DATA 0x30000000 /* DTCM: no cache, and out of the NPU's reach. */
#define PORT_DATA_SIZE 0x10000

#define PORT_CPU_HZ 32000000
#define PORT_NPU_HZ 32000000
#define PORT_NPU 0x58102000

#define PORT_UNIQUE_ID unique_id_lan9220
#define PORT_UNIQUE_ID_BASE 0x51400000 /* Its Ethernet chip, which QEMU has too; Arm's FVP has another one, and no number. */

#define PORT_UART cmsdk_uart
#define PORT_UART_BASE 0x59303000
#define PORT_UART_HZ 25000000
#ifndef PORT_UART_BAUD
#define PORT_UART_BAUD 115200
#endif
#if PORT_UART_HZ / PORT_UART_BAUD < 16
#error "the UART's divider is at least 16: PORT_UART_BAUD is too high"
#endif
#define PORT_UART_INTERRUPT 33
