"""Sizes of a model file: plain, zipped and gzipped, as in the tables of TFMOT's guides.

    compressed_sizes(int8)         # FileSizes(tflite=62128, zip=27010, gzip=26790)

The same file gives the same sizes with the same zlib: the archives have a fixed name and time.  zip is
zlib's default level, as `zipfile` in TFMOT's notebooks uses it; gzip is level 9, as `gzip -9`.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass

_NAME = "model.tflite"
_ZIP_LEVEL = 6
_GZIP_LEVEL = 9


@dataclass(frozen=True)
class FileSizes:
    """Bytes of an int8 TFLite file: plain, in a zip archive, gzipped."""

    tflite: int
    zip: int
    gzip: int


def compressed_sizes(int8: bytes) -> FileSizes:
    """Compresses a TFLite file in memory and returns the sizes in bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_ZIP_LEVEL) as file:
        entry = zipfile.ZipInfo(_NAME)  # whose time is 1980
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, int8, compresslevel=_ZIP_LEVEL)
    return FileSizes(len(int8), len(archive.getvalue()), len(gzip.compress(int8, _GZIP_LEVEL, mtime=0)))
