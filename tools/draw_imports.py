"""Draw which folder imports which, from the imports themselves, into docs/architecture.md.

    python -m tools.draw_imports

An arrow that other arrows imply is left out: what stands higher may use all that it reaches. `make test` tells when the
diagram is not that of the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- The imports, by python -m tools.draw_imports -->\n", "<!-- End of the imports -->"
PACKAGES = ("rag", "ingest", "service", "ui")
GROUND = "ground"
"""The files of rag/ that are in no folder: values, errors, settings."""

Arrows = dict[str, set[str]]


def main() -> None:
    """Write the diagram into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + diagram() + END + rest.partition(END)[2], encoding="utf-8")


def diagram() -> str:
    """Return the folders and the arrows between them as a Mermaid flowchart."""
    arrows = without_implied(imports())
    names = {room: f'    {room}["{label(room)}"]' for room in sorted(arrows.keys() | {*targets(arrows)})}
    lines = [f"    {room} --> {other}" for room in sorted(arrows) for other in sorted(arrows[room])]
    return "\n".join(["```mermaid", "flowchart TD", *names.values(), *lines, "```", ""])


def imports() -> Arrows:
    """Return for each folder the folders that its files import from."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    arrows: Arrows = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if room(importer) != room(imported):
                arrows.setdefault(room(importer), set()).add(room(imported))
    return arrows


def room(module: str) -> str:
    """Return the folder that a module is drawn as: those of rag one by one, the others whole."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    if package != "rag":
        return package
    if name == "__main__":
        return "shell"
    return name if "." in rest or ((PAGE.parents[1] / package / name).is_dir() and name) else GROUND


def label(name: str) -> str:
    """Return what a folder is called in the diagram."""
    if name == GROUND:
        return "types errors config …"
    return f"{name}/" if name in PACKAGES else f"rag/{name}/"


def without_implied(arrows: Mapping[str, set[str]]) -> Arrows:
    """Return the arrows that no longer way replaces."""
    return {
        start: {end for end in ends if not any(end in reached(arrows, other) for other in ends - {end})}
        for start, ends in arrows.items()
    }


def reached(arrows: Mapping[str, set[str]], start: str) -> set[str]:
    """Return all that can be reached from a folder."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for end in arrows.get(waiting.pop(), set()) - found:
            found.add(end)
            waiting.append(end)
    return found


def targets(arrows: Mapping[str, set[str]]) -> Iterator[str]:
    for ends in arrows.values():
        yield from ends


if __name__ == "__main__":
    main()
