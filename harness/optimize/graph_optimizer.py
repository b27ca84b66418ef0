"""TensorFlow's graph optimizer (Grappler), switched off where it costs more than it saves.

    with brief_training(steps):
        ...

Grappler rewrites the graph of a training step before the first one: 2 s for ResNet8 with pruning, as long as hundreds
of steps on a few samples.  The same kernels compute the step with it and without it: the weights are equal (tried on
every technique of ResNet8).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hil.harness.optimize.keras.keras2 import import_tensorflow

BRIEF = 256
"""Training steps up to which Grappler does not run."""
_SWITCH = "disable_meta_optimizer"


@contextmanager
def brief_training(steps: int) -> Iterator[None]:
    """Switches Grappler off while the block runs, if it trains few `steps`."""
    optimizer = import_tensorflow().config.optimizer
    before = bool(optimizer.get_experimental_options().get(_SWITCH, False))
    optimizer.set_experimental_options({_SWITCH: before or steps <= BRIEF})
    try:
        yield
    finally:
        optimizer.set_experimental_options({_SWITCH: before})
