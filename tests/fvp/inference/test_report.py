"""The runner's output is parsed into counters and reasons."""

from __future__ import annotations

import base64
import json

import pytest

from hil.core.errors import ProtocolError
from hil.fvp.inference import report


def _record(groups: object) -> str:
    return f"INFO - <metrics>{base64.b64encode(json.dumps(groups).encode()).decode()}</metrics>\r\n"


def test_counters_come_from_the_record_and_not_from_the_lines() -> None:
    groups = [{"profiling_group": "Inference", "count": 1, "samples": [{"name": "NPU TOTAL", "value": [7]}]}]
    told = report.read("INFO - NPU TOTAL: 8 cycles\r\n" + _record(groups) + "INFO - Inference completed.\r\n")
    assert told.counters == {"NPU TOTAL": 7}
    assert told.completed
    assert told.failure == ""


@pytest.mark.parametrize(
    "record",
    [
        "<metrics>not base64</metrics>",
        "<metrics>bm90IGpzb24=</metrics>",
        _record([{"samples": [{"name": "x"}]}]),
        _record(3),
    ],
)
def test_a_damaged_record_is_told(record: str) -> None:
    with pytest.raises(ProtocolError, match="metrics"):
        report.read(record)


def test_a_counter_that_wrapped_is_named_as_the_firmware_does() -> None:
    told = report.read("WARN - Counter overflow detected for NPU ACTIVE.\r\nWARN - Overflow detected for NPU IDLE\r\n")
    assert told.overflowed == ("NPU ACTIVE", "NPU IDLE")
    assert report.read("INFO - NPU ACTIVE: 5 cycles\r\n").overflowed == ()


@pytest.mark.parametrize("value", ["Infinity", "-1", "1" + "0" * 30, "1" + "0" * 5000, "[" * 100_000])
def test_a_count_that_no_counter_holds_is_told(value: str) -> None:
    record = base64.b64encode(f'[{{"samples": [{{"name": "NPU TOTAL", "value": [{value}]}}]}}]'.encode()).decode()
    with pytest.raises(ProtocolError, match="metrics"):
        report.read(f"<metrics>{record}</metrics>")


def test_hostile_firmware_does_not_keep_the_reader_busy() -> None:
    """A search that began anew at each of these would take minutes."""
    assert report.read("<metrics>" * 200_000).counters == {}
    assert report.MAC_MISMATCH.search("npu.macs_per_cc=99999999999, optimizer.macs_per_cc=5") is None
    assert report.read(f"tensor arena) size used: {'9' * 5000}").arena_used is None


@pytest.mark.parametrize(
    ("uart", "failure", "unusable"),
    [
        ("ERROR - Model's schema version 0 is not equal to supported version 3.ERROR - Failed to initialise model\r\n",
         "Model's schema version 0 is not equal to supported version 3.; Failed to initialise model", True),
        ("E: E: TFLM - Node ethos-u (number 0) failed to invoke with status 1\r\nTFLM - \r\n\r\nERROR - Invoke failed.",
         "Node ethos-u (number 0) failed to invoke with status 1; Invoke failed.", False),
        ("TFLM - Didn't find op for builtin opcode 'FFT'\r\nERROR - tensor allocation failed!\r\n",
         "Didn't find op for builtin opcode 'FFT'; tensor allocation failed!", True),
        ("E [ExecuTorch: a.cpp:1 init()] Invalid block name or malformed binary\r\nERROR - Failed",
         "Invalid block name or malformed binary; Failed", True),
        ("INFO - ERRORS: none\r\nINFO - TYPE: x\r\n", "", False),
    ],
)  # fmt: skip
def test_the_firmwares_own_words_are_the_reason(uart: str, failure: str, unusable: bool) -> None:
    told = report.read(uart)
    assert (told.failure, told.unusable, told.completed) == (failure, unusable, False)


@pytest.mark.parametrize(
    ("line", "shortage"),
    [
        ("TFLM - Failed to resize buffer. Requested: 9, available 8, missing: 1", True),
        ("TFLM - Failed to allocate tail memory. Requested: 12, available 0, missing: 12", True),
        ("E [ExecuTorch: memory_allocator.h:105 allocate()] Memory allocation failed: 352B requested", True),
        ("F [ExecuTorch: EtModel.cc:554 PrepareInputTensors()] Could not allocate memory for input buffers.", True),
        ("E: ethosu_driver.c:1: Fast memory area too small. fast_memory_size=8, base_addr_size=9", True),
        ("TFLM - Failed to get registration from op code CUSTOM", False),
    ],
)
def test_shortage_of_memory_is_told_from_other_complaints(line: str, shortage: bool) -> None:
    told = report.read(f"INFO - Allocating tensors\r\n{line}\r\nERROR - tensor allocation failed!\r\n")
    assert told.shortage is shortage
    assert told.unusable
    assert not told.ended_allocating


def test_the_drivers_complaint_of_other_macs_is_recognised() -> None:
    line = "E: ethosu_device_u55_u65.c:1: NPU config mismatch. npu.macs_per_cc=7, optimizer.macs_per_cc=5"
    match = report.MAC_MISMATCH.search(line)
    assert match is not None
    assert match.groups() == ("7", "5")
