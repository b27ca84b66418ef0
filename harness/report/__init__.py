"""Report of recorded runs: what is worse, since when and because of what, as one page or as Markdown.

    from hil.harness.report.output import render
    from hil.harness.report.reader import read_content

    text = render(read_content(results, baseline="main"), "html")

`reader` reads the content from the results database · `content` has its values, texts as they were recorded: whoever
renders them escapes · `findings`, `onset`, `cause` the verdicts on a run, the night since which each is so, and why ·
`trend`, `thinning`, `series` figures over the nights · `leaves`, `failures`, `board_health`, `log_text` the rest of a
night · `verdict` its word and sentence · `output`, `page`, `markdown` the two forms
"""
