"""Lay a scene out as the steps of a presentation, with every text written as it is to be read."""

from __future__ import annotations

import re
from typing import Any

from rag.answer.citations import marks_of
from rag.lab.comparison import Move, most_telling, moves, read_the_same, rerank_ms
from rag.types import Answer, Retrieval, Stage
from service.scenes import Scene
from ui.lab.duel import duel_verdict
from ui.lab.orders import describe_move, order_name
from ui.language import gettext, language, mark, ngettext
from ui.plain import answer_text, count_passages, place
from ui.verdict import format_duration

LEAST_ROWS = 8
"""How many passages are shown where there are as many; more where more cross the line."""

LONGEST_SNIPPET = 160
WRAPPED = re.compile(r"(?<=[^\n]{70})\n(?=[^\W\d])")
"""The end of a line that goes on in the next one: long, and followed by a word."""

AFTER_SEARCH = (Stage.RERANK, Stage.CHECK_SUPPORT)

EFFECTS: dict[str, tuple[str, str]] = {
    "rescued": (mark("Rescued"), mark("The passage that answers came among those that are read.")),
    "better": (mark("Better"), mark("The passage that answers moved up.")),
    "unchanged": (mark("Unchanged"), mark("The passage that answers kept its place.")),
    "worse": (mark("Hurt"), mark("The passage that answers moved down.")),
    "lost": (mark("Hurt"), mark("The passage that answers fell out of those that are read.")),
    "no source": (mark("Not in the documents"), mark("No order helps where nothing answers.")),
}
"""A word and a sentence for each effect of demo/README.md."""

FATES = {
    "entered": mark("Rank {before} before, rank {after} now: it is read at last."),
    "left": mark("Rank {before} before, rank {after} now: it is no longer read."),
    "both": mark("Rank {before} before, rank {after} now: it is read either way."),
    "neither": mark("Rank {before} before, rank {after} now: it is not read either way."),
}


def presentation(scene: Scene) -> dict[str, Any]:
    """Return all that the presenter shows of a scene as one JSON value."""
    moved = moves(scene.before, scene.after)
    effect = EFFECTS.get(scene.effect, ("", ""))
    return {
        "id": scene.id,
        "headline": headline(scene),
        "notes": _said(scene.notes),
        "effect": scene.effect,
        "word": gettext(effect[0]) if effect[0] else "",
        "question": scene.before.question,
        "steps": _steps(scene, moved),
        "kept": len(scene.after.kept),
        "cut": ngettext(
            "The first one is read for the answer", "The first {number} are read for the answer", len(scene.after.kept)
        ),
        "rows": [_row(move, scene) for move in _shown(moved, _lit(scene))],
        "passage": _passage(scene),
        "answers": _answers(scene),
        "source": gettext("From the passage that answers"),
        "verdict": _verdict(scene, moved),
    }


def headline(scene: Scene) -> str:
    """Return what a scene is called."""
    return _said(scene.headline) or gettext("Your comparison")


def _said(texts: dict[str, str] | None) -> str:
    return (texts or {}).get(language(), "")


def _steps(scene: Scene, moved: tuple[Move, ...]) -> list[dict[str, str]]:
    count = count_passages(len(moved))
    before, after = _names(scene)
    if scene.before.reranker.state == "off":
        found = gettext("What search found"), gettext("By meaning and by words, fused: the best {count}.", count=count)
    else:
        found = gettext("What {name} put first", name=before), gettext("It read the same {count}.", count=count)
    steps = [
        ("question", gettext("The question"), gettext("Search brings up {count}.", count=count)),
        ("found", *found),
        (
            "reranked",
            gettext("Reranking moves them"),
            gettext("All {count} are compared with the question by {name}.", name=after, count=count),
        ),
        ("right", *_told_of_right(scene, moved)),
    ]
    if scene.answers:
        one, other = scene.answers
        if read_the_same(scene.before, scene.after):
            told = gettext("The same is read in the same order, so the answer is the same.")
        elif one.text == other.text:
            told = gettext("What is read differs; the answers do not, word for word.")
        else:
            told = gettext("From the same candidates: only what is read differs.")
        steps.append(("answers", gettext("Two answers"), told))
    steps.append(("verdict", gettext("What it did, and what it cost"), ""))
    return [
        {
            "name": name,
            "title": title,
            "caption": caption,
            "count": gettext("Step {step} of {steps}", step=number, steps=len(steps)),
        }
        for number, (name, title, caption) in enumerate(steps, start=1)
    ]


def _names(scene: Scene) -> tuple[str, str]:
    before, after = (order_name(order, (scene.before, scene.after)) for order in (scene.before, scene.after))
    return before, after


def _told_of_right(scene: Scene, moved: tuple[Move, ...]) -> tuple[str, str]:
    """Return the title and the caption of the step that shows one passage."""
    if scene.effect == "no source":
        return gettext("Nothing here answers"), gettext("Every order has a first passage, right or wrong.")
    lit = next(move for move in moved if move.hit.chunk.id == _lit(scene))
    if not scene.right:
        title = gettext("The best of what came in") if lit.change == "entered" else gettext("What is first now")
        return title, gettext("Rank {before} before, rank {after} now.", before=lit.before, after=lit.after)
    fate = gettext(FATES[lit.change], before=lit.before, after=lit.after)
    return gettext("The passage that answers"), fate


def _lit(scene: Scene) -> str:
    """Return the id of the passage that is shown: the one that answers, or the most telling where there is no label."""
    if scene.right or scene.effect:
        return scene.right
    return most_telling(scene.before, scene.after).chunk.id


def _shown(moved: tuple[Move, ...], lit: str) -> list[Move]:
    """Return what one of the orders reads and the passage that is lit, and what comes next, in the second order."""
    rest = iter([move for move in moved if move.change == "neither" and move.hit.chunk.id != lit])
    shown = [move for move in moved if move.change != "neither" or move.hit.chunk.id == lit]
    while len(shown) < LEAST_ROWS and (move := next(rest, None)):
        shown.append(move)
    return sorted(shown, key=lambda move: move.after)


def _row(move: Move, scene: Scene) -> dict[str, Any]:
    chunk = move.hit.chunk
    return {
        "id": chunk.id,
        "before": move.before,
        "after": move.after,
        "change": move.change,
        "move": "=" if move.before == move.after else describe_move(move),
        "document": place(chunk.document, chunk.page),
        "text": " ".join(chunk.text.split())[:LONGEST_SNIPPET],
        "lit": chunk.id == _lit(scene),
    }


def _passage(scene: Scene) -> dict[str, str] | None:
    chunk = next((hit.chunk for hit in scene.before.hits if hit.chunk.id == _lit(scene)), None)
    if chunk is None:
        return None
    text = WRAPPED.sub(" ", chunk.text)
    return {"document": place(chunk.document, chunk.page), "heading": chunk.heading, "text": text}


def _answers(scene: Scene) -> list[dict[str, Any]]:
    if scene.answers is None:
        return []
    titles = _names(scene)
    if scene.before.reranker.state == "off":
        titles = gettext("Without reranking"), gettext("With reranking")
    return [
        {
            "title": title,
            "paragraphs": _paragraphs(answer, scene.right)
            or [{"text": gettext("No answer was written."), "right": False}],
        }
        for title, answer in zip(titles, scene.answers, strict=True)
    ]


def _paragraphs(answer: Answer, right: str) -> list[dict[str, Any]]:
    cited = {citation.number for citation in answer.citations if citation.chunk_id == right}
    marks = [start for start, _, number in marks_of(answer) if number in cited]
    paragraphs, start = [], 0
    for text in answer_text(answer.text).split("\n\n"):
        cites = any(start <= mark < start + len(text) for mark in marks)
        paragraphs.append({"text": text.strip(), "right": cites})
        start += len(text) + 2
    return [paragraph for paragraph in paragraphs if paragraph["text"]]


def _verdict(scene: Scene, moved: tuple[Move, ...]) -> dict[str, Any]:
    ranks = next((f"{move.before} → {move.after}" for move in moved if move.hit.chunk.id == scene.right), "")
    effect = EFFECTS.get(scene.effect)
    if scene.machine:
        recorded = gettext("Times as recorded on {machine}. Nothing runs while this is shown.", machine=scene.machine)
    else:
        recorded = gettext("Times of your own run. Nothing runs while this is shown.")
    return {
        "ranks": ranks,
        "sentence": gettext(effect[1]) if effect else "",
        "summary": duel_verdict(scene.before, scene.after),
        "costs": _costs(scene),
        "recorded": recorded,
    }


def _costs(scene: Scene) -> list[tuple[str, str]]:
    costs = []
    search = sum(timing.ms for timing in scene.before.timings if timing.stage not in AFTER_SEARCH)
    if search:
        costs.append((gettext("Search"), format_duration(search)))
    for order in (scene.before, scene.after):
        ms = rerank_ms(order)
        if ms is not None:
            costs.append((_reranking(order, scene), format_duration(ms)))
    return costs


def _reranking(order: Retrieval, scene: Scene) -> str:
    return gettext(
        "Reranking {count}: {name}",
        name=order_name(order, (scene.before, scene.after)),
        count=count_passages(len(order.hits)),
    )
