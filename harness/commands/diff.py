"""`hil diff MODEL`: the first operator whose output differs between two runs, and the command that made it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hil.core.errors import EXIT_GATE
from hil.harness.commands import arguments, unused_options
from hil.harness.commands.inputs import random_inputs, read_inputs
from hil.harness.vela.settings import VelaOptions
from hil.targets import registry
from hil.targets.declaration import File, Role

if TYPE_CHECKING:
    from hil.harness.diff.coverage import Compared
    from hil.harness.diff.difference import Comparison, Difference
    from hil.harness.diff.runs import RunTrace
    from hil.npu.disassembly.instruction import Instruction

_MOST_ORIGINS = 3
"""Origins that are printed after the first difference; JSON has all."""


@arguments.with_declared
def diff(
    model: Annotated[Path, typer.Argument(metavar="INT8.tflite", help="A fully quantized TFLite model.")],
    target: Annotated[
        str,
        typer.Option(metavar="SIDE", help=f"What is looked at: {', '.join(registry.names())} or a Vela output."),
    ] = registry.DEFAULT,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SIDE", help=f"What it is compared with: {', '.join(registry.names())} or a Vela output (host)."
        ),
    ] = None,
    against_vela_option: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="Compare with the model compiled with these options; may be repeated."),
    ] = None,
    inputs: arguments.Inputs = None,
    samples: Annotated[int | None, typer.Option(min=1, help="How many random samples, without --inputs (4).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random samples (0).")] = None,
    vela: VelaOptions = arguments.VELA,
    of_targets: arguments.TargetValues = arguments.NO_VALUES,
    cpu: arguments.Cpu = False,
    as_json: arguments.Json = False,
) -> None:
    """Name the first operator whose output differs, and the uncompared ones that feed it."""
    from hil.core.errors import BadInputError
    from hil.harness.diff.difference import compare
    from hil.harness.diff.runs import RunTracer
    from hil.harness.progress import LineProgress
    from hil.targets.execution.signature import read_signature, require_runnable

    unused_options.refuse_beside_inputs(inputs, samples=samples, seed=seed)
    samples, seed = samples or 4, seed or 0
    data = arguments.read_entry_point(model)
    signature = read_signature(data, str(model))
    if signature.compiled:
        raise BadInputError(f"{model} is an output of Vela", hint="give the int8 model, and the output as --target")
    require_runnable(signature, str(model))
    settings = vela.settings()
    other = replace(settings, options=tuple(against_vela_option)) if against_vela_option else None
    against = against or registry.with_role(Role.STAND_IN if other else Role.ORACLE).name
    targets = [name for name in (target, against) if name in registry.names()]
    options = registry.make_options(targets, of_targets)
    _check_different(target, against, other is not None)
    if cpu:
        _check_kernels(targets)
        unused_options.warn_vela(vela, "--cpu compiles nothing", only=("vela-option",))
    elif len(targets) == 2 and not any(File.COMPILED in registry.declaration(name).takes for name in targets):
        unused_options.warn_vela(vela, f"{target} and {against} run the int8 model as it is, nothing is compiled")
    arrays = read_inputs(signature, inputs) if inputs else random_inputs(signature, samples, seed)
    with contextlib.closing(LineProgress()) as progress:
        tracer = RunTracer(data, settings, arrays, str(model), options, cpu, progress)
        with arguments.naming(str(model) if target in targets else target):
            got = tracer.trace(target)
        with arguments.naming(str(model) if against in targets else against):
            expected = tracer.trace(against, other)
    if other is not None:
        expected = replace(expected, name=f"{expected.name} with {' '.join(other.options)}")
    result = compare(got.trace, expected.trace, signature, data)
    ran_on = str(inputs) if inputs else f"{samples} random sample{'s' * (samples > 1)} (seed {seed})"
    if as_json:
        print(json.dumps(_record(str(model), ran_on, got, expected, result)))
    else:
        sys.stdout.write("\n".join([*_lines(str(model), ran_on, got, expected, result), ""]))
    if result.first is not None:
        raise typer.Exit(EXIT_GATE)


def _check_different(target: str, against: str, other_settings: bool) -> None:
    from hil.core.errors import BadInputError

    compiles = against in registry.names() and File.COMPILED in registry.declaration(against).takes
    if other_settings and not compiles:
        raise BadInputError(f"--against-vela-option: {against} is not compiled here", hint="leave --against out")
    if target == against and not other_settings:
        raise BadInputError(f"both sides are {target}", hint="--against takes another target or a Vela output")


def _check_kernels(targets: Sequence[str]) -> None:
    """Raises `BadInputError` unless one target has CPU kernels of its own and the other is the reference kernels."""
    from hil.core.errors import BadInputError

    oracle = registry.with_role(Role.ORACLE).name
    own = [name for name in registry.names() if registry.declaration(name).cpu_kernels]
    if oracle not in targets or not set(targets) & set(own):
        raise BadInputError(
            f"--cpu compares {arguments.one_of(own)} with {oracle}, which alone have CPU kernels",
            hint=f"--target {arguments.one_of(own)}",
        )


def _lines(model: str, ran_on: str, got: RunTrace, expected: RunTrace, result: Comparison) -> list[str]:
    first = result.first
    verdict = "equal" if first is None else "different"
    texts = [f"{model}: {got.name} against {expected.name}, {ran_on}: {verdict}"]
    if first is not None:
        texts += ["", *_first_lines(first, got, expected, result), ""]
    texts += _summary(result)
    for note in dict.fromkeys((*got.notes, *expected.notes)):
        texts.append(f"note: {note}")
    return [line for text in texts for line in _wrap(text)]


def _wrap(text: str) -> list[str]:
    """Wraps a line for the terminal, further lines indented by two columns more."""
    from hil.harness.text_table import wrap

    return wrap(text, indent=" " * (len(text) - len(text.lstrip()) + 2))


def _first_lines(first: Difference, got: RunTrace, expected: RunTrace, result: Comparison) -> list[str]:
    from hil.harness.text_table import terminal_width
    from hil.npu.disassembly.text import lines, short_name

    differing = [found for found in result.tensors if found.mismatches]
    (found,) = (one for one in differing if one.tensor == first.tensor and one.operator_index == first.operator_index)
    texts = [
        f"first: {first.operator} {first.operator_index}, output {short_name(first.tensor, 60)!r}",
        *_suspects(first),
        f"  sample {first.sample}, element {list(first.at)}: {got.name} {first.got}, {expected.name} {first.expected}",
        f"  {first.elements:,} elements differ, by at most {first.largest}; compared {found.how.value}",
    ]
    later = len(differing) - 1
    if later:
        texts.append(f"  {later} more outputs of operators differ, among them {_last(differing[1:])}")
    for origin in result.origins[1 : 1 + _MOST_ORIGINS]:
        about = f"{origin.operator} {origin.operator_index}, output {short_name(origin.tensor, 40)!r}"
        texts += [f"  another origin, which nothing that differs feeds: {about}", *_suspects(origin)]
    if len(result.origins) > 1 + _MOST_ORIGINS:
        texts.append(f"  {len(result.origins) - 1 - _MOST_ORIGINS} more origins")
    for run, place in ((got, _place(first.stream, first.word_offset)), (expected, first.against)):
        instruction = _instruction(run, place)
        if instruction is not None and place is not None:
            texts += [
                f"  the command on {run.name}, word {place[1]} of stream {place[0]}:",
                *lines(instruction, width=terminal_width()),
            ]
    return texts


def _suspects(of: Difference) -> list[str]:
    from hil.harness.diff.suspects import describe

    return [f"  {line}" for line in (*describe(of.suspects), of.known) if line]


def _last(differing: list[Any]) -> str:
    return f"{differing[-1].operator} {differing[-1].operator_index}"


def _place(stream: int | None, word_offset: int | None) -> tuple[int, int] | None:
    return None if stream is None or word_offset is None else (stream, word_offset)


def _instruction(run: RunTrace, place: tuple[int, int] | None) -> Instruction | None:
    return None if place is None else run.instruction(*place)


def _summary(result: Comparison) -> list[str]:
    """Lines on the coverage of the comparison: counts, and each reason for a gap with its operators."""
    counts = Counter(found.how.value for found in result.tensors)
    counts.pop("not", None)
    parts = ", ".join(f"{count} {how}" for how, count in counts.items()) or "none"
    reasons: dict[str, list[str]] = {}
    for found in result.tensors:
        if found.reason:
            how = "compared in part" if found.how.value == "in part" else "not compared"
            reasons.setdefault(f"{how}, {found.reason}", []).append(f"{found.operator} {found.operator_index}")
    texts = [f"outputs of {len(result.tensors)} operators, compared: {parts}"]
    for reason, operators in reasons.items():
        texts.append(f"  {reason}: {', '.join(operators)}")
    return texts


def _record(model: str, ran_on: str, got: RunTrace, expected: RunTrace, result: Comparison) -> dict[str, Any]:
    return {
        "model": model,
        "target": got.name,
        "against": expected.name,
        "samples": ran_on,
        "equal": result.first is None,
        "first": result.first and _origin_record(result.first, got, expected),
        "suspects": [_coverage_record(found) for found in result.first.suspects] if result.first else [],
        "other_origins": [_origin_record(origin, got, expected) for origin in result.origins[1:]],
        "tensors": [_coverage_record(found) for found in result.tensors],
        "notes": list(dict.fromkeys((*got.notes, *expected.notes))),
    }


def _coverage_record(found: Compared) -> dict[str, Any]:
    return {**asdict(found), "how": found.how.value}


def _origin_record(origin: Difference, got: RunTrace, expected: RunTrace) -> dict[str, Any]:
    from hil.npu.disassembly.instruction import as_record

    record = {**asdict(origin), "suspects": [_coverage_record(found) for found in origin.suspects]}
    for key, run, place in (
        ("command", got, _place(origin.stream, origin.word_offset)),
        ("against_command", expected, origin.against),
    ):
        instruction = _instruction(run, place)
        record[key] = instruction and as_record(instruction)
    return record
