"""A Docker daemon of the tests' own, on a private socket, and images without a registry.

    with Daemon(folder) as daemon:
        daemon.load("hil-test", tree({"opt/arm/bin/program": b"#!/bin/sh ..."}))

Its data, socket and networks are its own: it makes no bridge, no firewall rule, and leaves nothing when it ends.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from . import docker_supervisor


class NoDaemonError(Exception):
    """This machine cannot run a daemon; the text is the reason."""


class Daemon:
    """`dockerd` while the `with` lasts; `host` is what DOCKER_HOST should be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/sock"
        self._log = folder / "log"

    def __enter__(self) -> Daemon:
        if shutil.which("dockerd") is None:
            raise NoDaemonError("dockerd is not installed")
        at = self.folder
        with self._log.open("wb") as log:
            options = ["--bridge", "none", "--iptables=false", "--ip-forward=false", "--host", self.host]
            options += ["--data-root", f"{at}/data", "--exec-root", f"{at}/exec", "--pidfile", f"{at}/pid"]
            self._process = subprocess.Popen(
                [sys.executable, docker_supervisor.__file__, str(at), "dockerd", *options],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                said = self._log.read_text(errors="replace")[-600:]
                self._stop()
                raise NoDaemonError(f"dockerd does not start: {said}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for container in self.client.api.containers(all=True):
            self.client.api.remove_container(container["Id"], force=True)
        self.client.close()
        self._stop()

    def _answers(self) -> bool:
        import docker
        import docker.errors

        try:
            self.client: Any = docker.DockerClient(base_url=self.host, timeout=60)
            return bool(self.client.ping())
        except docker.errors.DockerException:
            return False
        except OSError:
            return False

    def _stop(self) -> None:
        """Has the daemon ended, whose end is containerd's too, and its folder removed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def load(self, name: str, root: bytes) -> None:
        """Makes the image `name` of the file system `root`, a tar archive."""
        path = "ENV PATH=/opt/arm/bin:/usr/bin:/bin"
        self.client.api.import_image_from_data(root, repository=name, tag="latest", changes=[path])

    def image(self, name: str) -> str:
        """Id of an image."""
        return str(self.client.images.get(name).id)

    def containers(self) -> list[str]:
        """Ids of all containers, running or not."""
        return [found["Id"] for found in self.client.api.containers(all=True)]


MERGED = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}
"""Links at the root of a file system whose programs are all below /usr, as Debian's are."""


def tree(files: Mapping[str, bytes]) -> bytes:
    """A root file system as a tar archive: executable files, all owned by root, and the folders that any needs."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("dev", "etc", "opt", "proc", "sys", "usr"):
            archive.addfile(_entry(name, tarfile.DIRTYPE))
        archive.addfile(_entry("tmp", tarfile.DIRTYPE, 0o1777))
        for name, target in MERGED.items():
            entry = _entry(name, tarfile.SYMTYPE)
            entry.linkname = target
            archive.addfile(entry)
        for name, data in files.items():
            entry = _entry(name, tarfile.REGTYPE)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def _entry(name: str, kind: bytes, mode: int = 0o755) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def with_libraries(*programs: str) -> dict[str, bytes]:
    """Programs of this machine and all that they are linked to, below `usr`."""
    files = {}
    for program in programs:
        found = shutil.which(program)
        if found is None:
            raise NoDaemonError(f"{program} is not installed")
        path = Path(found).resolve()
        files[f"usr/bin/{program}"] = path.read_bytes()
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for word in listing.split():
            if word.startswith("/"):
                files[f"usr/{word.removeprefix('/usr').lstrip('/')}"] = Path(word).read_bytes()
    return files


def python_folders() -> list[str]:
    """Folders of this machine without which its Python, this project and QEMU do not run elsewhere."""
    import hil.npu

    import_roots = {Path(sys.prefix), Path(sys.base_prefix), Path(hil.npu.__file__).parent.parent, Path("/usr")}
    resolved = {root.resolve() for root in import_roots}
    return sorted(str(root) for root in resolved if not any(other in root.parents for other in resolved))
