"""Python code that a test runs in the process under test before anything else."""

from __future__ import annotations

WITHOUT_TENSORFLOW = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tf_keras", "tensorflow_model_optimization"):
            raise ImportError(f"{name} was imported although everything is in the store")

sys.meta_path.insert(0, Refuse())
"""

# The records of the pointwise convolution are the only ones of 16 channels.
FAULT = """
from hil.npu.arithmetic import dispatch

honest = dispatch.scale_records

def one_wrong_bit(data):
    bias, factor, shift = honest(data)
    if len(factor) == 16:
        factor = factor.copy()
        factor[3] ^= 1 << 29
    return bias, factor, shift

dispatch.scale_records = one_wrong_bit
"""
