"""Verdicts on figures: worse, better, same or unknown, by rules that know exact figures from noisy ones.

Values in, values out: no database, no pytest, no TensorFlow.  `docs/regression.md` states the rules and their rates of
false alarms and of steps found.
"""

from hil.harness.judgement.exact import judge_exact
from hil.harness.judgement.measured import judge_measured
from hil.harness.judgement.noise import Noise, calibrate, calibrate_together
from hil.harness.judgement.verdict import Judgement, Verdict

__all__ = [
    "Judgement",
    "Noise",
    "Verdict",
    "calibrate",
    "calibrate_together",
    "judge_exact",
    "judge_measured",
]
