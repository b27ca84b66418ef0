"""Hardware parameters of every Ethos-U55 and Ethos-U65: MAC units, SHRAM, micro-block, cores, AXI width.

    >>> Accelerator.from_name("ethos-u55-128").macs
    128

All execute the same commands.  They differ in

* the MAC units, 32 to 512 multiplications of 8 bits per cycle;
* the *micro-block* ("ublock"): the part of an OFM block that the MAC units compute at a time, height x width x depth,
  and the IFM depth that they read for it.  These two depths fix the order in which weights are stored;
* SHRAM, the memory inside the NPU.  Its last 2 KiB hold the lookup tables of activations;
* the cores: the U65-512 has two of 256 MACs, each with its own SHRAM.  The first computes the even output channels,
  the second the odd ones, so there are two weight streams and two scale streams;
* the width of the two AXI ports, 64 bits (U55) or 128 (U65).

The register CONFIG names the member: bits 0-3 log2 of the MACs, bits 8-15 SHRAM in KiB (of all cores), bits 28-31 the
product (0 = U55, 1 = U65).  Sources: `config_r` of Vela's `ethos_u55_regs`, Vela's `architecture_features.py` (ublocks,
SHRAM banks, cores) and `weight_compressor.py` (`core_deinterleave`).
"""

from __future__ import annotations

from typing import NamedTuple

from hil.core.errors import BadInputError, StreamError

LUT_BYTES = 2048
"""Bytes at the end of SHRAM that hold the lookup tables."""

ID_WORD = 0x1006_6001
"""Register ID: architecture 1.0.6, product version as Vela and the open models report it."""

VIRTUAL_ID_WORD = ID_WORD | 0xF00
"""Register ID of the NPU of a virtual board: revision r15 does not exist, so it never passes for a real one."""

_U55, _U65 = 0, 1
"""Product numbers in bits 28-31 of CONFIG."""

_FAMILIES = {_U55: "ethos-u55", _U65: "ethos-u65"}


class ConfigRegister(NamedTuple):
    """Fields of the register CONFIG: the product's number, MACs a cycle, and KiB of SHRAM of all cores."""

    product: int
    macs: int
    shram_kib: int

    @classmethod
    def from_word(cls, word: int) -> ConfigRegister:
        """The fields of the 32-bit `word`."""
        return cls(word >> 28, 1 << (word & 15), word >> 8 & 0xFF)

    @property
    def word(self) -> int:
        """The register's value; the fields that are not modelled are 0."""
        return (self.macs.bit_length() - 1) | self.shram_kib << 8 | self.product << 28

    @property
    def name(self) -> str:
        """The NPU in Vela's words, such as `ethos-u55-128`; `product 2-128` for a family that is not modelled."""
        return f"{_FAMILIES.get(self.product, f'product {self.product}')}-{self.macs}"


class Accelerator(NamedTuple):
    """One Ethos-U configuration.

    `ofm_ublock` is (height, width, depth) of the OFM micro-block, `ifm_ublock_depth` the IFM channels read at a time,
    `shram_bytes` the size of one core's SHRAM, `macs` the MAC units of all cores together.
    """

    name: str
    macs: int
    shram_bytes: int
    ofm_ublock: tuple[int, int, int]
    ifm_ublock_depth: int = 8
    cores: int = 1
    product: int = _U55

    @property
    def config_word(self) -> int:
        """Value of register CONFIG, which Vela also writes into the driver payload."""
        return ConfigRegister(self.product, self.macs, self.shram_bytes // 1024 * self.cores).word

    @property
    def beat_bytes(self) -> int:
        """Bytes per beat on each of the two AXI ports."""
        return 16 if self.product == _U65 else 8

    @classmethod
    def from_name(cls, name: str) -> Accelerator:
        """Finds a member by the name that Vela's `--accelerator-config` takes; raises `BadInputError` for any other."""
        for accelerator in ALL:
            if accelerator.name == name:
                return accelerator
        known = ", ".join(a.name for a in ALL)
        raise BadInputError(f"no accelerator is called {name!r}", hint=f"known are {known}")

    @classmethod
    def from_config_word(cls, config: int) -> Accelerator:
        """Finds the member whose register CONFIG reads `config`; raises `StreamError` if there is none."""
        register = ConfigRegister.from_word(config)
        if register.product not in _FAMILIES:
            raise StreamError(
                f"the command stream is for product {register.product} (Ethos-U85 is 2), not for an Ethos-U55 or U65",
                hint="compile with --accelerator-config " + ", ".join(a.name for a in ALL),
            )
        for accelerator in ALL:
            if (accelerator.product, accelerator.macs) == (register.product, register.macs):
                return accelerator
        family = ("Ethos-U55", "Ethos-U65")[register.product]
        raise StreamError(f"no {family} has {register.macs} MACs (configuration word {config:#010x})")


U55 = (
    Accelerator("ethos-u55-32", 32, 16 * 1024, (1, 1, 4)),
    Accelerator("ethos-u55-64", 64, 16 * 1024, (1, 1, 8)),
    Accelerator("ethos-u55-128", 128, 24 * 1024, (1, 2, 8)),
    Accelerator("ethos-u55-256", 256, 48 * 1024, (2, 2, 8)),
)
"""The members of the U55 family, smallest first."""

U65 = (
    Accelerator("ethos-u65-256", 256, 48 * 1024, (2, 2, 8), product=_U65),
    Accelerator("ethos-u65-512", 512, 48 * 1024, (2, 2, 8), cores=2, product=_U65),
)
"""The members of the U65 family."""

ALL = U55 + U65
"""All members."""
