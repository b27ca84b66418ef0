/* Faults: those inside a command are survived and reported, any other resets the CPU.
 *
 * A command runs as guarded work on the thread's stack.  When it faults, the handler, which has a stack of its own, notes
 * what happened, and returns not to the fault but to the guard's caller.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

#include "hil_link.h"

void faults_start(void);
bool faults_guard(void (*work)(void *), void *argument); /* Whether it came to its end. */
const hil_fault *faults_last(void);
__attribute__((noreturn)) void faults_reset(void); /* Resets the system. */
void faults_handler(void);                         /* For the vector table. */

#endif
