"""Builds the monitor firmware for a board.

    built = build("mps3_an547")             # or a port of one's own: build("my_board.h")
    built.elf, built.sha256, built.text, built.data, built.bss

A port is a header of `#define`s (`ports/`).  A C file of the same name beside it is built in, for a board that needs
its clocks and pins set, or a UART driver that `monitor/` has not.  Same sources and compiler give the same bytes, so
what was built once is cached under a hash of both, as one file whose name has the hash of its content.  An interrupted
build leaves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

from hil.core.errors import BadInputError, InfrastructureError
from hil.core.process_folder import process_folder
from hil.targets.firmware.compilers import DEFAULT_CPU, Compiler, find_compiler
from hil.targets.firmware.load_image import LoadImage
from hil.targets.firmware.port_check import check_port

SOURCES = Path(__file__).parent
DEFAULT_BOARD = "mps3_an547"

_FOLDERS = ("monitor", "monitor/freestanding", "protocol")
_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Wmissing-prototypes")
_COMPILE = (
    "-std=gnu11",
    "-Os",
    "-g0",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    *_WARNINGS,
    "-Werror",
)
_LINK = ("-nostdlib", "-Wl,--gc-sections,--entry=reset_handler,--build-id=none,-s,-z,max-page-size=4096")
_NO_LIBRARY = ("-fno-builtin", "-fno-lto")
"""For the functions that a compiler calls by itself: they must not call themselves, nor be gone when it does."""


@dataclass(frozen=True)
class FirmwareImage:
    """A firmware: its ELF file, and bytes of code and constants, initialised data, and zeroed data with stacks.

    `sha256` is that of the file, `crc32` that of the code and constants, as the board reports it, both as hexadecimal.
    """

    elf: Path
    board: str
    compiler: str
    sha256: str
    crc32: str
    text: int
    data: int
    bss: int


def boards() -> list[str]:
    """Names of the ports that come with this package."""
    return sorted(path.stem for path in (SOURCES / "ports").glob("*.h") if "_" in path.stem)


def port(board: str) -> Path:
    """The header of the port `board`: a name of `boards()` or a file; raises `BadInputError`."""
    if board in boards():
        return SOURCES / "ports" / f"{board}.h"
    path = Path(board)
    if path.suffix == ".h" and path.is_file():
        return path.resolve()
    if path.suffix == ".h":
        raise BadInputError(f"no port {board}: there is no such file")
    raise BadInputError(f"no port {board}", hint=f"a header of a port, or one of {', '.join(boards())}")


def default_folder() -> Path:
    """Cache folder of built firmware: in `HIL_STORE` or the user's cache folder."""
    root = os.environ.get("HIL_STORE")
    return (Path(root) if root else platformdirs.user_cache_path("ethosu-hil") / "store") / "firmware"


def build(
    board: str = DEFAULT_BOARD,
    compiler: str | None = None,
    folder: Path | None = None,
    baud: int | None = None,
    cpu: str = DEFAULT_CPU,
) -> FirmwareImage:
    """The firmware for the port `board`, built by `compiler` (None: the first that is here) unless `folder` has it.

    `baud` is the serial line's, in bits a second, in place of the port's own; `cpu` one of `compilers.CPUS`.
    Raises `BadInputError`, `BuildError` for a port that is not complete or does not compile, `UnavailableError`
    without a compiler, and `InfrastructureError` if `folder` cannot be written.
    """
    header, chosen = port(board), find_compiler(compiler, cpu)
    folder = default_folder() if folder is None else folder
    settings = [] if baud is None else [f"-DPORT_UART_BAUD={baud}"]
    key = _key(header, chosen, settings)
    elf = _kept(folder, header.stem, key)
    if elf is None:
        try:
            elf = _make(folder, header, chosen, settings, key)
        except OSError as error:
            raise InfrastructureError(f"firmware cannot be kept in {folder}: {error.strerror}") from None
    data = elf.read_bytes()
    sha256, crc32 = hashlib.sha256(data).hexdigest(), f"{LoadImage.of(data).crc():08x}"
    return FirmwareImage(elf, header.stem, chosen.version, sha256, crc32, *_sizes(data))


def _make(folder: Path, header: Path, compiler: Compiler, settings: list[str], key: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="firmware-", dir=process_folder()) as work:
        _compile(Path(work), header, compiler, settings)
        data = (Path(work) / "monitor.elf").read_bytes()
    target = folder / f"{header.stem}-{key}.{hashlib.sha256(data).hexdigest()}.elf"
    descriptor, partial = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        Path(partial).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise
    return target


def _compile(work: Path, header: Path, compiler: Compiler, settings: list[str]) -> None:
    port_flags = (*settings, "-include", str(header), "-I", str(SOURCES / "ports"))
    sources = _sources(header)
    check_port(header, sources, compiler, port_flags, work)
    script = ("-E", "-P", "-x", "c", *port_flags, str(SOURCES / "monitor" / "monitor.ld"), "-o", "monitor.ld")
    compiler.run(script, work)
    flags = [*_COMPILE, *port_flags, f'-DFIRMWARE_VERSION="{_version()}"']
    for name in _FOLDERS:
        flags += ["-I", str(SOURCES / name)]
    library = SOURCES / "monitor" / "freestanding" / "string.c"
    compiler.run([*flags, *_NO_LIBRARY, "-c", str(library), "-o", "library.o"], work)
    others = [str(source) for source in sources if source != library]
    compiler.run([*flags, "-flto", *others, "library.o", *_LINK, "-T", "monitor.ld", "-o", "monitor.elf"], work)


def _sources(header: Path) -> list[Path]:
    found = [path for name in _FOLDERS for path in sorted((SOURCES / name).glob("*.c"))]
    driver = header.with_suffix(".c")
    return [*found, driver] if driver.is_file() else found


def _files(header: Path) -> Iterator[Path]:
    """All that can change the firmware: what is beside a port may be included in it."""
    for name in (*_FOLDERS, "ports"):
        yield from sorted(path for path in (SOURCES / name).iterdir() if path.suffix in (".c", ".h", ".ld"))
    yield from sorted(path for path in header.parent.iterdir() if path.suffix in (".c", ".h") and path.is_file())
    yield Path(__file__)


def _key(header: Path, compiler: Compiler, settings: list[str]) -> str:
    total = hashlib.sha256()
    for text in (_version(), compiler.version, *compiler.command[1:], *settings):
        total.update(f"{text}\0".encode())
    for path in _files(header):
        total.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return total.hexdigest()[:16]


def _kept(folder: Path, board: str, key: str) -> Path | None:
    for path in folder.glob(f"{board}-{key}.*.elf"):
        with contextlib.suppress(OSError):
            if path.name.split(".")[-2] == hashlib.sha256(path.read_bytes()).hexdigest():
                return path
    return None


def _sizes(elf: bytes) -> tuple[int, int, int]:
    """Bytes of text, data and bss, as `size` counts them."""
    from elftools.elf.elffile import ELFFile

    text = data = bss = 0
    for section in ELFFile(io.BytesIO(elf)).iter_sections():
        flags, size = section["sh_flags"], section["sh_size"]
        if not flags & 2:  # SHF_ALLOC
            continue
        if section["sh_type"] == "SHT_NOBITS":
            bss += size
        elif flags & 1:  # SHF_WRITE
            data += size
        else:
            text += size
    return text, data, bss


def _version() -> str:
    try:
        return version("ethosu-hil")
    except PackageNotFoundError:
        return "unknown"
