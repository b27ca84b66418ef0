"""One program in a container, from its input bytes to its output bytes; nothing of it touches this machine's files.

    uart = bytearray()
    ended = run(client, image, ["program", "/scratch/in.0"], uart.extend, inputs=[model], outputs=[64], limit_s=60)
    ended.code, ended.said, ended.outputs

All goes through the three streams of the container, so that it also works where the daemon is on another machine.  A
few lines of shell in the container (`_SCRIPT`) copy standard input to the files `in.0`, `in.1`, ... of its scratch
folder, run the program there, and at its end send on standard error: the exit code and sizes in one line, what the
program said on its standard error, and the files `out.0`, `out.1`, ...  Standard output is the program's own.

Standard input stays open while the program runs.  When it closes, this process is gone, however it ended: the script
kills the program, and the daemon removes the container.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hil.core.errors import BootError, HangError, ProtocolError
from hil.fvp.engines.container import SCRATCH, ContainerLimits, box, sweep

_SAID = 1 << 16
"""Bytes of a program's standard error that are returned."""

_HEADER = 4096
_NOT_RUN = 125

_SCRIPT = f"""
exec 3<&0 </dev/null
cd {SCRATCH} || exit {_NOT_RUN}
number=0
for size in $1; do
    head -c "$size" <&3 >"in.$number" || exit {_NOT_RUN}
    number=$((number + 1))
done
{{ cat <&3 >/dev/null; kill -9 -1; }} &
outputs=$2
shift 2
"$@" 2>stderr 3<&-
code=$?
tail -c {_SAID} stderr >said
set -- said
number=0
while [ "$number" -lt "$outputs" ]; do
    [ -f "out.$number" ] || : >"out.$number"
    set -- "$@" "out.$number"
    number=$((number + 1))
done
printf '%s' "$code" >&2
for file in "$@"; do printf ' %s' $(wc -c <"$file") >&2; done
printf '\\n' >&2
cat "$@" >&2
"""


@dataclass(frozen=True)
class EndedContainer:
    """The end of a program in a container: exit code, the end of its standard error, its output files."""

    code: int
    said: str
    outputs: tuple[bytes, ...]


def run(
    client: Any,
    image: str,
    command: Sequence[str],
    uart: Callable[[bytes], object],
    *,
    inputs: Sequence[bytes] = (),
    outputs: Sequence[int] = (),
    limit_s: float | None = None,
    limits: ContainerLimits | None = None,
) -> EndedContainer:
    """Runs `command`; `uart` gets its standard output, `outputs` has the most bytes that each output file may have.

    Raises `UnavailableError` if there can be no container, `BootError` if it does not start, `HangError` after
    `limit_s`, `ProtocolError` if it ends without its outputs, as when the daemon stops.
    """
    import docker.errors

    sweep(client)
    sizes = " ".join(str(len(data)) for data in inputs)
    words = ["/bin/sh", "-c", _SCRIPT, "sh", sizes, str(len(outputs)), *command]
    room = sum(map(len, inputs)) + sum(outputs)
    with box(client, image, words, room, limits) as container:
        try:
            stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            container.start()
        except docker.errors.APIError as error:
            raise BootError(f"the container does not start: {error.explanation or error}") from None
        with contextlib.closing(stream), _deadline(stream, limit_s) as expired:
            errors = _exchange(stream, inputs, uart, _HEADER + _SAID + sum(outputs))
        if expired.is_set():
            raise HangError(f"the container did not end in {limit_s:g} s")
    return _read(bytes(errors), outputs)


@contextlib.contextmanager
def _deadline(stream: Any, limit_s: float | None) -> Iterator[threading.Event]:
    """After `limit_s` seconds the stream ends, whatever waits on it, and the event is set."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        with contextlib.suppress(OSError):
            getattr(stream, "_sock", stream).shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s or 0, expire)
    timer.daemon = True
    if limit_s is not None:
        timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


def _exchange(stream: Any, inputs: Sequence[bytes], uart: Callable[[bytes], object], most: int) -> bytearray:
    """Sends the inputs and passes on what comes, until the container ends; gives its standard error."""
    from docker.utils.socket import frames_iter

    errors = bytearray()
    connection = getattr(stream, "_sock", stream)
    connection.settimeout(None)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # It ended already; its streams tell why.
        for data in inputs:
            connection.sendall(data)
    for kind, data in frames_iter(stream, tty=False):
        if kind == 1:
            uart(data)
        else:
            errors += data
            if len(errors) > most:
                raise ProtocolError(f"the container gave more than {most} bytes where its outputs should be")
    return errors


def _read(errors: bytes, outputs: Sequence[int]) -> EndedContainer:
    """Takes apart what the script sent; raises `ProtocolError` if it is not whole."""
    header, _, body = errors.partition(b"\n")
    words = header.split()
    if len(words) != 2 + len(outputs) or not all(word.isdigit() for word in words):
        said = errors[:300].decode(errors="replace").strip()
        raise ProtocolError(f"the container ended without a result: {said or 'it said nothing'}")
    code, *sizes = map(int, words)
    if sum(sizes) != len(body) or any(size > most for size, most in zip(sizes[1:], outputs, strict=True)):
        raise ProtocolError(f"the container gave {len(body)} bytes, in files of {sizes[1:]}, not of {list(outputs)}")
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    return EndedContainer(code, pieces[0].decode(errors="replace"), tuple(pieces[1:]))
