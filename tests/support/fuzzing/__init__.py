"""Inputs and code under test of the fuzzer (`python -m benchmarks.fuzz`): seeds from real compiled models, targets."""
