"""Attribution of a change between two runs: how much of it each part explains, found by exchange.

`parts` says in what two identities differ and what of it can be exchanged, `stored_inputs` finds the int8 files and
Vela configurations of earlier runs, `exchange` makes a deployment of parts of both, `exchange_target` runs it, `shares`
divides the change, `noise` says how much of a share may be noise, `layers` divides the cycles, `retraining` takes the
model itself apart, `reproduction` compares with what was recorded, `attribution` is the way through, `selection` names
the deployments, `attribution_table` formats the result.
"""
