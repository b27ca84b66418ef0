"""Pictures of a walk: an HTML page or a PNG image of the same drawings.

    from hil.harness.tree import pictures

    kernel = pictures.kernel_of(evaluator, model, found)      # None: the page has no kernel
    Path("tree.html").write_text(pictures.html(found, kernel))
    Path("tree.png").write_bytes(pictures.png(found, kernel))

`html_page`, `png_image` the two formats · `output_files` writes them · `tree_layout`, `tree_drawing` the tree ·
`scatter`, `labels` accuracy against cost · `kernel_stages`, `kernel_drawing` a kernel, stage by stage · `figure_table`
heading and table of the image · `status` signs and words of a status

`hil.harness.drawing` has colours, text and SVG.  matplotlib is imported by the first drawing.
"""

from hil.harness.tree.pictures.html_page import html
from hil.harness.tree.pictures.kernel_stages import KernelStages, Stage, check_kernel, kernel_of
from hil.harness.tree.pictures.output_files import check_outputs, write
from hil.harness.tree.pictures.png_image import png

__all__ = ["KernelStages", "Stage", "check_kernel", "check_outputs", "html", "kernel_of", "png", "write"]
