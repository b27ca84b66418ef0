"""Attribution of a change between two runs: how much of it each part explains, found by exchange on `sim`.

`parts` says in what two identities differ and what of it can be exchanged, `stored_inputs` finds the int8 files and
Vela configurations of earlier runs, `exchange` makes a deployment of parts of both, `shares` divides the change,
`layers` its cycles, `retraining` takes the model itself apart, `attribution` is the way through, `selection` names the
deployments, `attribution_table` formats the result.
"""
