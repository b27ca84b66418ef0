"""Corstone-300: Arm's FVP command line, the programs that take it, and the open one (QEMU and `hil.npu`).

Start reading at `contract` (the command line), `inference` (what the layers above call) and `machine` (how the open
one works).
"""
