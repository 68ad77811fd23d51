"""What the commands share: options, and the settings they come to."""

from __future__ import annotations

import argparse
from pathlib import Path

from rag.config import Settings, load_settings
from rag.database.notices import print_notices
from rag.errors import SettingError
from rag.log import set_up_logging


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Let a command be given its data folder."""
    parser.add_argument("--data", metavar="DIR", type=Path, help="the data folder (default: DATA_DIR, or 'data')")


def settings_of(options: argparse.Namespace) -> Settings:
    """Read the settings of a command, set up its log, and say on stderr what is to be known of its data folder."""
    # Whoever runs a command reads what the command reads, so models may be in any folder.
    settings = load_settings(data_dir=options.data, model_folders=(Path(Path.cwd().anchor),))
    set_up_logging(settings.log_level)
    print_notices(settings.data_dir)
    return settings


def check_number(option: str, value: int | None, limits: tuple[float, float]) -> None:
    """Refuse a number outside its limits; raises SettingError."""
    if value is not None and not limits[0] <= value <= limits[1]:
        raise SettingError(
            "{option} {value} is not allowed: give a whole number from {low:g} to {high:g}.",
            option=option,
            value=value,
            low=limits[0],
            high=limits[1],
        )
