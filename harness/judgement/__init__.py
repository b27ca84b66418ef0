"""Verdicts on figures: worse, better, same or unknown, by rules that know exact figures from noisy ones.

Values in, values out: no database, no pytest, no TensorFlow.  `docs/regression.md` states the rules and their rates of
false alarms and of steps found.
"""

from hil.harness.judgement.acknowledged import Acknowledged, unacknowledged
from hil.harness.judgement.confirmation import Confirmation, Outcome, confirm
from hil.harness.judgement.e_divisive import ChangePoint, change_points
from hil.harness.judgement.exact import exact_changes, judge_exact
from hil.harness.judgement.measured import judge_measured, noise_of_night
from hil.harness.judgement.noise import Noise, calibrate, calibrate_together
from hil.harness.judgement.sequential import MOST_SAMPLES, SequentialJudgement, judge_sequentially
from hil.harness.judgement.verdict import Judgement, Verdict

__all__ = [
    "MOST_SAMPLES",
    "Acknowledged",
    "ChangePoint",
    "Confirmation",
    "Judgement",
    "Noise",
    "Outcome",
    "SequentialJudgement",
    "Verdict",
    "calibrate",
    "calibrate_together",
    "change_points",
    "confirm",
    "exact_changes",
    "judge_exact",
    "judge_measured",
    "judge_sequentially",
    "noise_of_night",
    "unacknowledged",
]
