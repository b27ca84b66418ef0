/* MPS3 with Arm's FPGA image AN547, which QEMU's mps3-an547 is, and Arm's Corstone-300 FVP. */
#include "mps3.h"

#define PORT_BOARD "mps3_an547"

#define PORT_REGIONS                                                           \
    REGION("isram0", SRAM, 0x31000000, 0x00200000, WRITABLE | NPU_VISIBLE),    \
    REGION("isram1", SRAM, 0x31200000, 0x00200000, WRITABLE | NPU_VISIBLE),    \
    REGION("ddr", DRAM, 0x70000000, 0x10000000, WRITABLE | NPU_VISIBLE),       \
    REGION("code_sram", SRAM, 0x11000000, 0x00200000, WRITABLE | NPU_VISIBLE), \
    REGION("dtcm", SRAM, PORT_DATA + PORT_DATA_SIZE, 0x00070000, WRITABLE)
