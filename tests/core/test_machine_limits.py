"""A limit of the machine is named wherever it stands: in an exception's number or text, or in its cause."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import (
    BadInputError,
    CrashError,
    InfrastructureError,
    NoMemoryError,
    UnavailableError,
    WorkerDiedError,
)
from hil.core.machine_limits import limit_in_text, machine_error


def raised_from(cause: Exception, error: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception:
            raise error from None
    except Exception as found:
        return found


@pytest.mark.parametrize(
    ("error", "kind", "line"),
    [
        (OSError(errno.ENOSPC, "x", "/s/file"), InfrastructureError, "net: base: No space left on device: /s/file"),
        (OSError(errno.EROFS, "x", "/s/file"), InfrastructureError, "net: base: Read-only file system: /s/file"),
        (OSError(errno.EMFILE, "x", "/s/file"), InfrastructureError, "net: base: Too many open files: /s/file"),
        (
            raised_from(OSError(errno.EDQUOT, "x"), BadInputError("out.npz cannot be written")),
            InfrastructureError,
            "net: base: Disk quota exceeded",
        ),
        (
            RuntimeError("file write failed: errno = 28, error message = 'No space left on device'"),
            InfrastructureError,
            "net: base: No space left on device",
        ),
        (MemoryError(), NoMemoryError, "net: base: no more memory"),
        (RuntimeError("can't start new thread"), NoMemoryError, "net: base: no more memory: can't start new thread"),
        (
            raised_from(
                ImportError("libtensorflow.so: failed to map segment from shared object"),
                UnavailableError("TensorFlow cannot be imported: failed to map segment from shared object"),
            ),
            NoMemoryError,
            "net: base: no more memory: libtensorflow.so: failed to map segment",
        ),
    ],
    ids=["full", "read-only", "files", "quota-behind", "text", "memory", "thread", "import"],
)
def test_a_limit_of_the_machine_is_one_line(error: Exception, kind: type[Exception], line: str) -> None:
    found = machine_error(error, "net: base")
    assert type(found) is kind
    assert str(found).startswith(line)
    assert found.exit_code == 3
    assert found.hint


@pytest.mark.parametrize(
    "error",
    [ValueError("wrong shape"), FileNotFoundError(errno.ENOENT, "x", "/no"), PermissionError(errno.EACCES, "x", "/no")],
)
def test_other_errors_are_none(error: Exception, tmp_path: Path) -> None:
    assert machine_error(error, "net: base", tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_an_array_that_no_machine_holds_is_a_mistake() -> None:
    with pytest.raises(MemoryError) as caught:
        np.ones((1 << 24, 1 << 24))
    assert machine_error(caught.value) is None
    assert (
        machine_error(raised_from(caught.value, BadInputError("the data cannot be loaded: Unable to allocate"))) is None
    )


def test_infrastructure_stays_what_it_is() -> None:
    error = UnavailableError("QEMU is missing")
    assert machine_error(error) is error
    died = WorkerDiedError("the process died of signal 11", log="", returncode=-11)
    assert machine_error(raised_from(died, CrashError("native code crashed"))) is None


def test_native_code_that_found_no_memory_says_so() -> None:
    log = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"
    assert isinstance(limit_in_text(log), NoMemoryError)
    assert limit_in_text("Segmentation fault") is None


def test_a_vanished_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.mkdtemp()
    found = machine_error(caught.value)
    assert str(found) == f"the temporary folder {tmp_path / 'gone'} is gone (TMPDIR names another)"
