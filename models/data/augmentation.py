"""Augmentation of images: half of them mirrored, each moved by a few pixels."""

from __future__ import annotations

import numpy as np

from hil.harness.model import Array


def mirrored_and_moved(x: Array, random: np.random.Generator, farthest: int, **padding: str) -> Array:
    """Mirrors half of the images (n, height, width, channels), and moves each by up to `farthest` pixels.

    What comes in at the edges is filled as `numpy.pad` does it with the arguments `padding`: with zeros by default.
    """
    mirrored = np.where(random.random(len(x))[:, None, None, None] < 0.5, x[:, :, ::-1], x)
    height, width = x.shape[1:3]
    around = np.pad(mirrored, ((0, 0), (farthest, farthest), (farthest, farthest), (0, 0)), **padding)
    corners = random.integers(0, 2 * farthest + 1, (len(x), 2))
    return np.stack(
        [image[top : top + height, left : left + width] for image, (top, left) in zip(around, corners, strict=True)]
    )
