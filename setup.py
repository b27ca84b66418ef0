"""Maps the folders at the top of this repository to packages under one name: `core/` is `hil.core`, and so on, and
builds the compiled code of `hil.npu.native`.

All other metadata stands in `pyproject.toml`; packages are found here because setuptools has no declarative way to find
them in several folders and put them below one name.  Without a compiler the package installs as well: NumPy then
computes what the compiled code would.
"""

import hashlib
from pathlib import Path

from setuptools import Extension, find_packages, setup

FLOORS = ("core", "npu", "fvp", "targets", "harness")

folders = find_packages(include=[pattern for floor in FLOORS for pattern in (floor, f"{floor}.*")])
sources, headers = (sorted(Path("npu/native").glob(pattern)) for pattern in ("*.c", "*.h"))
version = hashlib.sha256(b"".join(path.read_bytes() for path in sorted([*sources, *headers]))).digest()[:7]
setup(
    packages=[f"hil.{folder}" for folder in folders],
    package_dir={f"hil.{folder}": folder.replace(".", "/") for folder in folders},
    ext_modules=[
        Extension(
            "hil.npu.native._steps",
            [str(path) for path in sources],
            depends=[str(path) for path in headers],
            define_macros=[("SOURCE_VERSION", f"{int.from_bytes(version, 'little')}LL")],
            extra_compile_args=["-std=c11", "-O3", "-fwrapv", "-fno-trapping-math", "-fvisibility=default"],
            optional=True,
        )
    ],
)
