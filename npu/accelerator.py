"""The members of the Ethos-U55 family, and what of each a command stream depends on.

    >>> Accelerator.from_name("ethos-u55-128").macs
    128

All U55 run the same commands.  They differ in

* the MAC units, 32 to 256 multiplications of 8 bits a cycle;
* the *micro-block* ("ublock"): the piece of output that the MAC units work on at a time, height x width x depth, and
  the depth of input that they take for it.  Its two depths fix the order in which weights are stored;
* SHRAM, the memory inside the NPU.  Its last 2 KiB hold the lookup tables of activations.

The register CONFIG names the member: bits 0-3 log2 of the MACs, bits 8-15 SHRAM in KiB, bits 28-31 the product
(0 = U55).  Sources: `config_r` of Vela's `ethos_u55_regs`, Vela's `architecture_features.py` (ublocks, SHRAM banks).
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.npu.errors import BadInputError, StreamError

LUT_BYTES = 2048
"""Size of the lookup tables' part of SHRAM, at its end."""

ID_WORD = 0x1006_6001
"""Register ID: architecture 1.0.6, product version as Vela and the open models report it."""


@dataclass(frozen=True)
class Accelerator:
    """One member of the family.

    `ofm_ublock` is (height, width, depth) of the output micro-block, `ifm_ublock_depth` the input depth taken at a
    time, `shram_bytes` the size of SHRAM.
    """

    name: str
    macs: int
    shram_bytes: int
    ofm_ublock: tuple[int, int, int]
    ifm_ublock_depth: int = 8

    @property
    def config_word(self) -> int:
        """What register CONFIG reads, and what Vela writes into its output."""
        return (self.macs.bit_length() - 1) | (self.shram_bytes // 1024) << 8

    @classmethod
    def from_name(cls, name: str) -> Accelerator:
        """`name` as Vela's `--accelerator-config` takes it; raises `BadInputError` for any other."""
        for accelerator in ALL:
            if accelerator.name == name:
                return accelerator
        known = ", ".join(a.name for a in ALL)
        raise BadInputError(f"no accelerator is called {name!r}", hint=f"known are {known}")

    @classmethod
    def from_config_word(cls, config: int) -> Accelerator:
        """The member whose CONFIG is `config`; raises `StreamError` if it is none of this family."""
        if config >> 28:
            raise StreamError(
                f"the command stream is for product {config >> 28}, not for an Ethos-U55",
                hint="compile with --accelerator-config ethos-u55-32, -64, -128 or -256",
            )
        for accelerator in ALL:
            if accelerator.macs == 1 << (config & 15):
                return accelerator
        raise StreamError(f"no Ethos-U55 has {1 << (config & 15)} MACs (configuration word {config:#010x})")


ALL = (
    Accelerator("ethos-u55-32", 32, 16 * 1024, (1, 1, 4)),
    Accelerator("ethos-u55-64", 64, 16 * 1024, (1, 1, 8)),
    Accelerator("ethos-u55-128", 128, 24 * 1024, (1, 2, 8)),
    Accelerator("ethos-u55-256", 256, 48 * 1024, (2, 2, 8)),
)
"""The four members, smallest first."""
