"""`python -m rag models list | get NAME | remove NAME`: the models of this machine. A running app is not in the way."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from rag.config import Settings
from rag.errors import InputError, ModelError
from rag.language.message import Message
from rag.language.printable import printable
from rag.log import print_text
from rag.models.download import download_model, licence_notice
from rag.models.files import BUNDLED_NAME
from rag.models.hub import locate_model
from rag.models.inventory import ModelEntry, entry_of, free_disk_space, list_models, readable_size, remove_model
from rag.models.names import model_named
from rag.shell.options import add_data_option, settings_of

COLUMNS = ("NAME", "KIND", "SIZE", "LANGUAGES", "LICENCE", "TOKENS", "WHERE")


def add_command(commands: Any) -> None:
    """Add `models` to the commands of `python -m rag`."""
    models = commands.add_parser("models", help="list, get and remove models")
    actions = models.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list the models: size, languages, licence, and where each is")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(run=_list)
    get = actions.add_parser("get", help="download a model, or the rest of one")
    get.add_argument("name", metavar="NAME", help="a name of the list, or any model at the hub with an ONNX file")
    get.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept a licence that forbids commercial use, without being asked",
    )
    get.set_defaults(run=_get)
    remove = actions.add_parser("remove", help="delete a model from this machine")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    for action in (listing, get, remove):
        add_data_option(action)


def _list(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    entries = list_models(settings)
    if options.json:
        print_text(json.dumps(_listing_record(entries, settings), ensure_ascii=False))
        return 0
    rows = [COLUMNS, *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    for row in rows:
        print_text("  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[-1]]))
    print_text(f"\n{readable_size(free_disk_space(settings))} free in {settings.models_folder}")
    if any(entry.record and not entry.record.commercial for entry in entries):
        print_text("* the licence forbids commercial use")
    return 0


def _row(entry: ModelEntry) -> tuple[str, ...]:
    record, size = entry.record, readable_size(entry.total)
    if record is None:
        return entry.name, "-", size if entry.total else "-", "-", "-", "-", entry.state
    licence = record.licence if record.commercial else f"{record.licence} *"
    return entry.name, record.kind, size, str(record.languages), licence, f"{record.max_tokens}", entry.state


def _listing_record(entries: list[ModelEntry], settings: Settings) -> dict[str, Any]:
    return {
        "folder": str(settings.models_folder),
        "free_bytes": free_disk_space(settings),
        "models": [
            {
                "name": entry.name,
                "kind": entry.record.kind if entry.record else None,
                "repository": entry.record.repository or None if entry.record else entry.name,
                "bytes": entry.total,
                "languages": str(entry.record.languages) if entry.record else None,
                "licence": entry.record.licence if entry.record else None,
                "commercial": entry.record.commercial if entry.record else None,
                "max_tokens": entry.record.max_tokens if entry.record else None,
                "memory_mb": entry.record.memory_mb if entry.record else None,
                "state": entry.presence,
                "bytes_here": entry.done,
                "where": str(entry.folder) if entry.folder else None,
            }
            for entry in entries
        ],
    }


def _get(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    if options.name in ("bundled", BUNDLED_NAME):
        print_text(f"{BUNDLED_NAME} ships with Resift: it is here.")
        return 0
    model = model_named(options.name)
    entry = entry_of(model, settings.models_folder)
    if entry.presence == "here":
        print_text(f"{model.name} is {entry.state}.")
        return 0
    accepted = options.accept_licence
    if not accepted:
        notice = licence_notice(model if model.licence else locate_model(model, settings))
        accepted = bool(notice) and _accepts(model.name, notice)
    progress = _Progress(model.name)
    try:
        download_model(model, settings, progress, accept_licence=accepted)
    finally:
        progress.end()
    print_text(f"{model.name} is {entry_of(model, settings.models_folder).state}.")
    return 0


def _accepts(name: str, notice: Message) -> bool:
    """Ask whether a licence is accepted; raises ModelError where nobody can be asked, InputError for a no."""
    if not sys.stdin.isatty():
        raise ModelError(notice)
    print_text(str(notice), file=sys.stderr)
    print("Accept it now? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("{name} was not downloaded: its licence was not accepted.", name=name)
    return True


def _remove(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    freed = remove_model(options.name, settings)
    print_text(f"{options.name} was removed: {readable_size(freed)} are free again.")
    return 0


class _Progress:
    """Draws one line on stderr that follows a download; where stderr is no terminal, a line for each tenth."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stderr.isatty()
        self._tenth = -1

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is."""
        share = done / total if total else 0.0
        amount = f": {readable_size(done)} of {readable_size(total)} ({share:.0%})" if total else ""
        line = printable(f"{self._name}{amount}")
        if self._live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif total and int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            print(line, file=sys.stderr)

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            print(file=sys.stderr)
