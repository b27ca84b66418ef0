/* A device's 32-bit registers: one place through which every one of them is reached.
 *
 * Linked with registers.c this is the hardware; the unit tests link functions that play the device instead.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

uint32_t register_read(uint32_t address);
void register_write(uint32_t address, uint32_t value);
void register_barrier(void); /* What was written before is done before what comes after. */

#endif
