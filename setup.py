"""Maps the folders at the top of this repository to packages under one name: `core/` is `hil.core`, and so on, and
builds the compiled code of `hil.npu.native`.

All other metadata stands in `pyproject.toml`; packages are found here because setuptools has no declarative way to find
them in several folders and put them below one name.  Without a compiler the package installs as well: NumPy then
computes what the compiled code would.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

FLOORS = ("core", "npu", "fvp", "targets", "harness")
sources, headers = (sorted(Path("npu/native").glob(pattern)) for pattern in ("*.c", "*.h"))
digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted([*sources, *headers]))).digest()
version = int.from_bytes(digest[:7], "little")


class BuildOfChanges(build_ext):
    """Leaves out the compiler where an editable install finds the library beside the sources built from them.

    tox installs the package anew before every run, and compiling takes five seconds.
    """

    def build_extension(self, ext: Extension) -> None:
        built = Path(self.get_ext_fullpath(ext.name))
        beside = Path("npu/native", built.name)
        if self.editable_mode and is_current(beside):
            built.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(beside, built)
        else:
            super().build_extension(ext)


def is_current(library: Path) -> bool:
    """Returns whether a library was built from the C files as they are, after the last change of this file.

    It is loaded in a process of its own, which a damaged one ends.
    """
    if not library.exists() or library.stat().st_mtime < Path(__file__).stat().st_mtime:
        return False
    ask = "import ctypes, sys; print(ctypes.c_int64.in_dll(ctypes.CDLL(sys.argv[1]), 'source_version').value)"
    found = subprocess.run([sys.executable, "-c", ask, library.resolve()], capture_output=True, text=True, check=False)
    return found.stdout.strip() == str(version)


folders = find_packages(include=[pattern for floor in FLOORS for pattern in (floor, f"{floor}.*")])
setup(
    cmdclass={"build_ext": BuildOfChanges},
    packages=[f"hil.{folder}" for folder in folders],
    package_dir={f"hil.{folder}": folder.replace(".", "/") for folder in folders},
    ext_modules=[
        Extension(
            "hil.npu.native._steps",
            [str(path) for path in sources],
            depends=[str(path) for path in headers],
            define_macros=[("SOURCE_VERSION", f"{version}LL")],
            extra_compile_args=["-std=c11", "-O3", "-fwrapv", "-fno-trapping-math", "-fvisibility=default"],
            optional=True,
        )
    ],
)
