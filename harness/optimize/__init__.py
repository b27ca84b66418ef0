"""Optimization of a Keras model: TFMOT's techniques, techniques for the NPU, checks of sparsity and clusters.

`paths` the deployment tree · `trained_base` the trained float model · `steps` the techniques of TFMOT · `npu_steps` and
`npu_rules` the techniques for the NPU · `selection` the layers that a step treats · `promises` of zeros and clusters,
which `survival` checks after each step · `repairs` workarounds for defects of TFMOT · `activation_ranges` the ranges
with which quantization-aware training begins · `clipped_outputs` outputs that leave theirs · `conversion` Keras to int8
TFLite · `keras` reads, writes and rebuilds Keras models
"""
