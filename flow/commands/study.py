"""`vitric study`: the survey's experiments, resumable, each with a table, a plot and JSON."""

from pathlib import Path
from typing import Annotated

import typer
from vitric.golden.errors import UserError
from vitric.golden.files import write_json

from ..inputs.options import COUNT, Jobs, JsonFile, Scheduler, check_output
from ..project.file import FILE
from ..reports.console import console
from ..studies import STUDIES, study_named
from ..studies.study import chosen, name_of
from ..tasks import Workers

__all__ = ["study_command"]



def study_command(
    name: Annotated[str, typer.Argument(help=" ".join(f"{name}: {text}" for name, text in STUDIES.items()))],
    project: Annotated[
        list[str] | None, typer.Option(
            "--project", "--config", metavar="PROJECT", show_default=False,
            help="Network by name (a wrong one lists them), or a folder with a vitric.toml, or such a file; may be "
                 "given more than once. By default ./vitric.toml if it is there.")] = None,
    images: Annotated[
        int | None, typer.Option(**COUNT, help="Test images to measure on, from the first; by default 2000, or all if "
                                 "fewer.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=VALUE", show_default=False, help="Only the cases with this value "
                                       "(a wrong one lists those there are), as they are in JSON; may be given more "
                                       "than once.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for NAME-PROJECT.md, .svg and .json; by default build/studies, of the "
                                  "project if it is one's own.")] = None,
    json_file: JsonFile = None,
    jobs: Jobs = 1,
    scheduler: Scheduler = None,
) -> None:
    """Run one of the survey's experiments: cases, a table, a plot and JSON.

    Every case is kept in cases/ of build/studies as soon as it is computed: an interrupted study goes on where it was,
    and a second run shows the same table at once. A case is computed again when the code or the model that it depends
    on has changed. docs/accuracy.md explains what is measured.
    """
    from ..studies import pages
    from ..studies.runner import run_study
    from ..studies.store import Store

    study = study_named(name)
    if images is not None and not study.measured:
        raise UserError(f"--images has no effect on {name}, which runs no images")
    asked = project or ([FILE] if Path(FILE).is_file() else study.default)
    configs = list(dict.fromkeys(map(study.config_of, asked)))
    if len({*map(name_of, configs)}) < len(configs):
        raise UserError(f"projects of one study must have names of their own, not {', '.join(map(name_of, configs))}")
    base = Path(configs[0]) if Path(configs[0]).is_absolute() else Path()
    folder = (base.parent if base.is_file() else base) / "build" / "studies"
    out = out or folder
    check_output(out / "records.json")
    check_output(folder / "cases" / "case.json")
    everything = chosen(study, [case for one in configs for case in study.cases(one, images)], where or [])
    with _progress() as progress:
        task = progress.add_task(name, total=len(everything), note="")

        def on_case(case, kept):
            note = "kept from before" if kept else ", ".join(str(value) for value in case.values())
            progress.update(task, advance=1, note=note)

        records = run_study(study, everything, Store(folder / "cases", study),
                            workers=Workers(jobs, scheduler), on_case=on_case)
    stderr = str(json_file) == "-"
    written = {}
    for one in configs:
        written.setdefault(pages.stem(study, one), []).extend(
            record for record in records if record["config"] == one)
    for stem, own in written.items():
        paths = pages.write(study, own, out, stem)
        console(stderr=stderr).print(f"{study.title}: {stem}\n\n{study.table(own)}", markup=False, soft_wrap=True)
        console(stderr=stderr).print("written: " + ", ".join(map(str, paths)), markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, records)


def _progress():
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("cases"),
                    TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console(stderr=True))
