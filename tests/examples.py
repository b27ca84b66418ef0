"""The examples in docstrings and pages, as modules that a type checker reads.

    for example in docstring_examples(ROOT):
        print(example.place, example.code)

An example stands in the names of its module, beside `np`, `pytest` and `Path`.  What else it only passes on (`data`,
`memory`) is anything; what it calls, or takes attributes of, must be known.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

UNDERSTOOD = {"Path": "from pathlib import Path", "np": "import numpy as np", "pytest": "import pytest"}
"""Names that every reader knows, and how they are imported."""
FLOORS = ("core", "npu", "fvp", "targets", "harness")
_CALL = re.compile(r"^(with |for .+ in |return |await )?(\w[\w, .]* = )?[\w.]+\(", re.MULTILINE)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Example:
    """Python that stands at `place` ("npu/program.py:12"), in the names of `module` (empty: of none)."""

    place: str
    code: str
    module: str = ""


def docstring_examples(root: Path) -> Iterator[Example]:
    """Every indented block of a docstring that is meant as Python and no doctest."""
    for path in sources(root):
        name = _module(root, path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node, clean=False)):
                start = node.body[0].lineno
                margin = 0 if isinstance(node, ast.Module) else node.col_offset + 4
                for offset, code in _blocks(text, margin):
                    if ">>>" not in code and _is_python(code):
                        yield Example(f"{path.relative_to(root)}:{start + offset}", code, name)


def page_examples(pages: Iterable[Path], root: Path) -> Iterator[Example]:
    """The blocks of pages that are marked as Python."""
    for page in pages:
        for line, language, code in fences(page.read_text()):
            if language == "python":
                yield Example(f"{page.relative_to(root)}:{line}", code)


def fences(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, language, text) of each fenced block of a page."""
    language, block, start = None, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```") and language is None:
            language, block, start = line[3:].strip(), [], number + 1
        elif line.startswith("```"):
            yield start, str(language), "\n".join(block)
            language = None
        else:
            block.append(line)


def checkable(example: Example) -> str:
    """A module whose types are right if the example's are; raises `SyntaxError` for one that is no Python."""
    tree = _Free().visit(ast.parse(example.code, example.place))
    known = {*_top_level(example.module), *vars(builtins), *_bound(tree), "__file__"}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    declared = sorted(used - known - {*UNDERSTOOD} - _relied_on(tree) - {"anything"})
    lines = [
        "from typing import Any",
        *(line for name, line in UNDERSTOOD.items() if name not in known),
        f"from {example.module} import *" if example.module else "",
        *(f"{name}: Any" for name in ("anything", *declared)),
        f"def example():  # {example.place}",
        textwrap.indent(ast.unparse(tree), "    "),
    ]
    return "\n".join(lines) + "\n"


def doctest_modules(root: Path) -> list[str]:
    """Names of the modules that have doctests."""
    return [_module(root, path) for path in sources(root) if ">>> " in path.read_text()]


def _module(root: Path, path: Path) -> str:
    return ".".join(("hil", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")


def sources(root: Path) -> Iterator[Path]:
    """The modules of all floors."""
    for floor in FLOORS:
        yield from sorted((root / floor).rglob("*.py"))


def _blocks(text: str, margin: int) -> Iterator[tuple[int, str]]:
    """(line, text) of each block that stands four columns further in than the prose.

    The formatter moves what is below the first line to the left, so where no prose follows, the block is all of it.
    """
    first, _, rest = text.partition("\n\n")
    if _parses(textwrap.dedent(rest)):
        yield first.count("\n") + 2, textwrap.dedent(rest)
        return
    block: list[str] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), "."]):
        if line.startswith(" " * (margin + 4)) and number:
            start = start if block else number
            block.append(line)
        elif block and not line.strip():
            block.append("")
        elif block:
            yield start, textwrap.dedent("\n".join(block)).strip() + "\n"
            block = []


def _is_python(code: str) -> bool:
    """True if `code` parses as more than a word, or at least has a line that begins like a call."""
    return _parses(code) or bool(_CALL.search(code))


def _parses(code: str) -> bool:
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return False
    return any(not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Name | ast.Constant) for node in body)


class _Free(ast.NodeTransformer):
    """`f(..., x=1)` leaves arguments out, and `return x` has no function around it."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        node.args = [self._any(argument, ast.Starred) for argument in node.args]
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.Dict:
        self.generic_visit(node)
        node.values = [self._any(value) for value in node.values]
        return node

    @staticmethod
    def _any(node: ast.expr, kind: type[ast.Starred] | None = None) -> ast.expr:
        if not (isinstance(node, ast.Constant) and node.value is ...):
            return node
        name = ast.Name("anything", ast.Load())
        return name if kind is None else kind(name, ast.Load())


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name


def _relied_on(tree: ast.AST) -> set[str]:
    """Names that are called or have attributes taken, and those of classes: they must be known."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    bases = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {node.id for node in called | bases if isinstance(node, ast.Name)}
    return names | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id[0].isupper()}


def _top_level(module: str) -> set[str]:
    """Names that a module has at its top, imported ones too."""
    if not module:
        return set()
    root = Path(__file__).parents[1]
    path = root.joinpath(*module.split(".")[1:])
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return set(_bound_at_top(ast.parse(source.read_bytes()).body))


def _bound_at_top(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.If | ast.Try):
            yield from _bound_at_top(node.body)
        else:
            yield from _bound(node)
