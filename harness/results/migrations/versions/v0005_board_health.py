"""Adds the view `board_health` for other programs: the state of each board, from its events."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

BOARD_HEALTH = """
CREATE VIEW board_health AS
WITH ranked AS (
    SELECT
        name, event, detail, serial, at,
        ROW_NUMBER() OVER (PARTITION BY name, event ORDER BY at DESC, id DESC) AS age,
        ROW_NUMBER() OVER (PARTITION BY name, event IN ('failed', 'lost') ORDER BY at DESC, id DESC) AS age_of_failure,
        ROW_NUMBER() OVER (
            PARTITION BY name, event IN ('quarantined', 'checked') ORDER BY at DESC, id DESC
        ) AS age_of_state,
        ROW_NUMBER() OVER (PARTITION BY name, serial <> '' ORDER BY at DESC, id DESC) AS age_of_serial
    FROM board_events
)
SELECT
    boards.name AS board,
    COALESCE(numbered.serial, '') AS serial,
    CASE WHEN quarantine.at IS NULL THEN 'ok' ELSE 'quarantined' END AS state,
    COALESCE(quarantine.detail, '') AS reason,
    quarantine.at AS quarantined_at,
    (
        SELECT COUNT(*) FROM board_events AS one
        WHERE one.name = boards.name AND one.event IN ('failed', 'lost')
            AND (checked.at IS NULL OR one.at > checked.at)
    ) AS failures,
    COALESCE(failure.detail, '') AS last_cause,
    failure.at AS last_failure_at,
    checked.at AS last_check_at,
    seen.at AS last_seen_at
FROM (SELECT DISTINCT name FROM board_events) AS boards
LEFT JOIN ranked AS numbered
    ON numbered.name = boards.name AND numbered.serial <> '' AND numbered.age_of_serial = 1
LEFT JOIN ranked AS quarantine
    ON quarantine.name = boards.name AND quarantine.event = 'quarantined' AND quarantine.age_of_state = 1
LEFT JOIN ranked AS checked ON checked.name = boards.name AND checked.event = 'checked' AND checked.age = 1
LEFT JOIN ranked AS failure
    ON failure.name = boards.name AND failure.event IN ('failed', 'lost') AND failure.age_of_failure = 1
LEFT JOIN ranked AS seen ON seen.name = boards.name AND seen.event = 'identified' AND seen.age = 1
"""


def upgrade() -> None:
    """Adds a view."""
    op.execute(BOARD_HEALTH)
