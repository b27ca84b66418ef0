"""A change is divided among its parts: exactly, whatever the parts do to each other."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hil.harness.attribution.shares import MOST_WHOLE, Chosen, FigureShares, divide_change, exchanges

NAMES = ("model", "vela", "vela_options", "vela_config", "accelerator", "memory_mode")


def divided(parts: tuple[str, ...], values: dict[Chosen, float]) -> FigureShares:
    return divide_change(parts, lambda chosen: {"sram": values[chosen]})["sram"]


@st.composite
def drawn(draw: st.DrawFn) -> tuple[tuple[str, ...], dict[Chosen, float]]:
    parts = NAMES[: draw(st.integers(0, len(NAMES)))]
    numbers = st.floats(-1e9, 1e9, allow_nan=False)
    return parts, {chosen: draw(numbers) for chosen in exchanges(parts)}


@given(drawn())
def test_shares_add_up_to_the_change_exactly(case: tuple[tuple[str, ...], dict[Chosen, float]]) -> None:
    parts, values = case
    found = divided(parts, values)
    assert found.change == Fraction(values[frozenset(parts)]) - Fraction(values[frozenset()])
    assert sum(one.share for one in found.parts.values()) + found.rest == found.change
    if len(parts) <= MOST_WHOLE:
        assert found.rest == 0


def test_parts_that_do_not_act_on_each_other_have_their_own_change() -> None:
    for count in range(1, len(NAMES) + 1):
        parts = NAMES[:count]
        own = {part: 10**n for n, part in enumerate(parts)}
        found = divided(parts, {chosen: 7 + sum(own[part] for part in chosen) for chosen in exchanges(parts)})
        assert {part: one.share for part, one in found.parts.items()} == own
        assert found.rest == found.interaction == 0


def test_an_interaction_of_two_is_halved_and_one_without_effect_has_none() -> None:
    for others in ((), NAMES[2:4], NAMES[2:]):  # with whole and with single exchanges
        parts = ("model", "vela", *others)
        found = divided(parts, {chosen: 100.0 * ({"model", "vela"} <= chosen) for chosen in exchanges(parts)})
        assert [one.share for one in found.parts.values()] == [50, 50, *[0] * len(others)]
        assert [one.alone for one in found.parts.values()] == [0] * len(parts)
        assert (found.interaction, found.rest) == (100, 0)


def test_of_many_parts_the_interaction_of_three_is_a_rest() -> None:
    three = {"model", "vela", "accelerator"}
    found = divided(NAMES, {chosen: 60.0 * (three <= chosen) for chosen in exchanges(NAMES)})
    assert {part for part, one in found.parts.items() if one.share} == three
    assert found.rest == -30
    assert len(exchanges(NAMES)) == 2 * len(NAMES) + 2
