"""The firmware's CPU kernels against the reference kernels, operator by operator.

    python -m benchmarks.firmware_operators --operator SOFTMAX --type int8     some
    python -m benchmarks.firmware_operators --write                            the table in docs/fvp.md

Models and inputs are those of the conformance suite (`tests.support.operators`) and, of operators that never run on the
NPU, of `cpu_cases`.  Each model runs on the open Corstone-300 as the converter would give it, without Vela.
"""
