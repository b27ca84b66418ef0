"""Shapes that operators give their outputs."""

from __future__ import annotations


def window_output(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: str
) -> tuple[int, int]:
    """(height, width) of what a window leaves of `size`, padding SAME or VALID, as TFLite computes it."""

    def along(axis: int) -> int:
        reach = (window[axis] - 1) * dilation[axis] + 1
        length = size[axis] if padding == "SAME" else size[axis] - reach + 1
        return -(-length // stride[axis])

    return along(0), along(1)
