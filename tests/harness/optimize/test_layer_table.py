"""The table of layers in docs/techniques.md: a row says what techniques do to a tiny network.

Here each row goes through a part of its cells: those that every technique takes are chained into few networks.
`python -m benchmarks.layer_table` runs every cell.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hil.harness.optimize.canonical.network import canonical_network, rewriting_notes
from hil.harness.optimize.paths import ON_REQUEST, PATHS
from tests.support.layer_networks import ROWS, chains, row_network
from tests.support.layer_table import broken, table, walk
from tests.support.night import some_by_day


def refused(cells: dict[str, str]) -> set[str]:
    return {leaf for leaf, cell in cells.items() if cell.startswith("refused")}


TAKEN = [name for name, cells in table().items() if not refused(cells) - set(ON_REQUEST)]
REFUSED = [name for name in ROWS if name not in TAKEN]
LITERT = [name for name, cells in table().items() if "ptq" not in refused(cells) and refused(cells) & set(ON_REQUEST)]


def test_the_table_names_every_network_and_every_technique() -> None:
    assert set(table()) == set(ROWS)
    assert all(set(cells) == set(PATHS) for cells in table().values())


@pytest.mark.parametrize("names", chains(TAKEN), ids=lambda names: names[0].strip("`"))
def test_rows_that_every_technique_takes(tmp_path: Path, names: list[str]) -> None:
    walk(tmp_path, *names).untrained_qat()


@pytest.mark.parametrize("leaf", [pytest.param("pcqat", marks=pytest.mark.nightly), "npu_pcqat"])
def test_zeros_and_clusters_of_rewritten_layers_survive(tmp_path: Path, leaf: str) -> None:
    """Of a separable, a transposed and a dense layer with batch normalization, for which TFMOT has no scheme."""
    names = ("`SeparableConv2D`", "`Conv2DTranspose`", "`Flatten`, `Reshape`, `Permute`")
    made = walk(tmp_path, *names)
    made.leaf(leaf)
    promised = {re.sub(r"_\d+$", "", promise.layer) for promise in made.node(PATHS[leaf])[1]}
    assert promised >= {"wide"} | ({"separable_conv2d", "conv2d_transpose"} if leaf == "pcqat" else set())


@pytest.mark.parametrize("name", some_by_day(REFUSED, REFUSED[::3]))
def test_rows_with_a_refusal(tmp_path: Path, name: str) -> None:
    made = walk(tmp_path, name)
    assert {leaf: broken(made, leaf, table()[name][leaf]) for leaf in ("ptq", "qat")} == {"ptq": "", "qat": ""}


@pytest.mark.parametrize("name", some_by_day(LITERT, LITERT[::3]))
def test_rows_that_the_quantizer_of_litert_refuses(tmp_path: Path, name: str) -> None:
    made = walk(tmp_path, name)
    assert {leaf: broken(made, leaf, table()[name][leaf]) for leaf in ON_REQUEST} == dict.fromkeys(ON_REQUEST, "")


@pytest.mark.parametrize("name", ROWS)
def test_a_canonical_network_is_rewritten_once_and_said(name: str) -> None:
    """`canonical_network` proves each rewriting on random inputs itself."""
    network = row_network(ROWS[name])
    made = canonical_network(network, "qat")
    assert canonical_network(made, "qat") is made
    if all(cell == "taken" for leaf, cell in table()[name].items() if leaf not in ON_REQUEST):
        assert not rewriting_notes(network, made)
