"""A walk as pictures: a page of its own (HTML) or one image (PNG), both of the same drawings.

    from hil.harness.tree import pictures

    kernel = pictures.kernel_of(evaluator, model, found)          # None: the page goes without
    Path("tree.html").write_text(pictures.html(found, kernel))
    Path("tree.png").write_bytes(pictures.png(found, kernel))

`plan` where nodes stand · `tree`, `scatter`, `weights` the drawings · `labels` names beside points · `kernels` the
values of a kernel, stage by stage · `canvas` colours and text · `status` signs and words · `svg` a drawing inside a
page · `page` and `image` the two formats · `figures` table and heading of the image · `files` where they are written

matplotlib draws, and is imported when something is drawn.
"""

from hil.harness.tree.pictures.html_page import html
from hil.harness.tree.pictures.kernel_stages import KernelStages, Stage, check_kernel, kernel_of
from hil.harness.tree.pictures.output_files import check_outputs, write
from hil.harness.tree.pictures.png_image import png

__all__ = ["KernelStages", "Stage", "check_kernel", "check_outputs", "html", "kernel_of", "png", "write"]
