/* From reset to main: vectors, stacks, data.
 *
 * The thread has a stack of its own beside the handlers', both with limits: a thread that overflows its stack faults, and
 * the handler still has one.  Code and data are in TCM, which has no cache; the caches stay off, as they are after reset:
 * they would serve nothing but copies and CRCs, and what the NPU reads and writes would have to be cleaned and
 * invalidated.  No floating point is used, so a handler's frame is always eight words.
 */
#include <stdint.h>

#include "core.h"
#include "faults.h"
#include "line.h"
#include "monitor.h"
#include "registers.h"
#include "timer.h"

#define INTERRUPTS (PORT_UART_INTERRUPT + 1) /* No other is ever switched on. */
_Static_assert(PORT_UART_INTERRUPT < 480, "PORT_UART_INTERRUPT must be an external interrupt, 0 to 479");
_Static_assert(PORT_CODE % 2048 == 0, "PORT_CODE must be a multiple of 2,048: VTOR takes no other");

#if __ARM_ARCH >= 8
#define LIMIT_STACKS                       \
    "ldr r0, =handler_stack_limit\n"       \
    "msr msplim, r0\n"                     \
    "ldr r0, =thread_stack_limit\n"        \
    "msr psplim, r0\n"
#else
#define LIMIT_STACKS /* Armv7-M has no limits of stacks. */
#endif

extern uint32_t handler_stack_limit[], handler_stack[], thread_stack_limit[], thread_stack[]; /* The linker script's. */
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[];

__attribute__((weak)) void port_start(void) {} /* A port's own takes its place. */

void reset_handler(void);
__attribute__((noreturn)) void start(void);

__attribute__((naked, used)) void reset_handler(void) {
    __asm volatile("cpsid i\n"
                   "ldr r0, =handler_stack\n" /* A loader or debugger need not have set it. */
                   "mov sp, r0\n" LIMIT_STACKS
                   "ldr r0, =thread_stack\n"
                   "msr psp, r0\n"
                   "movs r0, #2\n" /* The thread's stack is the process stack. */
                   "msr control, r0\n"
                   "isb\n"
                   "b start\n"
                   ".ltorg\n");
}

typedef void handler(void);

struct vectors {
    uint32_t *stack;
    handler *system[15], *external[INTERRUPTS];
};

__attribute__((used, section(".vectors"))) const struct vectors vectors = {
    .stack = handler_stack,
    .system =
        {
            [0] = reset_handler,
            [1] = faults_handler,  /* NMI */
            [2] = faults_handler,  /* HardFault */
            [3] = faults_handler,  /* MemManage */
            [4] = faults_handler,  /* BusFault */
            [5] = faults_handler,  /* UsageFault */
            [6] = faults_handler,  /* SecureFault */
            [10] = faults_handler, /* SVCall */
            [11] = faults_handler, /* DebugMonitor */
            [13] = faults_handler, /* PendSV */
            [14] = timer_wrapped,
        },
    .external = {[PORT_UART_INTERRUPT] = line_interrupt},
};

__attribute__((used)) void start(void) {
    uint32_t *to = data_start;
    for (const uint32_t *from = data_load; to < data_end;) {
        *to++ = *from++;
    }
    for (to = bss_start; to < bss_end;) {
        *to++ = 0;
    }
    register_write(VTOR, (uint32_t)(uintptr_t)&vectors);
    faults_start();
    port_start();
    core_interrupts_on();
    monitor_main();
}
