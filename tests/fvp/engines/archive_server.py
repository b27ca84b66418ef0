"""An archive of Arm's form, and a server of archives on loopback."""

from __future__ import annotations

import io
import sys
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hil.fvp.engines import search, shim

PROGRAM = search.EXECUTABLES["ethos-u55"][0]


INSTALLER = f"""#!/bin/sh
# Takes the options of Arm's installer, and installs a launcher of the open executable.
accepted= silent= into=
while [ $# -gt 0 ]; do
    case "$1" in
    --i-agree-to-the-contained-eula) accepted=1;;
    --no-interactive) silent=1;;
    --quiet | --force) ;;
    --destination) into=$2; shift;;
    *) echo "unknown option $1"; exit 9;;
    esac
    shift
done
[ "$accepted$silent" = 11 ] && [ "$into" ] || {{ echo "would ask"; exit 8; }}
mkdir -p "$into/models/Linux64_GCC-9.3" "$into/models/Linux64_armv8l_GCC-9.3"
for folder in "$into"/models/*; do cp launcher "$folder/{PROGRAM}"; done
"""


def packed(**changes: str | None) -> bytes:
    """An archive as Arm's is: an installer and what it installs; `changes` replace or leave out files."""
    files: dict[str, str | None] = {"FVP_Corstone_SSE-300.sh": INSTALLER, "launcher": shim.launcher("ethos-u55")}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in {**files, **changes}.items():
            if text is not None:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o755
                tar.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


class Handler(SimpleHTTPRequestHandler):
    """Serves files, parts of them too, and breaks off after `server.cut` bytes."""

    def log_message(self, *words: object) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))  # type: ignore[attr-defined]
        path = Path(self.directory) / self.path.strip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data, start = path.read_bytes(), 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:][: self.server.cut])  # type: ignore[attr-defined]


class Server(ThreadingHTTPServer):
    """Files of a folder, on loopback; `asked` has the `Range` of each request."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.folder, self.asked, self.cut = folder, list[str | None](), sys.maxsize

    def url(self, name: str, data: bytes) -> str:
        """The address of a file with that content."""
        (self.folder / name).write_bytes(data)
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"
