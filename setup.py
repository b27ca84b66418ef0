"""Maps the folders at the top of this repository to packages under one name: `core/` is `hil.core`, and so on.

All other metadata stands in `pyproject.toml`; packages are found here because setuptools has no declarative way to find
them in several folders and put them below one name.
"""

from setuptools import find_packages, setup

FLOORS = ("core", "npu", "fvp", "targets", "harness")

folders = find_packages(include=[pattern for floor in FLOORS for pattern in (floor, f"{floor}.*")])
setup(
    packages=[f"hil.{folder}" for folder in folders],
    package_dir={f"hil.{folder}": folder.replace(".", "/") for folder in folders},
)
