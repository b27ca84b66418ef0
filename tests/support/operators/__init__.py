"""The conformance suite: small models of single operators, Vela's output of them on `sim` against the oracle.

    python -m benchmarks.operators --fast                              the subset that the tests run
    python -m benchmarks.operators --operator CONV_2D --type int8      some cells
    python -m benchmarks.operators --write                             everything, and the table in docs/conformance.md

To add an operator, write cases in the family's file in `cases` (see `case` and `builder`), and list a new file in
`families`.
"""
