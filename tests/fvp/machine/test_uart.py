"""A UART on a TCP port: firmware receives a client's bytes, and the client those of the firmware."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.core.errors import BadInputError
from hil.fvp.machine.uart import UartSettings, UartSink
from hil.fvp.machine.uart_terminal import BACKLOG, Terminal
from tests.support.corstone300 import COMMAND, Launch
from tests.support.thumb import UART0, Program

RAW = ("-C", "mps3_board.telnetterminal0.mode=raw", "-C", "mps3_board.telnetterminal0.start_port=0")
EOT = b"\x04"


def _echo(path: Path) -> Path:
    """Firmware that says `>` and sends back every byte that it receives."""
    program = Program()
    program.send(b">")
    program.set(0, UART0)
    program.code(0x2103, 0x6081)  # MOVS r1, #3; STR r1, [r0, #8]: enable transmitter and receiver
    # Wait for STATE bit 1; LDR r2, [r0]; wait while STATE bit 0 is set; STR r2, [r0]; again
    program.code(0x6843, 0x079B, 0xD5FC, 0x6802, 0x6843, 0x07DB, 0xD4FC, 0x6002, 0xE7F6)
    path.write_bytes(program.elf())
    return path


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The executable with an echoing firmware, and the port that it says it listens on."""
    command = [*COMMAND, "-a", str(_echo(folder / "echo.elf")), *RAW, *words, "--timelimit", "600"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
    try:
        assert child.stdout is not None
        said = child.stdout.readline().decode()
        assert said.startswith("telnetterminal0: Listening for serial connection on port "), said
        yield child, int(said.split()[-1])
    finally:
        child.kill()
        child.communicate()


def _take(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := client.recv(1 << 16)):
        data += more
    return data


def test_firmware_answers_what_is_typed_until_eot(qemu: None, tmp_path: Path) -> None:
    words = ("-C", "mps3_board.uart0.out_file=log", "-C", "mps3_board.uart0.shutdown_on_eot=1")
    typed = bytes(byte for byte in range(256) if byte != EOT[0]) * 2
    with _running(tmp_path, *words) as (child, port):
        with socket.create_connection(("127.0.0.1", port), 120) as client:
            client.settimeout(120)
            assert _take(client, 1) == b">"
            client.sendall(typed)
            assert _take(client, len(typed)) == typed
            client.sendall(EOT)
            assert client.recv(1) == b""
        assert child.wait(120) == 0
    assert (tmp_path / "log").read_bytes() == b">" + typed


def test_a_second_client_takes_over_from_one_that_left(qemu: None, tmp_path: Path) -> None:
    with _running(tmp_path) as (_, port):
        for text in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", port), 120) as client:
                client.settimeout(120)
                client.sendall(text)
                assert _take(client, 3 + (text == b"one")).endswith(text)


def test_nobody_but_this_machine_is_served(qemu: None, tmp_path: Path) -> None:
    with _running(tmp_path) as (_, port):
        listening = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        addresses = [local for local, _, state in listening if state == "0A" and local.endswith(f":{port:04X}")]
        assert addresses == [f"0100007F:{port:04X}"]


def test_a_port_in_use_is_passed_over_as_the_fvp_does() -> None:
    first = Terminal(0, 0)
    second = Terminal(1, first.port)
    assert first.port < second.port < first.port + 100
    first.close()
    second.close()
    with pytest.raises(BadInputError, match="not a port"):
        Terminal(0, 70_000)


def test_a_client_that_does_not_read_holds_the_uart_back_and_gets_everything() -> None:
    terminal = Terminal(0, 0)
    uart, _other = socket.socketpair()
    with socket.create_connection(("127.0.0.1", terminal.port), 120) as client, uart, _other:
        client.settimeout(120)
        sent, until = bytearray(), time.monotonic() + 120
        while not terminal.is_full and time.monotonic() < until:
            piece = bytes([len(sent) // BACKLOG & 0xFF]) * BACKLOG
            terminal.send(piece)
            sent += piece
            terminal.exchange(uart)
        assert terminal.is_full
        got = bytearray()
        while len(got) < len(sent):
            got += client.recv(1 << 16)
            terminal.exchange(uart)
        assert got == sent
    terminal.close()


def test_a_full_disk_is_told_and_no_defect(fvp: Launch, tmp_path: Path) -> None:
    done = fvp("-a", _echo(tmp_path / "echo.elf"), "-C", "mps3_board.uart0.out_file=/dev/full", "--timelimit", 600)
    assert done.returncode == 3
    assert b"/dev/full cannot be written: No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_an_exit_code_that_arrives_behind_the_end_is_no_output_of_the_next_sample(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sink = UartSink(UartSettings(0, str(log), False, True, b"", None))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"one" + EOT)
        sink.drain(ours)
        assert sink.ended
        theirs.sendall(b"\0")
        sink.drain(ours)
        sink.start_again(b"t")
        theirs.sendall(b"wo" + EOT + b"\0")
        sink.drain(ours)
    sink.close()
    assert log.read_bytes() == b"one" + EOT + b"two"
