"""Exported models: a C compiler reads the same bytes, NumPy the same weights."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.tflite.weights import read_tflite
from hil.harness.export import c_array, export, weights_archive

DATA = bytes(range(256)) + b"TFL3 end"
PRINTS = """
#include <stdio.h>
{declared}
int main(void) {{
  return (unsigned long)x_net_data % 16 || fwrite(x_net_data, 1, x_net_size, stdout) != sizeof x_net_data;
}}
"""
EXTERN = "extern const unsigned char x_net_data[264]; extern const unsigned int x_net_size;"


@pytest.mark.parametrize("name", ["x-net.c", "x-net.cc", "x-net.h"])
def test_a_c_compiler_reads_the_bytes(tmp_path: Path, zig_wheel: None, name: str) -> None:
    """A source as C or C++ that a C program is linked with, or a header in it."""
    (tmp_path / name).write_bytes(export(Path(name), DATA, b""))
    header = name.endswith(".h")
    (tmp_path / "main.c").write_text(PRINTS.format(declared=f'#include "{name}"' if header else EXTERN))
    for compiler, source in (("cc", "main.c"), ("c++" if name.endswith("cc") else "cc", name)):
        if source != name or not header:
            command = [sys.executable, "-m", "ziglang", compiler, "-Wall", "-Werror", "-c", source]
            subprocess.run([*command, "-o", f"{source}.o"], cwd=tmp_path, check=True)
    objects = ["main.c.o", *([] if header else [f"{name}.o"])]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *objects, "-o", "prints"], cwd=tmp_path, check=True)
    assert subprocess.run(["./prints"], cwd=tmp_path, check=True, capture_output=True).stdout == DATA


def test_names_are_names_in_c() -> None:
    assert "const unsigned char model_8bit_net_v1_data[2]" in c_array(Path("8bit net.v1.cc"), b"ab")
    assert "const unsigned char switch_data[2]" in c_array(Path("switch.h"), b"ab")


def test_weights_are_those_of_the_int8_file(made: Callable[[str], bytes]) -> None:
    int8 = made("two")
    with np.load(io.BytesIO(weights_archive(int8)), allow_pickle=False) as arrays:
        found = dict(arrays)
    weighted = [operator for operator in read_tflite(int8) if operator.weights is not None]
    assert len(weighted) == len([name for name in found if name.endswith(".weights")]) > 1
    for operator in weighted:
        (name,) = (name for name in found if np.array_equal(found[name], operator.weights))
        base = name.removesuffix(".weights")
        assert (f"{base}.bias" in found) == (operator.bias is not None)
        if operator.bias is not None:
            np.testing.assert_array_equal(found[f"{base}.bias"], operator.bias)
        np.testing.assert_array_equal(found[f"{base}.scales"], np.float32(operator.scales))
