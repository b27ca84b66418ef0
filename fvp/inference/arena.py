"""The arena of a runner: the memory for feature maps that a model needs, and the option that lets it need less.

    check_arena(compiled, firmware)           # before anything starts
    raise BadInputError(..., hint=smaller_arena(firmware, is_compiled=True))

The arena also holds TFLite Micro's own structures, so a model that passes the check may still not fit: then the
firmware's words say so (`report.Report.shortage`).
"""

from __future__ import annotations

from hil.core.errors import BadInputError
from hil.fvp.inference.firmware import EXECUTORCH, Firmware, MemoryRange
from hil.npu.vela_output import CompiledModel, NpuOperator

_OTHERWISE = "smaller inputs or fewer channels need less, and --target sim has no limit"


def check_arena(compiled: CompiledModel, firmware: Firmware) -> None:
    """Raises `BadInputError` if the feature maps of an NPU operator do not fit the firmware's arena or fast memory.

    A driver that sets up no fast memory would take the model without a word, let it overlap with the arena, and
    compute wrong outputs.
    """
    tensors = compiled.main.tensors
    operators = [operator for operator in compiled.main.operators if isinstance(operator, NpuOperator)]
    fast = [tensors[found.scratch_fast].bytes for found in operators if found.needs_fast_memory(tensors)]
    if fast:
        _check_fast(max(fast), firmware.layout.fast)
    needed, arena = max((tensors[found.scratch].bytes for found in operators), default=0), firmware.layout.arena
    if needed > arena.size:
        raise BadInputError(
            f"the model needs an arena of {needed} bytes and the firmware has {arena.size}",
            hint=smaller_arena(firmware, is_compiled=True),
        )


def smaller_arena(firmware: Firmware, *, is_compiled: bool) -> str:
    """A hint for a model that does not fit the firmware's arena."""
    if firmware.runtime == EXECUTORCH:
        return "smaller inputs or fewer channels need less, and so does more of it in one delegate"
    if not is_compiled or firmware.layout.fast:  # Beside a fast memory, the arena takes what that one does not.
        return _OTHERWISE
    return f"{_cache_size(firmware.layout.arena)}; if that is not enough, {_OTHERWISE}"


def _cache_size(place: MemoryRange) -> str:
    return f'compile it with --vela-option "--arena-cache-size {place.size}"'


def _check_fast(needed: int, fast: MemoryRange | None) -> None:
    if fast is None:
        raise BadInputError(
            "the model was compiled for Dedicated_Sram, for which the firmware sets up no memory",
            hint="compile it for Shared_Sram or Sram_Only, or take --target sim",
        )
    if needed > fast.size:
        raise BadInputError(
            f"the model needs {needed} bytes of fast memory and the firmware has {fast.size}",
            hint=f"{_cache_size(fast)}; if that is not enough, {_OTHERWISE}",
        )
