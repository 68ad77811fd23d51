"""Draw the house from the code, into docs/architecture.md: its rooms, by their own docstrings, and who imports whom.

    python -m tools.draw_house

An arrow that other arrows imply is left out: what stands higher may use all that it reaches. The tests tell when the
drawing is not that of the code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- Drawn by python -m tools.draw_house -->\n", "<!-- End of the drawing -->"
PACKAGES = ("ui", "service", "ingest", "rag")
"""From the top down."""

GROUND, APART = "ground", ("llm",)
"""The files of rag/ that stand in no folder are drawn as one room, but for those that are more than ground."""

Arrows = dict[str, set[str]]


def main() -> None:
    """Write the drawing into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + drawing() + END + rest.partition(END)[2], encoding="utf-8")


def drawing() -> str:
    """Return the rooms as a table and the arrows between them as a Mermaid flowchart."""
    return f"\n{table()}\n{diagram()}\n{count()}\n"


def table() -> str:
    """Return a row for each folder, and for each file of rag/ that is in none."""
    folders = [path.parent for package in PACKAGES for path in sorted((ROOT / package).rglob("__init__.py"))]
    files = [path for path in sorted((ROOT / "rag").glob("*.py")) if not path.name.startswith("__")]
    rows = [f"| `{place.relative_to(ROOT)}/` | {purpose(place / '__init__.py')} |" for place in folders]
    rows += [f"| `{path.relative_to(ROOT)}` | {purpose(path)} |" for path in files]
    return "\n".join(["| room | what is in it |", "|---|---|", *rows, ""])


def purpose(path: Path) -> str:
    """Return the first sentence of a file's docstring."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split())


def diagram() -> str:
    """Return the folders and the arrows between them, those of rag/ one by one."""
    arrows = without_implied(imports(room))
    rooms = sorted(arrows.keys() | {end for ends in arrows.values() for end in ends})
    names = [f'    {one}["{label(one)}"]' for one in rooms]
    lines = [f"    {start} --> {end}" for start in sorted(arrows) for end in sorted(arrows[start])]
    return "\n".join(["```mermaid", "flowchart TD", *names, *lines, "```", ""])


def count() -> str:
    """Return a sentence on how many rooms rag/ has, each file that is in no folder being one, and how many arrows."""
    within = imports(lambda module: module.split(".")[1] if module.startswith("rag.") else "")
    within.pop("", None)
    rooms = {*within, *(end for ends in within.values() for end in ends)} - {"__main__"}
    arrows = sum(len(ends - {"__main__", ""}) for start, ends in within.items() if start != "__main__")
    return f"Folders and loose files together, `rag/` has {len(rooms)} rooms with {arrows} arrows between them.\n"


def imports(room: Callable[[str], str]) -> Arrows:
    """Return for each room the rooms that its files import from; `room` tells where a module is."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    arrows: Arrows = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if room(importer) != room(imported):
                arrows.setdefault(room(importer), set()).add(room(imported))
    return arrows


def room(module: str) -> str:
    """Return the room that a module is drawn in."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    if package != "rag":
        return package
    if name == "__main__":
        return "shell"
    return name if name in APART or (name and (ROOT / package / name).is_dir()) else GROUND


def label(name: str) -> str:
    """Return what a room is called in the diagram."""
    if name == GROUND:
        return "the files of rag/"
    if name in APART:
        return f"rag/{name}.py"
    return f"{name}/" if name in PACKAGES else f"rag/{name}/"


def without_implied(arrows: Mapping[str, set[str]]) -> Arrows:
    """Return the arrows without those that a longer way replaces."""
    return {
        start: {end for end in ends if not any(end in reached(arrows, other) for other in ends - {end})}
        for start, ends in arrows.items()
    }


def reached(arrows: Mapping[str, set[str]], start: str) -> set[str]:
    """Return all rooms that can be reached from one."""
    return set(_walk(arrows, start))


def _walk(arrows: Mapping[str, set[str]], start: str) -> Iterator[str]:
    found, waiting = set[str](), [start]
    while waiting:
        for end in arrows.get(waiting.pop(), set()) - found:
            found.add(end)
            waiting.append(end)
            yield end


if __name__ == "__main__":
    main()
