"""The suite that `pytest --target T` runs: every model, every technique.  Copy what you need.

pytest --target fvp --model fashion_cnn --technique pcqat
"""


def test_computes_exactly_what_the_reference_computes(parity):
    assert parity.mismatches == 0
    assert parity.sim_mismatches == 0


def test_follows_the_float_model(parity):
    assert parity.sqnr_db is None or parity.sqnr_db >= 10  # None: the model came as an int8 file


def test_keeps_to_its_budget(accuracy, budget):
    budget.check()
