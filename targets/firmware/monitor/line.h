/* The serial line: bytes come in by interrupt, so that none is lost while the CPU works, and go out by polling. */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void line_start(void);
void line_interrupt(void);                          /* The interrupt handler. */
size_t line_receive(uint8_t *bytes, size_t room);   /* What has come, without waiting. */
bool line_send(const uint8_t *bytes, size_t count); /* False: the line did not take them in time. */
void line_drain(void);                              /* Waits until what was sent has left. */
void line_sleep(void);                              /* Until something has come, or a timer's interrupt. */

#endif
