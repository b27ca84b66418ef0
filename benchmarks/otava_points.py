"""Apache Otava's change points, in an environment of its own: its pins clash with TensorFlow's NumPy.

    python -m benchmarks.otava_points < series.jsonl > points.jsonl

Reads a series, a JSON list, from each line, and writes a line with the list of [position, mean before, mean after]
that Otava finds with its own settings.  `regression_rules.py` runs it with the Python of an environment that has
`apache-otava`.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    from otava.analysis import compute_change_points  # of another environment

    for line in sys.stdin:
        points, _ = compute_change_points(json.loads(line))
        found = [[int(point.index), float(point.stats.mean_1), float(point.stats.mean_2)] for point in points]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
