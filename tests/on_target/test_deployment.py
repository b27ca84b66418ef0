"""The suite that `pytest --target T` runs: every model, every technique.  Copy what you need.

pytest --target fvp --model fashion_cnn --technique pcqat
"""


def test_computes_exactly_what_the_reference_computes(parity):
    assert parity.mismatches == 0
    assert parity.sim_mismatches == 0


def test_is_still_right(accuracy, budget):
    assert accuracy.drop <= budget.max_accuracy_drop


def test_follows_the_float_model(parity):
    assert parity.sqnr_db is None or parity.sqnr_db >= 10  # None: the model came as an int8 file


def test_is_fast_enough(latency, budget):
    assert latency.ms <= budget.max_latency_ms


def test_fits(deployment, memory, budget):
    assert memory.sram_bytes <= budget.max_sram_bytes
    assert memory.flash_bytes <= budget.max_flash_bytes
    assert len(deployment.int8) <= budget.max_model_bytes
