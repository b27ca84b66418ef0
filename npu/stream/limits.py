"""Limits of what an operation and a program may cost in memory and time, and the factor that raises them.

A stream is untrusted: a few words can ask for hours of work.  The limits are far above what Vela generates for a
microcontroller.  A model that goes beyond them runs with `HIL_NPU_LIMITS=N` in the environment, which makes every limit
N times as large, in all processes of a run.
"""

from __future__ import annotations

import os

from hil.core.errors import BadInputError, StreamError

VARIABLE = "HIL_NPU_LIMITS"
"""Environment variable with the factor."""

OPERATIONS = 1 << 18
"""Operations of a program; a decoded one takes some 10 KB and 0.1 ms."""

DMA_PIECES = 1 << 18
"""Pieces of all DMAs of a program together."""

ELEMENTS = 1 << 26
"""Elements of a feature map (1024x1024x64); computing takes some 40 bytes each."""

SHARING_ELEMENTS = 1 << 24
"""Elements of an IFM some of which share bytes; bounds the cost of a large IFM in a small memory."""

PADDING_ELEMENTS = 1 << 24
"""Elements that padding adds to an IFM; bounds the cost of a small IFM under a large kernel."""

STEPS = 1 << 32
"""Steps of an operation: IFM elements under the kernel, summed over the OFM (a pool of 16x16 over 2048x2048x4)."""

PROGRAM_STEPS = 1 << 36
"""Steps of all operations of a program."""

CONVOLUTION_STEPS = 1 << 6
"""Multiplications of a convolution over the whole depth that cost as much as one step."""


def check(value: int, limit: int, what: str, word_offset: int) -> None:
    """Raises `StreamError` if `value` is above `limit`; `what` names it, with `{}` for the value.

    Raises `BadInputError` if the variable holds no factor.
    """
    if value > limit and value > (most := limit * _factor()):
        raise StreamError(
            f"{what.format(value)}, and the limit is {most}",
            word_offset=word_offset,
            hint=f"if the file is to be trusted, {VARIABLE}=N in the environment makes the limits N times as large",
        )


def _factor() -> int:
    text = os.environ.get(VARIABLE, "1")
    if not text.isdecimal() or int(text) < 1:
        raise BadInputError(f"{VARIABLE}={text} is no whole number from 1 on")
    return int(text)
