"""Report of recorded runs: what is worse, since when and because of what, as one page or as Markdown.

`content` has the values that a report shows; they hold texts as they were recorded, and whoever renders them escapes.
"""
