"""The report as one HTML file, which opens from a disk without a network.

    Path("report.html").write_text(page(content), encoding="utf-8")

`render` fills the template · `finding_sections`, `changes` rows of the tables · `trend_data` data of the plots,
compressed · `leaf_groups` leaves compared, as `hil tree` shows them · `figure_format` numbers and nights ·
`page.html.j2`, `page.css`, `tables.js`, `plot.js`, `trend_data.js`, `trends.js`, `start.js` what the file consists of

Its content policy allows its own script and style, by their hashes, and nothing else.
"""

from hil.harness.report.page.render import page

__all__ = ["page"]
