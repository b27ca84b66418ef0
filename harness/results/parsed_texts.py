"""JSON texts of a column, each parsed once: the identity of a deployment is the same in most nights."""

from __future__ import annotations

import json
from typing import Any


class ParsedTexts(dict[str, Any]):
    """Text -> its value, which equal texts share."""

    def __missing__(self, text: str) -> Any:
        value = self[text] = json.loads(text)
        return value
