"""Run all benchmarks and write docs/benchmarks.md."""

from __future__ import annotations

import time

from bench import ask, embed, funnel, page, people, rerank, store, write
from bench.harness import ROOT, machine, run

MODULES = (embed, rerank, funnel, store, write, ask, page, people)
INTRODUCTION = """\
# Benchmarks

`make bench` writes this page. Every row is measured in a process of its own, one after another, on the same input;
compare the ratios, which carry over to other machines better than the times do.

"""


def main() -> None:
    started = time.perf_counter()
    sections = [run(module.BENCHMARK, module.BENCHMARK.size) for module in MODULES]
    minutes = (time.perf_counter() - started) / 60
    measured = f"Measured on {machine()}, in {minutes:.0f} minutes.\n\n"
    document = ROOT / "docs" / "benchmarks.md"
    document.parent.mkdir(exist_ok=True)
    document.write_text(INTRODUCTION + measured + "\n\n".join(sections) + "\n", encoding="utf-8")
    print(document.relative_to(ROOT))


if __name__ == "__main__":
    main()
