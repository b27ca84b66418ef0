/* The Cortex-M's own registers and instructions, as far as the monitor needs them.
 *
 * Source: Armv8-M Architecture Reference Manual (DDI 0553), system control space.
 */
#ifndef CORE_H
#define CORE_H

#define SYSTICK_CONTROL 0xE000E010u
#define SYSTICK_RELOAD 0xE000E014u
#define SYSTICK_VALUE 0xE000E018u
#define SYSTICK_ENABLE 1u
#define SYSTICK_INTERRUPT 2u
#define SYSTICK_CPU_CLOCK 4u

#define NVIC_ENABLE 0xE000E100u /* A bit for each external interrupt. */
#define ICSR 0xE000ED04u
#define ICSR_SYSTICK_PENDING (1u << 26)
#define VTOR 0xE000ED08u
#define AIRCR 0xE000ED0Cu
#define AIRCR_RESET (0x05FA0000u | 1u << 2)
#define CCR 0xE000ED14u
#define CCR_DIVISION_BY_0 (1u << 4)
#define SHCSR 0xE000ED24u
#define SHCSR_ALL_FAULTS (0xFu << 16) /* MemManage, BusFault, UsageFault and SecureFault have handlers of their own. */
#define CFSR 0xE000ED28u
#define CFSR_MMFAR_VALID (1u << 7)
#define CFSR_BFAR_VALID (1u << 15)
#define HFSR 0xE000ED2Cu
#define MMFAR 0xE000ED34u
#define BFAR 0xE000ED38u
#define SFSR 0xE000EDE4u
#define SFSR_SFAR_VALID (1u << 6)
#define SFAR 0xE000EDE8u

static inline void core_barrier(void) {
    __asm volatile("dsb" ::: "memory");
}

static inline void core_interrupts_off(void) {
    __asm volatile("cpsid i" ::: "memory");
}

static inline void core_interrupts_on(void) {
    __asm volatile("cpsie i\n isb" ::: "memory");
}

static inline void core_sleep(void) /* Ends at the next interrupt, even if they are off. */
{
    __asm volatile("dsb\n wfi" ::: "memory");
}

#endif
