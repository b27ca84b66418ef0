"""What `benchmarks/fuzz.py` runs: seeds from real compiled models, the code under test, and the fuzzer's process."""
