"""Comparison of two runs: which figures may be compared, and the verdict on each.

`dependencies` says what a figure depends on, `gates` how much worse it may become, `comparison` compares two runs,
`comparison_table` formats the result.  The rules for exact and measured figures are those of `hil.harness.judgement`.
"""
