/* Made by `python -m hil.targets.link.header` from targets/link/wire.py: edit that, not this. */
#ifndef HIL_WIRE_H
#define HIL_WIRE_H

#define HIL_PROTOCOL 1u
#define HIL_REPLY_BIT 128u
#define HIL_DELIMITER 0u
#define HIL_CRC_BYTES 4u
#define HIL_SMALLEST_FRAME 256u
#define HIL_TEXT_BYTES 40u
#define HIL_WINDOW_MAX 8u
#define HIL_REGIONS_MAX 251u
#define HIL_KEPT_BYTES 64u
#define HIL_BLOCKS_MAX 128u
#define HIL_CRC_RANGE_MAX 65536u
#define HIL_JOB_LIMIT_MS_MAX 600000u
#define HIL_BASES 8u
#define HIL_AXI_LIMITS 4u
#define HIL_EVENTS 4u

#define HIL_COMMAND_HELLO 0u
#define HIL_COMMAND_IDENTIFY 1u
#define HIL_COMMAND_WRITE 2u
#define HIL_COMMAND_READ 3u
#define HIL_COMMAND_CRC 4u
#define HIL_COMMAND_RUN 5u
#define HIL_COMMAND_RESET 6u
#define HIL_COMMAND_DESCRIBE 7u
#define HIL_COMMAND_MODEL 8u

#define HIL_STATUS_OK 0u
#define HIL_STATUS_ACCEPTED 1u
#define HIL_STATUS_NO_SESSION 2u
#define HIL_STATUS_BAD_LENGTH 3u
#define HIL_STATUS_BAD_ADDRESS 4u
#define HIL_STATUS_BAD_VALUE 5u
#define HIL_STATUS_UNSUPPORTED 6u
#define HIL_STATUS_NO_NPU 7u
#define HIL_STATUS_FAULT 8u
#define HIL_STATUS_BUSY 9u

#define HIL_OUTCOME_DONE 0u
#define HIL_OUTCOME_TIME_LIMIT 1u
#define HIL_OUTCOME_NPU_BUS_FAULT 2u
#define HIL_OUTCOME_NPU_PARSE_ERROR 3u
#define HIL_OUTCOME_NPU_OTHER_FAULT 4u
#define HIL_OUTCOME_NPU_STUCK 5u
#define HIL_OUTCOME_CPU_FAULT 6u
#define HIL_OUTCOME_MODEL_FAILED 7u

#define HIL_PART_NUMBERS 0u
#define HIL_PART_FIRMWARE 1u
#define HIL_PART_BOARD 2u
#define HIL_PART_REGION 3u
#define HIL_PART_IMAGE 254u
#define HIL_PART_SERIAL 255u

#define HIL_FEATURE_RUN 1u
#define HIL_FEATURE_RESET 2u
#define HIL_FEATURE_MODEL 4u
#define HIL_FEATURE_SERIAL 8u
#define HIL_FEATURE_IMAGE 16u
#define HIL_FEATURE_OVERFLOW 32u

#define HIL_REGION_CODE 0u
#define HIL_REGION_SRAM 1u
#define HIL_REGION_DRAM 2u
#define HIL_REGION_FLASH 3u

#define HIL_REGION_FLAG_WRITABLE 1u
#define HIL_REGION_FLAG_NPU_VISIBLE 2u

#define HIL_DIRECTION_INPUT 0u
#define HIL_DIRECTION_OUTPUT 1u

#define HIL_ELEMENT_INT8 0u
#define HIL_ELEMENT_UINT8 1u
#define HIL_ELEMENT_INT16 2u
#define HIL_ELEMENT_INT32 3u
#define HIL_ELEMENT_FLOAT32 4u

/* REQUEST: where its fields lie, in bytes */
#define HIL_REQUEST_AT_COMMAND 0u
#define HIL_REQUEST_AT_SEQUENCE 1u
#define HIL_REQUEST_AT_SESSION 2u
#define HIL_REQUEST_BYTES 4u

/* REPLY: where its fields lie, in bytes */
#define HIL_REPLY_AT_COMMAND 0u
#define HIL_REPLY_AT_SEQUENCE 1u
#define HIL_REPLY_AT_SESSION 2u
#define HIL_REPLY_AT_STATUS 4u
#define HIL_REPLY_BYTES 5u

/* RANGE: where its fields lie, in bytes */
#define HIL_RANGE_AT_ADDRESS 0u
#define HIL_RANGE_AT_SIZE 4u
#define HIL_RANGE_BYTES 8u

/* CHECK: where its fields lie, in bytes */
#define HIL_CHECK_AT_ADDRESS 0u
#define HIL_CHECK_AT_SIZE 4u
#define HIL_CHECK_AT_BLOCK 8u
#define HIL_CHECK_AT_START 12u
#define HIL_CHECK_BYTES 16u

/* NUMBERS: where its fields lie, in bytes */
#define HIL_NUMBERS_AT_PROTOCOL 0u
#define HIL_NUMBERS_AT_WINDOW 1u
#define HIL_NUMBERS_AT_REGIONS 2u
#define HIL_NUMBERS_AT_FEATURES 3u
#define HIL_NUMBERS_AT_BUFFERS 4u
#define HIL_NUMBERS_AT_LARGEST_FRAME 5u
#define HIL_NUMBERS_AT_LARGEST_READ 9u
#define HIL_NUMBERS_AT_CPU_HZ 13u
#define HIL_NUMBERS_AT_NPU_HZ 17u
#define HIL_NUMBERS_AT_TIMER_HZ 21u
#define HIL_NUMBERS_AT_NPU_ID 25u
#define HIL_NUMBERS_AT_NPU_CONFIG 29u
#define HIL_NUMBERS_BYTES 33u

/* IMAGE: where its fields lie, in bytes */
#define HIL_IMAGE_AT_ADDRESS 0u
#define HIL_IMAGE_AT_SIZE 4u
#define HIL_IMAGE_AT_CRC 8u
#define HIL_IMAGE_BYTES 12u

/* REGION: where its fields lie, in bytes */
#define HIL_REGION_AT_KIND 0u
#define HIL_REGION_AT_FLAGS 1u
#define HIL_REGION_AT_ADDRESS 2u
#define HIL_REGION_AT_SIZE 6u
#define HIL_REGION_BYTES 10u

/* BUFFER: where its fields lie, in bytes */
#define HIL_BUFFER_AT_DIRECTION 0u
#define HIL_BUFFER_AT_ELEMENT 1u
#define HIL_BUFFER_AT_ADDRESS 2u
#define HIL_BUFFER_AT_SIZE 6u
#define HIL_BUFFER_BYTES 10u

/* JOB: where its fields lie, in bytes */
#define HIL_JOB_AT_STREAM_ADDRESS 0u
#define HIL_JOB_AT_STREAM_BYTES 4u
#define HIL_JOB_AT_BASES 8u
#define HIL_JOB_AT_REGION_CONFIG 72u
#define HIL_JOB_AT_QCONFIG 76u
#define HIL_JOB_AT_AXI_LIMITS 80u
#define HIL_JOB_AT_EVENTS 96u
#define HIL_JOB_AT_LIMIT_MS 104u
#define HIL_JOB_AT_FLAGS 108u
#define HIL_JOB_BYTES 112u

/* MODEL_JOB: where its fields lie, in bytes */
#define HIL_MODEL_JOB_AT_LIMIT_MS 0u
#define HIL_MODEL_JOB_AT_FLAGS 4u
#define HIL_MODEL_JOB_BYTES 8u

/* FAULT: where its fields lie, in bytes */
#define HIL_FAULT_AT_ADDRESS 0u
#define HIL_FAULT_AT_STATUS 4u
#define HIL_FAULT_AT_PC 8u
#define HIL_FAULT_BYTES 12u

/* RESULT: where its fields lie, in bytes */
#define HIL_RESULT_AT_OUTCOME 0u
#define HIL_RESULT_AT_NPU_STATUS 1u
#define HIL_RESULT_AT_QREAD 5u
#define HIL_RESULT_AT_CYCLES 9u
#define HIL_RESULT_AT_EVENTS 17u
#define HIL_RESULT_AT_TICKS 33u
#define HIL_RESULT_AT_FAULT_ADDRESS 41u
#define HIL_RESULT_AT_FAULT_STATUS 45u
#define HIL_RESULT_AT_FAULT_PC 49u
#define HIL_RESULT_BYTES 53u

/* OVERFLOW: where its fields lie, in bytes */
#define HIL_OVERFLOW_AT_COUNTERS 0u
#define HIL_OVERFLOW_BYTES 4u

#endif
