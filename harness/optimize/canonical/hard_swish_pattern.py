"""Recognition of x * relu6(x + 3) / 6, however its four operations are ordered and written."""

from __future__ import annotations

from typing import Any

import numpy as np

from hil.harness.optimize.canonical.rewrite import Rewrite
from hil.harness.optimize.keras.hard_swish import hard_swish_layer

_SIXTH = 1 / 6


class HardSwishPattern:
    """Terms of the expression by tensor of the new network: (x, name of the term); x is a tensor of it as well."""

    def __init__(self, rewrite: Rewrite) -> None:
        self._rewrite = rewrite
        self._terms: dict[int, tuple[Any, str, Any]] = {}

    def noted(self, given: list[Any], made: Any) -> Any:
        """Returns the output to go on with: of a HardSwish if `made`, computed from `given`, completes one."""
        found = self._term(made, given)
        if found is None:
            return made
        x, term = found
        if term == "x * relu6(x + 3) / 6":
            return self._rewrite.new(hard_swish_layer(), f"{made.node.layer.name}_hard_swish", {})(x)
        self._terms[id(made)] = x, term, made  # a tensor that is held keeps its id
        return made

    def _term(self, made: Any, given: list[Any]) -> tuple[Any, str] | None:
        layer = made.node.layer
        kind, config = type(layer).__name__, layer.get_config()
        terms = [self._terms.get(id(x), (x, "x", x))[:2] for x in given]
        if kind == "Rescaling":
            ((x, term),) = terms
            scale, offset = float(np.ravel(config["scale"])[0]), float(np.ravel(config["offset"])[0])
            if np.size(config["scale"]) + np.size(config["offset"]) > 2:
                return None
            if (scale, offset) == (1.0, 3.0):
                return given[0], "x + 3"
            if np.isclose(scale, _SIXTH, rtol=1e-5) and offset == 0 and term.endswith("relu6(x + 3)"):
                return x, f"{term} / 6"
        if kind == "ReLU" and config["max_value"] == 6 and not config["negative_slope"] and not config["threshold"]:
            ((x, term),) = terms
            return (x, "relu6(x + 3)") if term == "x + 3" else None
        if kind == "Multiply" and len(terms) == 2:
            for (x, term), other in ((terms[0], given[1]), (terms[1], given[0])):
                if term in ("relu6(x + 3)", "relu6(x + 3) / 6") and other is x:
                    return x, f"x * {term}"
        return None
