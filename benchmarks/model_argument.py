"""The argument of a benchmark that names a model's file.

parser.add_argument("model", type=model_file)
"""

from __future__ import annotations

import argparse
from pathlib import Path


def model_file(text: str) -> Path:
    """Returns the path of a file; without one, argparse ends with one line and exit code 2."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path
