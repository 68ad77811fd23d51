"""A conversation as one Markdown or HTML file, with the sources of every answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from rag.answer.citations import marks_of
from rag.language.message import NOTHING, Message, message
from rag.text.place import place_of
from rag.types import Answer, Conversation, Retrieval, Turn

Rewrite = Callable[[Message], str]
"""Puts the program's own sentences into a language, without what is not to be given away."""

NUMBERED = "|".join(rf"(?<=^\d{{{digits}}})[.)]" for digits in range(1, 10))
"""What stands behind the number of a list, which has nine digits at the most."""

MARKDOWN = re.compile(rf"[\\`*_\[\]<>#~$|&@]|:(?=//)|(?<=www)\.|^[-+=:]|{NUMBERED}")
"""What begins or ends something in Markdown, in a line of text."""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbf9;--ink:#1c2422;--soft:#55605d;--line:#dcdfd8;--card:#f1f2ee;
--accent:#0f766e}
@media(prefers-color-scheme:dark){:root{--paper:#131817;--ink:#e6ebe8;--soft:#a3afab;--line:#323b39;--card:#1d2423;
--accent:#2dd4bf}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:46rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.3;margin:0}
header p,.note{color:var(--soft);font-size:.9rem}
article{border-top:1px solid var(--line);margin-top:2rem;padding-top:1.5rem}
h2{font-size:1.05rem;line-height:1.45;margin:0 0 1rem;white-space:pre-wrap}
.answer{white-space:pre-wrap;margin:0 0 1rem}
.warning{border-left:3px solid #b34700;padding-left:.75rem}
a{color:var(--accent)}
details{border:1px solid var(--line);border-radius:.6rem;background:var(--card);margin:.5rem 0;padding:.5rem .9rem}
details:target{outline:2px solid var(--accent)}
summary{cursor:pointer}
.passage{white-space:pre-wrap;margin:.6rem 0 .3rem}
@media print{details{break-inside:avoid}}
"""


@dataclass(frozen=True, slots=True)
class _Source:
    """A cited passage: `number` is that of the marks in the answer."""

    number: int
    document: str
    page: int | None
    heading: str
    passage: str
    ranks: Message

    @property
    def place(self) -> Message:
        return place_of(self.document, self.page)


def conversation_markdown(conversation: Conversation, say: Rewrite = str) -> str:
    """Return a conversation as Markdown in which no text of documents, models and people is markup."""
    lines = [f"# {_plain(' '.join(conversation.title.split()))}", "", _plain(say(_about(conversation))), ""]
    for turn in conversation.turns:
        lines += ["---", "", f"**{_plain(say(message('Question')))}**", "", _quoted(turn.question), ""]
        if turn.answer is not None and turn.answer.text:
            lines += [f"**{_plain(say(message('Answer')))}**", "", _plain(turn.answer.text), ""]
        for warning in _warnings(turn):
            lines += [f"*{_plain(say(message('Note')))}:* {_plain(say(warning))}", ""]
        for number, source in enumerate(_sources(turn)):
            if number == 0:
                lines += [f"**{_plain(say(message('Sources')))}**", ""]
            heading = f" ({_plain(source.heading)})" if source.heading else ""
            place, ranks = _plain(say(source.place)), _plain(say(source.ranks))
            lines += [f"\\[{source.number}\\] **{place}**{heading}, {ranks}", ""]
            lines += [_quoted(source.passage), ""]
        for note in _notes(turn):
            lines += [_plain(say(note)), ""]
    return "\n".join(lines).rstrip() + "\n"


def conversation_html(conversation: Conversation, say: Rewrite = str, language: str = "en") -> str:
    """Return a conversation as one HTML page that needs nothing else, in light and dark."""
    title = escape(conversation.title)
    articles = "\n".join(_article(turn, say) for turn in conversation.turns)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1 dir="auto">{title}</h1><p>{escape(say(_about(conversation)))}</p></header>
{articles}
</main>
</body>
</html>
"""


def _article(turn: Turn, say: Rewrite) -> str:
    sources = list(_sources(turn))
    parts = [f'<h2 dir="auto">{escape(turn.question)}</h2>']
    if turn.answer is not None and turn.answer.text:
        parts.append(f'<p class="answer" dir="auto">{_linked(turn)}</p>')
    parts += [f'<p class="note warning">{escape(say(warning))}</p>' for warning in _warnings(turn)]
    for source in sources:
        heading = f'<p class="note">{escape(source.heading)}</p>' if source.heading else ""
        parts.append(
            f'<details id="{_anchor(turn, source.number)}" open>'
            f"<summary>[{source.number}] {escape(say(source.place))}"
            f' <span class="note">{escape(say(source.ranks))}</span></summary>'
            f'{heading}<p class="passage" dir="auto">{escape(source.passage)}</p></details>'
        )
    parts += [f'<p class="note">{escape(say(note))}</p>' for note in _notes(turn)]
    return "<article>\n" + "\n".join(parts) + "\n</article>"


def _about(conversation: Conversation) -> Message:
    when = conversation.turns[0].asked_at if conversation.turns else conversation.updated_at
    return message(
        "A conversation with the collection “{collection}”, begun on {day}. Made with Resift.",
        collection=conversation.collection,
        day=f"{when:%Y-%m-%d}",
    )


def _warnings(turn: Turn) -> Iterator[Message]:
    """Yield what is to be known before the answer is relied on."""
    if turn.error:
        yield turn.error
    if turn.answer is None and not turn.error:
        yield message("This question was stopped before it was answered.")
    if turn.answer is not None:
        if not turn.answer.complete:
            yield message("The answer was stopped before it was complete.")
        yield from turn.answer.warnings
    if turn.retrieval is not None:
        yield from turn.retrieval.warnings


def _notes(turn: Turn) -> Iterator[Message]:
    """Yield how the answer came about."""
    if turn.retrieval is not None:
        if turn.retrieval.question != turn.question:
            yield message("Searched for: {question}", question=turn.retrieval.question)
        if also := _also_read(turn.retrieval, turn.answer):
            yield also
        yield _change(turn.retrieval)
    if turn.answer is not None and turn.answer.mode != "none":
        if turn.answer.mode == "llm":
            yield message("Answered by {name}.", name=turn.answer.model)
        else:
            yield message("Quoted from the documents.")
    if (others := len(turn.versions) - 1) > 0:
        yield message(
            "Not in this file: {number} other version, with what followed.",
            "Not in this file: {number} other versions, with what followed.",
            number=others,
        )


def _change(retrieval: Retrieval) -> Message:
    """Say in one sentence what reranking changed."""
    report = retrieval.reranker
    if not retrieval.ranked:
        return message("Nothing was found in the collection.")
    if report.state == "off":
        return message("Reranking was off: the passages were read in fused order.")
    if report.state == "fallback":
        return message("Reranking did not run, and the fused order stood: {reason:clause}.", reason=report.reason)
    name, count = report.identity.label, len(retrieval.kept)
    if entered := len(retrieval.entered):
        return message(
            "Reranking ({name}) changed {entered} of the {number} passage read.",
            "Reranking ({name}) changed {entered} of the {number} passages read.",
            name=name,
            entered=entered,
            number=count,
        )
    if retrieval.reordered:
        return message(
            "Reranking ({name}) changed only the order of the {number} passages read.", name=name, number=count
        )
    return message(
        "Reranking ({name}) changed nothing: the same {number} passage, in the same order.",
        "Reranking ({name}) changed nothing: the same {number} passages, in the same order.",
        name=name,
        number=count,
    )


def _sources(turn: Turn) -> Iterator[_Source]:
    ranked = {one.hit.chunk.id: one for one in turn.retrieval.ranked} if turn.retrieval else {}
    for citation in turn.answer.citations if turn.answer else ():
        found = ranked.get(citation.chunk_id)
        chunk = found.hit.chunk if found else None
        yield _Source(
            citation.number,
            citation.document,
            citation.page,
            chunk.heading if chunk else "",
            chunk.text if chunk else citation.quote,
            message("rank {before} before reranking, {after} after", before=found.hit.rank, after=found.rank)
            if found
            else message("cited"),
        )


def _also_read(retrieval: Retrieval, answer: Answer | None) -> Message:
    cited = {citation.chunk_id for citation in answer.citations} if answer else set()
    others = [one.hit.chunk for one in retrieval.kept if one.hit.chunk.id not in cited]
    if not others:
        return NOTHING
    places = "; ".join(dict.fromkeys(str(place_of(chunk.document, chunk.page)) for chunk in others))
    if retrieval.supported:
        return message("Read, not cited: {places}.", places=places)
    return message("Nearest, though not near enough to answer from: {places}.", places=places)


def _linked(turn: Turn) -> str:
    """Return the answer as HTML in which each mark of a source leads to it."""
    assert turn.answer is not None
    text, html, end = turn.answer.text, "", 0
    for start, after, number in marks_of(turn.answer):
        html += f'{escape(text[end:start])}<a href="#{_anchor(turn, number)}">[{number}]</a>'
        end = after
    return html + escape(text[end:])


def _anchor(turn: Turn, number: int) -> str:
    return f"turn-{turn.id}-source-{number}"


def _plain(text: str) -> str:
    """Return text as Markdown that shows it as it is, line by line."""
    lines = [MARKDOWN.sub(lambda mark: "\\" + mark[0], line.strip()) for line in text.splitlines()]
    return "\n".join(
        f"{line}\\" if line and below else line for line, below in zip(lines, [*lines[1:], ""], strict=True)
    )


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _plain(text).split("\n"))
