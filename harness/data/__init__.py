"""Samples of a model: what a loader returns, as arrays by input and output that are read on access."""

from hil.harness.data.samples import Samples

__all__ = ["Samples"]
