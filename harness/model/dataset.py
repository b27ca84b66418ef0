"""Data of a model file: its samples by split, and the files that identify them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.core.errors import BadInputError, HilError, UnavailableError
from hil.harness.data.loaded import batches
from hil.harness.data.samples import Samples
from hil.harness.model.field_check import check_fields

SPLITS = ("train", "test")
ALL_SPLITS = (*SPLITS, "validation", "calibration")


@dataclass(frozen=True)
class Dataset:
    """Training and test samples of a model."""

    load: Callable[[str], Any]
    """Function of a split, `"train"` or `"test"`, that returns (x, y) or (x, y, weights), or gives them batch by batch.

    x and y are arrays (n, ...), or tuples of arrays in the order of the network's inputs and outputs, or mappings of
    their names to arrays; weights (n,) count the samples. Batches come from a generator, a `tf.data.Dataset` or a
    `keras.utils.Sequence`, and are never all in memory. Integers keep their dtype until a training batch is made.
    """
    files: Callable[[], list[Path]]
    """Function that lists the files that `load` reads, which identify the data.

    It raises `UnavailableError` with a hint when the data is not on this machine.
    """
    splits: tuple[str, ...] = ("train", "test")
    """Splits that `load` knows: beside `"train"` and `"test"`, `"calibration"` has the samples that set activation
    ranges, and `"validation"` those that are evaluated after each epoch."""
    validation: float = 0.0
    """Share of the training samples that is held out for validation, where `load` has no such split. Unit: fraction."""
    augment: Callable[..., Any] | None = None
    """Function of a training batch (x, y, random generator of NumPy) that returns (x, y), called in each epoch anew.

    x is the array of the only input or a tuple of arrays, in the dtype of the data; y likewise.
    """

    def present(self) -> list[Path]:
        """Returns the files of `files`; raises `UnavailableError` for the first that is not on this machine.

        Raises `BadInputError` if `files` fails or names a folder.
        """
        try:
            found = [Path(file) for file in self.files()]
        except HilError:
            raise
        except Exception as error:
            raise BadInputError(f"Dataset.files fails: {type(error).__name__}: {error}") from error
        for file in found:
            if file.is_dir():
                raise BadInputError(f"the data is a folder: {file}", hint="let Dataset.files name every file in it")
            if not file.is_file():
                raise UnavailableError(f"the data is not on this machine: no file {file}")
        return found

    def __post_init__(self) -> None:
        check_fields(self)
        if not set(SPLITS) <= set(self.splits) <= set(ALL_SPLITS):
            raise BadInputError(f"splits {self.splits}", hint=f"train and test, and of these: {', '.join(ALL_SPLITS)}")
        if not 0 <= self.validation < 1:
            raise BadInputError(f"validation {self.validation:g}: a share of the training samples, from 0 to below 1")

    def read(self, split: str) -> Iterator[Samples]:
        """Loads and checks a split, in parts; raises `BadInputError` if `load` fails or returns anything else."""
        try:
            loaded = self.load(split)
        except HilError:
            raise
        except Exception as error:
            raise BadInputError(f"the {split} data cannot be loaded: {type(error).__name__}: {error}") from error
        return batches(loaded, split)
