"""Adds the views `trend`, `latest` and `verdicts` for other programs; the table of verdicts gets another name."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

TREND = """
CREATE VIEW trend AS
SELECT
    runs.id AS run,
    runs.started AS started,
    CASE WHEN runs.finished IS NULL THEN 'unfinished' ELSE 'finished' END AS state,
    {commit} AS commit_id,
    deployments.id AS deployment_id,
    deployments.name AS deployment,
    deployments.model AS model,
    deployments.path AS path,
    deployments.target AS target,
    {accelerator} AS accelerator,
    {memory_mode} AS memory_mode,
    {board} AS board,
    {vela} AS vela,
    {int8_sha256} AS int8_sha256,
    measurements.name AS figure,
    measurements.value AS value,
    measurements.unit AS unit,
    measurements.trust AS trust,
    measurements.note AS note
FROM measurements
JOIN deployments ON deployments.id = measurements.deployment_id
JOIN runs ON runs.id = measurements.run_id
WHERE measurements.name NOT LIKE '%#%'
"""

LATEST = """
CREATE VIEW latest AS
SELECT trend.*
FROM trend
JOIN (
    SELECT
        deployments.id AS id,
        ROW_NUMBER() OVER (
            PARTITION BY
                deployments.model, deployments.path, deployments.target, {accelerator}, {memory_mode}, {board}
            ORDER BY runs.started DESC, runs.id DESC
        ) AS age
    FROM deployments
    JOIN runs ON runs.id = deployments.run_id
) AS newest ON newest.id = trend.deployment_id
WHERE newest.age = 1
"""

VERDICTS = """
CREATE VIEW verdicts AS
SELECT
    runs.id AS run,
    runs.started AS started,
    verdict_records.deployment AS deployment,
    verdict_records.target AS target,
    verdict_records.figure AS figure,
    verdict_records.verdict AS verdict,
    verdict_records.value AS value,
    verdict_records.reference AS reference,
    verdict_records.unit AS unit,
    {fails} AS fails,
    verdict_records.rule AS rule,
    verdict_records.message AS reason,
    verdict_records.against AS against
FROM verdict_records
JOIN runs ON runs.id = verdict_records.run_id
"""


def upgrade() -> None:
    """Renames a table and adds three views."""
    op.rename_table("verdicts", "verdict_records")
    fields = {
        **{name: _text("deployments.identity", name) for name in ("accelerator", "memory_mode", "board", "vela")},
        "int8_sha256": _text("deployments.identity", "int8_sha256"),
        "commit": _text("runs.identity", "commit"),
        "fails": _flag("verdict_records.details", "fails"),
    }
    for view in (TREND, LATEST, VERDICTS):
        op.execute(view.format_map(fields))


def _text(column: str, field: str) -> str:
    """Returns the SQL of a text in a JSON object, empty where it has none."""
    if op.get_bind().dialect.name == "postgresql":
        return f"COALESCE({column} ->> '{field}', '')"
    return f"COALESCE(json_extract({column}, '$.{field}'), '')"


def _flag(column: str, field: str) -> str:
    """Returns the SQL of a truth value in a JSON object as 1 or 0."""
    if op.get_bind().dialect.name == "postgresql":
        return f"CASE WHEN {column} ->> '{field}' = 'true' THEN 1 ELSE 0 END"
    return f"COALESCE(json_extract({column}, '$.{field}'), 0)"
