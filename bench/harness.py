"""Run every case of a benchmark in a process of its own and put the figures side by side."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.rounds import peak_megabytes

ROOT = Path(__file__).parents[1]
WORK = Path(__file__).parent / ".work"
LIBRARIES = ("fastembed", "onnxruntime", "qdrant-client", "qdrant-edge-py", "numpy")

DISTURBED_FROM = 0.1
"""Share of the machine taken by other processes from which a section says so."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement: `cases` take the size and return figures, `section` writes them as markdown.

    `prepare` runs before the cases and outside their processes, so that its memory is not counted with theirs. With
    `helpers`, a case starts processes of its own, such as a browser, which cannot be told from others on the machine.
    """

    module: str
    unit: str
    size: int
    cases: Mapping[str, Callable[[int], Figures]]
    section: Callable[[Mapping[str, Figures], int], str]
    prepare: Callable[[], object] = lambda: None
    helpers: bool = False


def run(benchmark: Benchmark, size: int) -> str:
    """Run all cases one after another and return the section, which says so when the machine was not free."""
    benchmark.prepare()
    results = {case: _run_case(benchmark, case, size) for case in benchmark.cases}
    section = benchmark.section(results, size)
    most = max(figures["others"] for figures in results.values())
    if benchmark.helpers or most < DISTURBED_FROM:
        return section
    return (
        f"{section}\n\n**Other processes took up to {most:.0%} of the machine meanwhile: measure again without them.**"
    )


def main(benchmark: Benchmark) -> None:
    """Run a benchmark from the shell and print its section, or one case and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=f"Run {benchmark.module}.")
    parser.add_argument(f"--{benchmark.unit}", dest="size", type=int, default=benchmark.size)
    parser.add_argument("--case", choices=list(benchmark.cases), help="run only this one, in this process")
    arguments = parser.parse_args()
    if arguments.case is None:
        print(run(benchmark, arguments.size))
        return
    figures = benchmark.cases[arguments.case](arguments.size)
    # A case that hands its work to a process of its own tells how much memory that one took.
    print(json.dumps({"peak_mb": peak_megabytes(), **figures}))


def _run_case(benchmark: Benchmark, case: str, size: int) -> Figures:
    print(f"{benchmark.module}: {case}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", benchmark.module, "--case", case, f"--{benchmark.unit}", str(size)]
    used, all_there_was, own = *_machine_seconds(), _seconds_of_cases()
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{benchmark.module}: {case} ended with code {finished.returncode}")
    used_after, all_after = _machine_seconds()
    others = (used_after - used - (_seconds_of_cases() - own)) / max(all_after - all_there_was, 1e-9)
    return {**json.loads(finished.stdout.splitlines()[-1]), "others": max(others, 0.0)}


def _machine_seconds() -> tuple[float, float]:
    """Return the processor seconds that all processes have used, and all there were; zeros where none are told."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0, 0.0
    ticks = [int(field) for field in first.split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")


def _seconds_of_cases() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def model_folder(preset: str) -> Path:
    """Return the folder of a model with random weights, built on first use in a process of its own."""
    folder = WORK / preset
    if not (folder / "config.json").exists():
        subprocess.run([sys.executable, "-m", "tools.random_model", preset, str(folder)], cwd=ROOT, check=True)
    return folder


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a markdown table; the first column is text, the others are figures."""
    columns = list(header)
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def megabytes(figures: Figures) -> str:
    """Write a case's peak memory."""
    return f"{figures['peak_mb']:,.0f} MB"


def machine() -> str:
    """Describe what was measured on, in one sentence."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
