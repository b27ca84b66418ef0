/* One run of an Ethos-U55 or U65: the order in which its registers are set, and every wait limited.
 *
 * The NPU is reset before each run, so nothing of an earlier one is left in it.  The CPU polls: it has nothing else to do,
 * and an interrupt would wake it no sooner.
 */
#ifndef NPU_H
#define NPU_H

#include <stdint.h>

#include "hil_link.h"

uint32_t npu_id(uint32_t base);
uint32_t npu_config(uint32_t base); /* 0: there is no NPU at `base`. */

/* Runs `job` on the NPU at `base` and tells of it in `result`; `tick_hz` is the rate of timer_now. */
void npu_run(uint32_t base, uint32_t tick_hz, const hil_job *job, hil_result *result);

#endif
