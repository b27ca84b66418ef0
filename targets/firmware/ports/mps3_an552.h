/* MPS3 with Arm's FPGA image AN552: half of AN547's SRAM, the rest is the same. */
#include "mps3.h"

#define PORT_BOARD "mps3_an552"

#define PORT_REGIONS                                                           \
    REGION("isram", SRAM, 0x31000000, 0x00200000, WRITABLE | NPU_VISIBLE),     \
    REGION("ddr", DRAM, 0x70000000, 0x10000000, WRITABLE | NPU_VISIBLE),       \
    REGION("code_sram", SRAM, 0x11000000, 0x00100000, WRITABLE | NPU_VISIBLE), \
    REGION("dtcm", SRAM, PORT_DATA + PORT_DATA_SIZE, 0x00070000, WRITABLE)
