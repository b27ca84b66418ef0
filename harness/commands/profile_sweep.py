"""The sweep of `hil profile --sweep`: rows as they are done on stderr, then the table, and files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hil.harness.vela.settings import VelaOptions, VelaSettings

if TYPE_CHECKING:
    from hil.harness.profile.profiled_model import ProfiledModel
    from hil.harness.profile.sweep import SweepRow


def run_sweep(
    model: ProfiledModel, vela: VelaOptions, settings: VelaSettings, outputs: list[Path], jobs: int, *, as_json: bool
) -> None:
    """Sweeps over all settings that fit; an option of the command line that names one narrows it to that."""
    from hil.core.errors import BadInputError
    from hil.harness.output_file import write_output
    from hil.harness.profile.npu_settings import all_settings
    from hil.harness.profile.sweep import sweep, sweep_record
    from hil.harness.profile.sweep_table import progress_line, sweep_lines

    if model.is_compiled:
        raise BadInputError(f"{model.name} is compiled already", hint="--sweep takes the int8 model")
    chosen = tuple(one for one in all_settings(settings.config_text, settings.options) if _is_chosen(one, vela))
    if not chosen:
        raise BadInputError("no accelerator fits these memories", hint="leave one of the options out")
    rows: list[SweepRow] = []
    for row in sweep(model.data, chosen, model.name, jobs):
        rows.append(row)
        print(progress_line(row, len(rows), len(chosen)), file=sys.stderr, flush=True)
    if all(row.cost is None for row in rows):
        raise BadInputError(f"{model.name} is not compiled under any setting: {rows[0].outcome}")
    rows.sort(key=lambda row: row.place)
    for path in outputs:
        write_output(path, _rendered(path, model.name, rows))
    if as_json:
        print(json.dumps(sweep_record(model.name, rows)))
    else:
        sys.stdout.write("\n".join([*sweep_lines(model.name, rows), ""]))


def _is_chosen(settings: VelaSettings, vela: VelaOptions) -> bool:
    wanted = {name: getattr(vela, name) for name in ("accelerator", "memory_mode", "system_config")}
    return all(value is None or getattr(settings, name) == value for name, value in wanted.items())


def _rendered(path: Path, name: str, rows: list[SweepRow]) -> bytes:
    """The file's content, by its suffix."""
    from hil.harness.profile.page import sweep_page
    from hil.harness.profile.picture import sweep_png
    from hil.harness.profile.sweep import sweep_record
    from hil.harness.profile.sweep_table import sweep_csv

    kind = path.suffix.lower()
    if kind == ".json":
        return json.dumps(sweep_record(name, rows), indent=1).encode()
    if kind == ".csv":
        return sweep_csv(rows).encode()
    return sweep_png(rows) if kind == ".png" else sweep_page(name, rows).encode()
