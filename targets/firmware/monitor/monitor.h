/* The monitor: takes requests from the serial line and answers them, for ever. */
#ifndef MONITOR_H
#define MONITOR_H

__attribute__((noreturn)) void monitor_main(void);

#endif
