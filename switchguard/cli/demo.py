"""`switchguard lab demo`: the evening on a real network in namespaces, or its recording where none can be built."""

import io
import json
import os
import sys
import time
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from switchguard.cli import objects, show
from switchguard.cli.options import Json
from switchguard.errors import LabError
from switchguard.lab import enter
from switchguard.lab.control import Lab
from switchguard.lab.demo import Demo, Evening, Scene, quick_site

WIDTH = 118
"""Columns of the recording and of its picture."""
LONGEST_PAUSE_S = 2.0
"""Between two scenes of the recording."""


def demo(
    as_json: Json = False,
    record: Annotated[Path | None, typer.Option(help="Keep the evening in this file, for playing it again.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the recorded evening as an SVG instead.")] = None,
) -> None:
    """A swarm is found, cut, found again under another MAC, and released: in about a minute, on a real network.

    Example: switchguard lab demo --json
    """
    if picture:
        draw(picture)
        return
    if "SWITCHGUARD_LAB" not in os.environ:
        go_inside(as_json, record)
        return
    scenes: list[Scene] = []

    def tell(scene: Scene) -> None:
        scenes.append(scene)
        if not as_json:
            show_scene(scene)

    if record:
        os.environ["COLUMNS"] = str(WIDTH)
    evening = Demo(Lab.current(), quick_site(), tell).play()
    if record:
        record.write_text(json.dumps([asdict(scene) for scene in scenes], ensure_ascii=False, indent=1) + "\n")
    if as_json:
        typer.echo(objects.dump(evening.facts()))
    else:
        show_result(evening)
    if not evening.as_it_should_be:
        raise typer.Exit(1)


def go_inside(as_json: bool, record: Path | None) -> None:
    flags = [*(["--json"] if as_json else []), *(["--record", str(record.absolute())] if record else [])]
    try:
        raise typer.Exit(enter.enter(["run", sys.argv[0], "lab", "demo", *flags]))
    except LabError as error:
        if as_json or record:
            raise
        show.complain(f"{error}\nPlaying the recording of the same evening instead.")
        play_recording()


def play_recording() -> None:
    """Scene by scene, with the pauses that they had, up to a limit."""
    shown = 0.0
    for scene in recording():
        if sys.stdout.isatty():
            time.sleep(min(scene.at_s - shown, LONGEST_PAUSE_S))
        shown = scene.at_s
        show_scene(scene)


def recording() -> list[Scene]:
    return [Scene(**fields) for fields in json.loads((files("switchguard.lab") / "evening.json").read_text())]


def draw(picture: Path) -> None:
    """The recorded evening as a terminal shows it."""
    paper = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO(), highlight=False)
    for scene in recording():
        show_scene(scene, paper)
    picture.write_text(paper.export_svg(title="switchguard lab demo"))


def show_scene(scene: Scene, paper: Console | None = None) -> None:
    out = paper or show.console()
    match scene.kind:
        case "title":
            out.print()
            out.print(Rule(Text(f"{scene.at_s:5.1f} s  {scene.text}", style="bold"), align="left", characters="─"))
        case "diff":
            show.show_diff(scene.text, out)
        case "output":
            out.print(scene.text, markup=False, style="dim" if out.is_terminal else None)
        case "good" | "bad":
            out.print(scene.text, markup=False, style="bold green" if scene.kind == "good" else "bold red")
        case "say":
            out.print(scene.text, markup=False)


def show_result(evening: Evening) -> None:
    show.say("")
    rows = show.table("measured", "")
    for name, value in evening.facts().items():
        if name not in ("diff", "seconds"):
            rows.add_row(name.replace("_", " "), _told(value))
    for name, value in evening.seconds.items():
        rows.add_row(f"{name.replace('_', ' ')}, seconds", str(value))
    show.console().print(rows)


def _told(value: object) -> str:
    """A few values in one row; what they mean in sentences was said above."""
    match value:
        case dict():
            return ", ".join(f"{name.replace('_', ' ')} {_told(it)}" for name, it in value.items() if name != "because")
        case list():
            return " ".join(map(_told, value)) or "-"
        case bool():
            return "yes" if value else "no"
        case None:
            return "-"
    return str(value)
