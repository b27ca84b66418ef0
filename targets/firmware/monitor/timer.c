#include "timer.h"

#include "core.h"
#include "registers.h"

#define WRAP 0x1000000u

static volatile uint32_t wraps;

void timer_start(void) {
    wraps = 0;
    register_write(SYSTICK_RELOAD, WRAP - 1);
    register_write(SYSTICK_VALUE, 0);
    register_write(SYSTICK_CONTROL, SYSTICK_ENABLE | SYSTICK_INTERRUPT | SYSTICK_CPU_CLOCK);
}

uint64_t timer_now(void) {
    uint32_t before, value;
    do { /* Again if it wrapped meanwhile: the value may belong to either side. */
        before = wraps;
        value = register_read(SYSTICK_VALUE);
    } while (before != wraps || register_read(ICSR) & ICSR_SYSTICK_PENDING);
    /* The interrupt comes as the value becomes 0, a cycle before it is loaded anew: 0 begins a period. */
    return ((uint64_t)before << 24) + (WRAP - value) % WRAP;
}

void timer_wrapped(void) {
    wraps = wraps + 1;
}
