"""Tables of models over seeds: accuracy, sizes and cycles of every leaf, beside published figures.

    found = complete_figures(request, model, seed=0, leaves=["ptq"])    # measured, or read from `request.folder`
    table = summarize(model, [found], ["ptq"], "hil tables models/net.py")
    print(render([table], "hil tables models/net.py", ".md"))           # .html, .json

The figures of a model and a seed are one small JSON file with the hashes of what they were made of.  Tables are made
from such files alone, so a file that is there needs no training.
"""
