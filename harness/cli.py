"""The `hil` command.

    hil doctor                                    what can run here, and how to get what cannot
    hil optimize fashion_cnn --technique pcqat    one path of the deployment tree
    hil tree fashion_cnn --max-latency-ms 0.1     the tree, until a leaf meets the limits
    hil profile model.tflite                      where the cycles go, layer by layer
    hil run model.tflite --target sim --inputs x.npz --outputs y.npz --json

Exit codes: 0 fine, 1 a gate or parity failed, 2 wrong use or bad input, 3 the target or infrastructure failed, 130
interrupted.  An error is one line on stderr; tables go to stdout, and with `--json` one JSON value does instead.
"""

from __future__ import annotations

import importlib.metadata
import io
import sys
import traceback
from typing import Annotated

import click
import typer

from hil.core.errors import EXIT_INFRASTRUCTURE, HilError, WorkerError
from hil.core.machine_limits import machine_error
from hil.harness.commands import (
    boards,
    diff,
    disasm,
    doctor,
    firmware,
    fvp,
    models,
    optimize,
    profile,
    results,
    run,
    store,
    tree,
)
from hil.harness.commands.bisect import bisect
from hil.harness.commands.compare import compare
from hil.harness.commands.compile import compile_
from hil.harness.commands.report import report
from hil.harness.commands.tables import tables
from hil.harness.interruption import EXIT_INTERRUPTED, answer_interrupts, end_interrupted
from hil.harness.plain_text import plain_text

_DEFECT = "hil: this is a defect of hil, not of your model"

app = typer.Typer(
    name="hil",
    help="Proves on the chip that an optimized model is really faster and still right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    suggest_commands=not hasattr(click.exceptions, "NoSuchCommand"),  # a click that has it suggests commands itself
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"hil {importlib.metadata.version('ethosu-hil')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(doctor.doctor)
app.command()(models.models)
app.command()(optimize.optimize)
app.command()(tree.tree)
app.command("compile")(compile_)
app.command()(run.run)
app.command()(profile.profile)
app.command()(disasm.disasm)
app.command()(diff.diff)
app.command()(compare)
app.command()(bisect)
app.command()(report)
app.command()(tables)
app.add_typer(boards.app, name="boards")
app.add_typer(firmware.app, name="firmware")
app.add_typer(fvp.app, name="fvp")
app.add_typer(results.app, name="results")
app.add_typer(store.app, name="store")


def _show(error: click.ClickException) -> None:
    """Prints wrong use in a line; a command without arguments prints its help."""
    context = getattr(error, "ctx", None)
    if context is None or isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
    else:
        line = " ".join(error.format_message().split()).rstrip(".")
        print(f"hil: {plain_text(line)} (see {context.command_path} --help)", file=sys.stderr)


def main() -> None:
    """Runs the command line; turns every error of the family into one line and its exit code."""
    answer_interrupts()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a user's name may have letters that this terminal has not
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:  # wrong use
        _show(error)
        sys.exit(error.exit_code)
    except HilError as error:
        if error.log:
            print(plain_text(error.log).rstrip(), file=sys.stderr)
        print(f"hil: {plain_text(str(error))}", file=sys.stderr)
        if type(error) is WorkerError:  # an exception in a child that nobody expected
            print(_DEFECT, file=sys.stderr)
        sys.exit(EXIT_INFRASTRUCTURE if machine_error(error) else error.exit_code)
    except Exception as error:
        if limit := machine_error(error):
            print(f"hil: {limit}", file=sys.stderr)
            sys.exit(limit.exit_code)
        traceback.print_exc()
        print(_DEFECT, file=sys.stderr)
        sys.exit(EXIT_INFRASTRUCTURE)
    if code == EXIT_INTERRUPTED:  # what typer makes of KeyboardInterrupt
        end_interrupted()
    sys.exit(code)


if __name__ == "__main__":
    main()
