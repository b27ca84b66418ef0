"""Arm's program that does not start: repaired where a remedy is known, else reported in its own words."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hil.core.errors import UnavailableError
from hil.fvp.engines import engine, search, shim
from hil.fvp.inference import firmware
from hil.fvp.inference.inference import run_inference
from tests.support.arm_program import FAST_MODELS, PYTHON, STACK, arm, program
from tests.support.reference import oracle

Compile = Callable[..., tuple[bytes, bytes]]
U55 = search.EXECUTABLES["ethos-u55"]


@pytest.mark.parametrize(
    ("lines", "said", "hint"),
    [
        ([f"echo '{STACK}' >&2", "exit 1"], "cannot enable executable stack", "patchelf --clear-execstack"),
        ([f"echo '{PYTHON}' >&2", "exit 127"], r"libpython3\.9", "install libpython3.9"),
        (
            [
                "echo 'error while loading shared libraries: libatomic.so.1: cannot open shared object file' >&2",
                "exit 127",
            ],
            "libatomic",
            "libatomic1",
        ),
        (['echo "/lib/libc.so.6: version \\`GLIBC_2.34\' not found" >&2; exit 1'], "GLIBC", "--engine docker"),
        (["echo 'ERROR: License check failed' >&2; exit 1"], "License", "the Ecosystem FVP needs none"),
        (["kill -SEGV $$"], "does not start", ""),
        (["echo hello"], "is no FVP: it answers 'hello'", "Fast Models"),
        (["exit 0"], "is no FVP: it answers 'nothing'", "Fast Models"),
    ],
    ids=["executable stack", "libpython", "a library", "C library", "licence", "crash", "another program", "silence"],
)
def test_a_program_that_does_not_start_is_told_in_its_words_with_what_helps(
    tmp_path: Path, lines: list[str], said: str, hint: str
) -> None:
    path = program(tmp_path / U55[0], *lines)
    for name in ("arm", "auto"):  # Modelled cycles do not stand in for those of a program that the user named.
        with pytest.raises(UnavailableError, match=said) as caught:
            engine.find(name, path)
        assert hint in caught.value.hint
        assert str(path) in str(caught.value)


def test_an_executable_stack_that_is_refused_is_asked_for_and_the_inference_too(
    tmp_path: Path, runner: firmware.Firmware, compiled: Compile
) -> None:
    """The same variable that lets it start is there when it runs."""
    start = shim.launcher("ethos-u55").splitlines()[-1]
    path = program(
        tmp_path / U55[0], 'case "$GLIBC_TUNABLES" in', f"*glibc.rtld.execstack=2) {start};;", "esac",
        f"echo '{STACK}' >&2", "exit 1",
    )  # fmt: skip
    found = engine.find("arm", path)
    assert found.environment == {"GLIBC_TUNABLES": "glibc.rtld.execstack=2"}
    int8, model = compiled("kws_ref_int8")
    data = np.random.default_rng(0).integers(-128, 128, (49, 10, 1), np.int8)
    assert list(run_inference(model, [data.tobytes()], [12], engine=found).outputs) == oracle(int8, data)


def test_its_own_python_library_is_found_in_its_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    root = tmp_path / "FVP"
    (root / "python" / "lib").mkdir(parents=True)
    (root / "python" / "lib" / "libpython3.9.so.1.0").touch()
    wanted = f"{root}/python/lib:/nowhere"
    path = program(
        root / "models" / "Linux64_GCC-9.3" / U55[0],
        f'[ "$LD_LIBRARY_PATH" = "{wanted}" ] && [ "$GLIBC_TUNABLES" ] && echo "{FAST_MODELS}" && exit',
        f'[ "$LD_LIBRARY_PATH" = "{wanted}" ] && echo "{STACK}" >&2 && exit 1',
        f'echo "{PYTHON}" >&2', "exit 127",
    )  # fmt: skip
    found = engine.find("arm", path)
    assert found.environment == {"LD_LIBRARY_PATH": wanted, "GLIBC_TUNABLES": "glibc.rtld.execstack=2"}
    assert found.version.endswith(" 11.27.42")


def test_a_program_for_another_processor_names_both(tmp_path: Path) -> None:
    path = tmp_path / U55[0]
    foreign = {"x86_64": 0xB7}.get(platform.machine(), 0x3E)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + foreign.to_bytes(2, "little") + bytes(44))
    path.chmod(0o755)
    with pytest.raises(UnavailableError, match=f"is built for .* and this machine is {platform.machine()}") as caught:
        engine.find("arm", path)
    assert "hil fvp install" in caught.value.hint


def test_what_is_named_and_cannot_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = arm(tmp_path / U55[0])
    path.chmod(0o644)
    with pytest.raises(UnavailableError, match="is not executable") as caught:
        engine.find("auto", path)
    assert caught.value.hint == f"chmod +x {path}"
    for name in ("arm", "auto"):
        monkeypatch.setenv(search.VARIABLES[0], str(tmp_path / "nothing"))
        with pytest.raises(UnavailableError, match="is no executable"):
            engine.find(name)
        monkeypatch.setenv(search.VARIABLES[0], str(tmp_path))
        with pytest.raises(UnavailableError, match="has no executable of Arm's"):
            engine.find(name)
