/* A 64-bit clock at the CPU's rate, from SysTick.
 *
 * Every Cortex-M has SysTick, QEMU and the FVP among them, where the DWT's cycle counter reads 0 on QEMU and system
 * timestamps differ from board to board.  It counts 24 bits down; its interrupt counts the wraps, at 32 MHz two a second.
 */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

void timer_start(void);
uint64_t timer_now(void); /* CPU cycles since `timer_start`; to be called outside interrupt handlers. */
void timer_wrapped(void); /* The interrupt handler. */

#endif
