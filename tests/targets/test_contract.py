"""Every target of this project meets the contract for targets of other packages."""

from __future__ import annotations

import pytest

from hil.harness.pytest_plugin.target_contract import TargetContract


class TestHost(TargetContract):
    name = "host"


class TestSim(TargetContract):
    name = "sim"


@pytest.mark.xdist_group("contract-fvp")
class TestFvp(TargetContract):
    name = "fvp"
    options = {"engine": "open"}  # noqa: RUF012 - read only


@pytest.mark.xdist_group("contract-serial")
class TestSerial(TargetContract):
    name = "serial"
    options = {"board": "virtual", "repetitions": 2}  # noqa: RUF012 - read only
