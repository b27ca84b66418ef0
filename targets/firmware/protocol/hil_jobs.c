#include <string.h>

#include "hil_request.h"

static void answer_result(hil_link *link, const hil_request *asked, uint8_t status, const hil_result *result) {
    uint8_t payload[HIL_RESULT_BYTES + HIL_OVERFLOW_BYTES];
    size_t size = link->board->reports_overflow ? sizeof payload : HIL_RESULT_BYTES;
    payload[HIL_RESULT_AT_OUTCOME] = result->outcome;
    hil_put32(payload + HIL_RESULT_AT_NPU_STATUS, result->npu_status);
    hil_put32(payload + HIL_RESULT_AT_QREAD, result->qread);
    hil_put64(payload + HIL_RESULT_AT_CYCLES, result->cycles);
    for (size_t i = 0; i < HIL_EVENTS; i++) {
        hil_put32(payload + HIL_RESULT_AT_EVENTS + 4 * i, result->events[i]);
    }
    hil_put64(payload + HIL_RESULT_AT_TICKS, result->ticks);
    hil_put32(payload + HIL_RESULT_AT_FAULT_ADDRESS, result->fault.address);
    hil_put32(payload + HIL_RESULT_AT_FAULT_STATUS, result->fault.status);
    hil_put32(payload + HIL_RESULT_AT_FAULT_PC, result->fault.pc);
    hil_put32(payload + HIL_RESULT_BYTES + HIL_OVERFLOW_AT_COUNTERS, result->overflow);
    hil_answer_kept(link, asked, status, payload, status == HIL_STATUS_OK ? size : 0);
}

static void get_job(hil_job *job, const uint8_t *payload) {
    job->stream_address = hil_get32(payload + HIL_JOB_AT_STREAM_ADDRESS);
    job->stream_bytes = hil_get32(payload + HIL_JOB_AT_STREAM_BYTES);
    job->region_config = hil_get32(payload + HIL_JOB_AT_REGION_CONFIG);
    job->qconfig = hil_get32(payload + HIL_JOB_AT_QCONFIG);
    job->limit_ms = hil_get32(payload + HIL_JOB_AT_LIMIT_MS);
    for (size_t i = 0; i < HIL_BASES; i++) {
        job->bases[i] = hil_get64(payload + HIL_JOB_AT_BASES + 8 * i);
    }
    for (size_t i = 0; i < HIL_AXI_LIMITS; i++) {
        job->axi_limits[i] = hil_get32(payload + HIL_JOB_AT_AXI_LIMITS + 4 * i);
    }
    for (size_t i = 0; i < HIL_EVENTS; i++) {
        job->events[i] = hil_get16(payload + HIL_JOB_AT_EVENTS + 2 * i);
    }
}

static bool is_limit(uint32_t limit_ms) {
    return limit_ms > 0 && limit_ms <= HIL_JOB_LIMIT_MS_MAX;
}

void hil_run_job(hil_link *link, const hil_request *asked) {
    hil_job job;
    hil_result result;
    if (!link->board->run) {
        hil_answer_kept(link, asked, HIL_STATUS_UNSUPPORTED, NULL, 0);
        return;
    }
    if (asked->size != HIL_JOB_BYTES) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_LENGTH, NULL, 0);
        return;
    }
    get_job(&job, asked->payload);
    if (!is_limit(job.limit_ms) || hil_get32(asked->payload + HIL_JOB_AT_FLAGS) != 0) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_VALUE, NULL, 0);
    } else if (!hil_is_free(link, job.stream_address, job.stream_bytes, HIL_REGION_FLAG_NPU_VISIBLE)) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_ADDRESS, NULL, 0);
    } else {
        hil_answer_status(link, asked, HIL_STATUS_ACCEPTED);
        memset(&result, 0, sizeof result);
        answer_result(link, asked, link->board->run(link->board->context, &job, &result), &result);
    }
}

void hil_run_model(hil_link *link, const hil_request *asked) {
    hil_result result;
    if (!link->board->model) {
        hil_answer_kept(link, asked, HIL_STATUS_UNSUPPORTED, NULL, 0);
        return;
    }
    if (asked->size != HIL_MODEL_JOB_BYTES) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_LENGTH, NULL, 0);
        return;
    }
    uint32_t limit_ms = hil_get32(asked->payload + HIL_MODEL_JOB_AT_LIMIT_MS);
    if (!is_limit(limit_ms) || hil_get32(asked->payload + HIL_MODEL_JOB_AT_FLAGS) != 0) {
        hil_answer_kept(link, asked, HIL_STATUS_BAD_VALUE, NULL, 0);
    } else {
        hil_answer_status(link, asked, HIL_STATUS_ACCEPTED);
        memset(&result, 0, sizeof result);
        answer_result(link, asked, link->board->model(link->board->context, limit_ms, &result), &result);
    }
}
