#include "npu.h"

#include <stdbool.h>

#include "registers.h"
#include "timer.h"

/* Offsets and bits are those of Vela's ethos_u55_regs; the order of the writes is that of Arm's driver. */
#define ID 0x000u
#define STATUS 0x004u
#define STATUS_RUNNING (1u << 0)
#define STATUS_INTERRUPT (1u << 1)
#define STATUS_BUS_ERROR (1u << 2)
#define STATUS_IN_RESET (1u << 3)
#define STATUS_PARSE_ERROR (1u << 4)
#define STATUS_END (1u << 5)
#define STATUS_WEIGHT_FAULT (1u << 7)
#define STATUS_ECC_FAULT (1u << 8)
#define STATUS_FAULTS (STATUS_BUS_ERROR | STATUS_PARSE_ERROR | STATUS_WEIGHT_FAULT | STATUS_ECC_FAULT)
#define CMD 0x008u
#define CMD_RUN (1u << 0)
#define CMD_CLEAR_INTERRUPT (1u << 1)
#define CMD_CLOCK_OFF (1u << 2) /* The NPU may ask for its clock and its power to be taken away while it is idle. */
#define CMD_POWER_OFF (1u << 3)
#define RESET 0x00Cu
#define PRIVILEGED_SECURE 1u /* In RESET what is wanted, in PROT what is. */
#define QBASE 0x010u
#define QREAD 0x018u
#define QCONFIG 0x01Cu
#define QSIZE 0x020u
#define PROT 0x024u
#define CONFIG 0x028u
#define REGIONCFG 0x03Cu
#define AXI_LIMIT 0x040u
#define BASEP 0x080u
#define PMCR 0x180u
#define PMCR_COUNT_FROM_0 7u
#define PMCNTENSET 0x184u
#define PMCNTENCLR 0x188u
#define PMOVSSET 0x18Cu
#define PMOVSCLR 0x190u
#define PMINTCLR 0x198u
#define PMCCNTR 0x1A0u
#define PMCCNTR_CFG 0x1A8u
#define PMEVCNTR 0x300u
#define PMEVTYPER 0x380u
#define ALL_COUNTERS 0x8000000Fu

#define RESET_MS 100u

static uint64_t ticks(uint32_t tick_hz, uint32_t ms) {
    return (uint64_t)ms * (tick_hz / 1000u);
}

uint32_t npu_id(uint32_t base) {
    return register_read(base + ID);
}

uint32_t npu_config(uint32_t base) {
    return register_read(base + CONFIG);
}

static bool reset(uint32_t base, uint32_t tick_hz) {
    register_write(base + RESET, PRIVILEGED_SECURE);
    uint64_t start = timer_now();
    while (register_read(base + STATUS) & STATUS_IN_RESET) {
        if (timer_now() - start > ticks(tick_hz, RESET_MS)) {
            return false;
        }
    }
    return register_read(base + PROT) == PRIVILEGED_SECURE;
}

static void count(uint32_t base, const uint16_t *events) {
    register_write(base + CMD, 0); /* The counters stand still when clock or power may go. */
    register_write(base + PMCNTENCLR, ALL_COUNTERS);
    register_write(base + PMOVSCLR, ALL_COUNTERS);
    register_write(base + PMINTCLR, ALL_COUNTERS);
    register_write(base + PMCCNTR_CFG, 0); /* Cycles from the first to the last moment, not between two events. */
    for (uint32_t i = 0; i < HIL_EVENTS; i++) {
        register_write(base + PMEVTYPER + 4 * i, events[i]);
    }
    register_write(base + PMCNTENSET, ALL_COUNTERS);
    register_write(base + PMCR, PMCR_COUNT_FROM_0);
}

static void set_up(uint32_t base, const hil_job *job) {
    register_write(base + QCONFIG, job->qconfig);
    register_write(base + REGIONCFG, job->region_config);
    for (uint32_t i = 0; i < HIL_AXI_LIMITS; i++) {
        register_write(base + AXI_LIMIT + 4 * i, job->axi_limits[i]);
    }
    register_write(base + QBASE, job->stream_address);
    register_write(base + QBASE + 4, 0);
    register_write(base + QSIZE, job->stream_bytes);
    for (uint32_t i = 0; i < HIL_BASES; i++) {
        register_write(base + BASEP + 8 * i, (uint32_t)job->bases[i]);
        register_write(base + BASEP + 8 * i + 4, (uint32_t)(job->bases[i] >> 32));
    }
}

/* Waits for the end; gives the last STATUS. */
static uint32_t wait(uint32_t base, uint64_t start, uint64_t limit, uint64_t *elapsed) {
    for (;;) {
        uint32_t status = register_read(base + STATUS);
        *elapsed = timer_now() - start;
        if (status & (STATUS_FAULTS | STATUS_END) || *elapsed > limit) {
            return status;
        }
        if (status & STATUS_INTERRUPT) { /* The stream asked for one and goes on. */
            register_write(base + CMD, CMD_CLEAR_INTERRUPT);
        }
    }
}

static void read_counters(uint32_t base, hil_result *result) {
    result->cycles = register_read(base + PMCCNTR) | (uint64_t)register_read(base + PMCCNTR + 4) << 32;
    for (uint32_t i = 0; i < HIL_EVENTS; i++) {
        result->events[i] = register_read(base + PMEVCNTR + 4 * i);
    }
    result->overflow = register_read(base + PMOVSSET);
}

static uint8_t outcome(uint32_t status) {
    if (status & STATUS_BUS_ERROR) {
        return HIL_OUTCOME_NPU_BUS_FAULT;
    }
    if (status & STATUS_PARSE_ERROR) {
        return HIL_OUTCOME_NPU_PARSE_ERROR;
    }
    if (status & STATUS_FAULTS) {
        return HIL_OUTCOME_NPU_OTHER_FAULT;
    }
    if (status & STATUS_END) {
        return HIL_OUTCOME_DONE;
    }
    return HIL_OUTCOME_TIME_LIMIT;
}

void npu_run(uint32_t base, uint32_t tick_hz, const hil_job *job, hil_result *result) {
    if (!reset(base, tick_hz)) {
        result->outcome = HIL_OUTCOME_NPU_STUCK;
        result->npu_status = register_read(base + STATUS);
        return;
    }
    count(base, job->events);
    set_up(base, job);
    register_barrier(); /* What the host has written is in memory before the NPU looks. */
    uint64_t start = timer_now();
    register_write(base + CMD, CMD_RUN);
    result->npu_status = wait(base, start, ticks(tick_hz, job->limit_ms), &result->ticks);
    register_write(base + PMCR, 0); /* At once: the cycle counter goes on when the NPU has ended. */
    register_barrier();
    result->outcome = outcome(result->npu_status);
    result->qread = register_read(base + QREAD);
    read_counters(base, result);
    if (result->outcome == HIL_OUTCOME_DONE) {
        register_write(base + CMD, CMD_CLEAR_INTERRUPT | CMD_CLOCK_OFF | CMD_POWER_OFF);
    } else if (!reset(base, tick_hz)) { /* It may still run, and write into memory. */
        result->outcome = HIL_OUTCOME_NPU_STUCK;
    }
}
