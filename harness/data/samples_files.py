"""Samples as files of a folder, written batch by batch and mapped into memory where they are read.

    write_samples(parts, folder)                    # of an iterator over Samples
    read_samples(folder)                            # Samples whose arrays are read on access

A file an input (`x0.npy`), an output (`y0.npy`) and for the weights (`w.npy`), each in the dtype of the data: images of
uint8 stay so until a batch is made of them.  `samples.json` has the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.lib import format as npy

from hil.core.arrays import Array
from hil.core.errors import BadInputError
from hil.harness.data.samples import Part, Samples

_RECORD = "samples.json"


class GrowingArray:
    """An `.npy` file to which rows are appended; its header is written anew at the end, when their number is known.

    The context manager's end makes the file whole.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._file = path.open("wb")
        self._name = name
        self._like: Array | None = None
        self._count = 0

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        with self._file:
            if kind is None and self._like is not None:
                self._file.seek(0)
                self._write_header(self._like)

    def append(self, rows: Array) -> None:
        """Appends rows (n, ...); raises `BadInputError` if shape or dtype are not those of the rows before."""
        if self._like is None:
            self._like = rows[:0]
            self._write_header(self._like)
        elif rows.shape[1:] != self._like.shape[1:] or rows.dtype != self._like.dtype:
            before = f"{self._like.dtype}{list(self._like.shape[1:])}"
            now = f"{rows.dtype}{list(rows.shape[1:])}"
            raise BadInputError(f"{self._name} changes after {self._count} samples, from {before} to {now} a sample")
        self._count += len(rows)
        self._file.write(np.ascontiguousarray(rows).data)

    def _write_header(self, like: Array) -> None:
        library: Any = npy  # which has no types
        description = {"descr": library.dtype_to_descr(like.dtype), "fortran_order": False}
        library.write_array_header_1_0(self._file, {**description, "shape": (self._count, *like.shape[1:])})


def write_samples(parts: Iterable[Samples], folder: Path) -> None:
    """Writes samples into a folder; raises `BadInputError` if their number of arrays, shapes or dtypes change."""
    with ExitStack() as stack:
        files: dict[str, GrowingArray] = {}
        names: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        for part in parts:
            found = (part.inputs.names, part.labels.names)
            arrays = _by_file(part)
            if names is None:
                names = found
                files = {
                    file: stack.enter_context(GrowingArray(folder / f"{file}.npy", f"the data's {file}"))
                    for file in arrays
                }
            if found != names or arrays.keys() != files.keys():
                raise BadInputError(f"a batch of the data has {', '.join(arrays)}, the first one {', '.join(files)}")
            for file, array in arrays.items():
                files[file].append(array)
    inputs, outputs = names or ((), ())
    record = {"arrays": list(files), "inputs": list(inputs), "outputs": list(outputs)}
    (folder / _RECORD).write_text(json.dumps(record))


def write_arrays(folder: Path, batches: Iterable[tuple[Array, ...]]) -> None:
    """Writes the arrays of batches, one file for each place in the tuple (`0.npy`, `1.npy` ...)."""
    with ExitStack() as stack:
        files: list[GrowingArray] = []
        for batch in batches:
            if not files:
                names = [f"{number}.npy" for number in range(len(batch))]
                files = [stack.enter_context(GrowingArray(folder / name, f"array {name}")) for name in names]
            for file, array in zip(files, batch, strict=True):
                file.append(array)


def read_arrays(folder: Path) -> tuple[Array, ...]:
    """Maps what `write_arrays` wrote into memory."""
    files = sorted(folder.glob("[0-9]*.npy"), key=lambda path: int(path.stem))
    return tuple(_mapped(file) for file in files)


def read_samples(folder: Path) -> Samples:
    """Maps what `write_samples` wrote into memory."""
    record = json.loads((folder / _RECORD).read_text())
    arrays = {file: _mapped(folder / f"{file}.npy") for file in record["arrays"]}
    x, y = (tuple(array for file, array in arrays.items() if file.startswith(letter)) for letter in "xy")
    return Samples(Part(x, tuple(record["inputs"])), Part(y, tuple(record["outputs"])), arrays.get("w"))


def _by_file(part: Samples) -> dict[str, Array]:
    named = {f"x{number}": array for number, array in enumerate(part.x)}
    named |= {f"y{number}": array for number, array in enumerate(part.y)}
    return named if part.w is None else {**named, "w": part.w}


def _mapped(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
