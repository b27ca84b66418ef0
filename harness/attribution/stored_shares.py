"""Shares of a change in the results database: an attribution is kept in the details of the verdicts that it explains.

A run that was not judged against the baseline gets its verdicts now, as `hil compare` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hil.harness.attribution.attribution import Attribution
from hil.harness.attribution.attribution_table import figure_json
from hil.harness.attribution.selection import DeploymentPair
from hil.harness.comparison.stored_runs import ATTRIBUTION, compare_stored, verdict_records
from hil.harness.results.results import Results


def store_shares(
    results: Results, run_id: str, baseline_id: str, found: Sequence[tuple[DeploymentPair, Attribution]]
) -> None:
    """Adds the shares of each figure to the verdict on it; raises `ResultsError` where the database fails."""
    by_deployment = {(pair.after.record.target, pair.name): one.figures for pair, one in found}
    stored = [one for one in results.verdicts(run_id) if one.against == baseline_id]
    run = results.join(run_id)
    with run.transaction():
        for record in stored or verdict_records(compare_stored(results, run_id, baseline_id), baseline_id):
            figures = by_deployment.get((record.target, record.deployment), {})
            if (figure := figures.get(record.figure)) is not None:
                record = replace(record, details={**record.details, ATTRIBUTION: figure_json(record.figure, figure)})
            run.verdict(record)
