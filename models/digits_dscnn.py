"""Keyword spotting for spoken digits: DS-CNN-S on MFCC, 49x10 -> 10 classes, 24 k weights, 2.7 million MACs.

The network of MLPerf Tiny's keyword spotting (Zhang et al., "Hello Edge", 2017) with ten classes: a 10x4 convolution,
four blocks of a depthwise 3x3 and a pointwise convolution of 64 channels.  Each weight is used 125 times, so on an
Ethos-U55 the network is bound by its MACs more than by its weights: techniques save flash rather than cycles.
Two of the six speakers are only in the test set.  The network outputs logits.
"""

from __future__ import annotations

from functools import partial

from hil.harness.model import Budget, Dataset, FineTune, Model, Recipe, sibling

dscnn = sibling(__file__, "networks/dscnn.py")
loader = sibling(__file__, "data/spoken_digits.py")

_tune = FineTune(epochs=2, learning_rate=3e-4, samples=4000)
model = Model(
    name="digits_dscnn",
    build=partial(dscnn.build, "s", classes=10),
    data=Dataset(loader.load, loader.files),
    recipe=Recipe(
        batch_size=64,
        base=FineTune(epochs=20, learning_rate=2e-3),
        prune=FineTune(epochs=3, learning_rate=1e-3, samples=4000),
        cluster=_tune,
        sparse_cluster=_tune,
        qat=_tune,
        pqat=_tune,
        cqat=_tune,
        pcqat=_tune,
    ),
    budget=Budget(max_accuracy_drop=0.03, max_latency_ms=2.0, max_sram_bytes=96 * 1024),
    weights="weights/digits_dscnn.npz",
)
