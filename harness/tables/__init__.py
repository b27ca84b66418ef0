"""Tables of models over seeds: accuracy, sizes and cycles of every leaf, beside published figures.

`seed_run.complete_figures` measures a model's leaves with a seed, or reads them; `summary.summarize` takes the seeds
together; `report.render` writes the tables as text, Markdown, HTML or JSON.

The figures of a model and a seed are one small JSON file with the hashes of what they were made of.  Tables are made
from such files alone, so a file that is there needs no training.
"""
