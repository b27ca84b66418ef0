"""Drawing with Matplotlib for pictures and pages: canvas, colours, SVG, pixels, HTML."""
