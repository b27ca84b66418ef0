#include "faults.h"

#include "core.h"
#include "registers.h"

#define EXC_RETURN_PSP (1u << 2) /* It came from the thread; handlers are on the main stack. */
#define XPSR_THUMB (1u << 24)

struct frame { /* What the CPU puts on the stack when it enters a handler. */
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

__attribute__((used)) uint32_t guard_stack; /* The thread's stack pointer within guarded work; 0: there is none. */
static hil_fault last;

bool guard_enter(void (*work)(void *), void *argument);
void guard_leave(void);
void faults_handle(uint32_t exc_return, struct frame *frame);

/* Keeps the callee's registers on the stack and the stack's address in guard_stack, calls `work(argument)`, and gives 1.
 * The barrier makes faults of buffered writes happen while the work is still guarded.  guard_leave is where the handler
 * returns to, with the stack as guard_stack has it: it gives 0. */
__attribute__((naked, noinline, used)) bool guard_enter(__attribute__((unused)) void (*work)(void *),
                                                        __attribute__((unused)) void *argument) {
    __asm volatile("push {r3-r11, lr}\n"
                   "ldr r2, =guard_stack\n"
                   "mov r3, sp\n"
                   "str r3, [r2]\n"
                   "mov r3, r0\n"
                   "mov r0, r1\n"
                   "blx r3\n"
                   "dsb\n"
                   "isb\n"
                   "movs r0, #0\n"
                   "ldr r2, =guard_stack\n"
                   "str r0, [r2]\n"
                   "movs r0, #1\n"
                   "pop {r3-r11, pc}\n"
                   ".global guard_leave\n"
                   ".thumb_func\n"
                   "guard_leave:\n"
                   "movs r0, #0\n"
                   "pop {r3-r11, pc}\n"
                   ".ltorg\n");
}

__attribute__((naked, used)) void faults_handler(void) {
    __asm volatile("mov r0, lr\n"
                   "mrs r1, psp\n"
                   "b faults_handle\n");
}

__attribute__((used)) void faults_handle(uint32_t exc_return, struct frame *frame) {
    if (guard_stack == 0 || (exc_return & EXC_RETURN_PSP) == 0) {
        faults_reset();
    }
    uint32_t secure = register_read(SFSR);
    last.status = register_read(CFSR);
    last.pc = frame->pc;
    last.address = last.status & CFSR_BFAR_VALID    ? register_read(BFAR)
                   : last.status & CFSR_MMFAR_VALID ? register_read(MMFAR)
                   : secure & SFSR_SFAR_VALID       ? register_read(SFAR)
                                                    : 0;
    register_write(CFSR, last.status); /* Each is cleared by writing its bits back. */
    register_write(SFSR, secure);
    register_write(HFSR, register_read(HFSR));

    struct frame *back = (struct frame *)(uintptr_t)guard_stack - 1;
    back->pc = (uint32_t)(uintptr_t)guard_leave & ~1u;
    back->xpsr = XPSR_THUMB;
    guard_stack = 0;
    __asm volatile("msr psp, %0" ::"r"(back) : "memory");
}

/* With handlers of their own, faults leave HardFault to a fault within the handler, which then resets, not locks up. */
void faults_start(void) {
    guard_stack = 0;
    register_write(SHCSR, SHCSR_ALL_FAULTS);
    register_write(CCR, register_read(CCR) | CCR_DIVISION_BY_0);
}

bool faults_guard(void (*work)(void *), void *argument) {
    return guard_enter(work, argument);
}

const hil_fault *faults_last(void) {
    return &last;
}

void faults_reset(void) {
    core_barrier();
    register_write(AIRCR, AIRCR_RESET);
    core_barrier();
    for (;;) /* Until it takes effect. */
        ;
}
