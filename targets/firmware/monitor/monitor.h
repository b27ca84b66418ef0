/* The monitor: takes requests from the serial line and answers them, for ever. */
#ifndef MONITOR_H
#define MONITOR_H

__attribute__((noreturn)) void monitor_main(void);

/* A port's C file may define it: clocks, pins and power of memories, NPU and UART.  It runs first, with data and bss set
   up and interrupts off; PORT_CPU_HZ, PORT_NPU_HZ and PORT_UART_HZ are the rates after it. */
void port_start(void);

#endif
