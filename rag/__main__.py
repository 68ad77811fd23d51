"""Resift from the shell: `python -m rag ask QUESTION`, `eval DATASET`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rag.errors import ResiftError
from rag.log import print_in_utf8, print_text
from rag.shell import ask, evaluate, models

COMMANDS = (ask, evaluate, models)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when it was done, 2 for wrong use, settings or circumstances, 130 when interrupted."""
    print_in_utf8()
    parser = argparse.ArgumentParser(prog="python -m rag", description="Ask your own documents from the shell.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ResiftError as error:
        print_text(f"resift: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
