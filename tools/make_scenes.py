"""Record the scenes of the presenter: `python -m tools.make_scenes`.

The demo is ingested into a temporary folder and each scene's question is asked with the bundled models, with the
reranker and without it. Orders, passages and answers go to `demo/scenes.json` with the times of this machine. Where
nothing that an audience sees would differ but the times, the file is left as it is.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.library import Library
from rag.answer.writer import answer_extractively
from rag.config import Settings
from rag.lab.comparison import compare
from rag.retrieval.pipeline import Pipeline, open_pipeline
from rag.types import Answer, Retrieval, SearchOptions, Stage, StageTiming
from service.scenes import SCENES, Scene, scene_record
from tools.measure_demo import Question, best_rank, fingerprint, ingest, judge, read_questions

RUNS = 15
"""How often a question is asked; the times are the shortest, which other work on the machine disturbs least."""

DIGITS = 5
"""How many significant digits are written of a score, and of a time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is said of one of the demo's questions, by language."""

    question: str
    headline: dict[str, str]
    notes: dict[str, str]


SCRIPTS = (
    Script(
        "phone-overheated",
        {"en": "The help that shares no word with the question", "zh": "与问题没有一个词相同的答案"},
        {
            "en": "Someone's phone is far too hot. Keyword search loves the words “phone” and “overheated”; the help "
            "says “handset”, “smartphone” and “dangerously hot”, and stands at rank 9. Five are read: without "
            "reranking, the answer is about batteries and warranties.",
            "zh": "手机烫得厉害。关键词检索偏爱 phone 和 overheated 这两个词，而真正的办法写的是 "
            "handset、smartphone 和 dangerously hot，排在第 9 位。只读前五段：不重排，答案讲的是电池和保修。",
        },
    ),
    Script(
        "sleep-relax",
        {"en": "A practical list among learned papers", "zh": "论文堆里的一份实用清单"},
        {
            "en": "A Chinese question: how can I relax before going to bed? The list of six methods was just above the "
            "line, behind four passages about insomnia. The bundled model knows English only; comparing word by "
            "word still brings the list to the top, and the sentence that strayed is gone from the answer.",
            "zh": "睡前有哪些放松的方法？六种方法的清单刚好在线上，前面四段讲的都是失眠。内置模型只懂英文，"
            "但逐词比较仍把清单提到第一，答案里跑题的句子也没有了。",
        },
    ),
    Script(
        "quantum-clocks",
        {"en": "Search was right already", "zh": "检索本来就是对的"},
        {
            "en": "Most questions look like this one: the words of the question are the words of the passage, search "
            "puts it first, and reranking changes nothing. It costs its time all the same. That is why the lab "
            "measures on your own questions.",
            "zh": "大多数问题都是这样：问题里的词就是原文里的词，检索已把它排在第一，重排什么也没改变，但时间照花。"
            "所以要在实验室里用自己的问题来衡量。",
        },
    ),
    Script(
        "fed-a-shares",
        {"en": "Fooled by an echo", "zh": "被回声骗了"},
        {
            "en": "Here reranking hurts. A blog post repeats the words of the question again and again and says "
            "nothing. Search had two pieces of research among the five; the bundled reranker, which compares words "
            "with words, takes the echo five times and drops both. Show the two answers. A stronger reranker may "
            "do better: try it in the lab.",
            "zh": "这一次重排帮了倒忙。一篇博客反复重复问题里的词，却什么也没说。检索的前五段里有两段研究报告；"
            "内置的重排器逐词比较，五个位置全给了回声，两段都丢了。请看两个答案。更强的重排器也许会更好：到实验室里试试。",
        },
    ),
    Script(
        "meal-allowance",
        {"en": "The wrong edition wins, twice", "zh": "旧版两次胜出"},
        {
            "en": "Two editions of one policy. The question says March 2024; the edition of 2023 uses the same words "
            "and stays first, with reranking and without. The right edition is read, in second place, and the "
            "best sentence is taken from the wrong one. No order repairs this: remove the old edition.",
            "zh": "同一制度的两个版本。问题问的是 2024 年 3 月，2023 年的版本用词相同，重排前后都排第一。"
            "正确的版本排第二，也被读了，但摘出的句子来自旧版。再怎么排序也没用：应当删掉旧版。",
        },
    ),
    Script(
        "none-orchid",
        {"en": "A question that nothing answers", "zh": "谁也没写过的问题"},
        {
            "en": "Nobody wrote about orchids. Every order of 24 passages has a first one, so a rank says nothing of "
            "truth. What counts is the check after it: none of the five is near enough to the question, and both "
            "answers say so.",
            "zh": "没有一份文档讲兰花。24 段总会有一个第一名，名次并不说明对错。关键在之后的检查："
            "前五段都离问题太远，两种情况下都直说没有答案。",
        },
    ),
)


def main() -> None:
    questions = {question.id: question for question in read_questions()}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), embed_model="bundled", rerank_model="bundled")
        pipeline = open_pipeline(settings)
        library = Library(pipeline)
        try:
            ingest(library, settings.collection)
            scenes = [record_scene(pipeline, script, questions[script.question], settings) for script in SCRIPTS]
            embedder = pipeline.store.open_collection(settings.collection).spec.embedder
        finally:
            library.close()
    record = rounded(
        {
            "models": {"embedder": embedder, "reranker": scenes[0].after.reranker.name},
            "candidates": settings.rerank_candidates,
            "kept": settings.rerank_top,
            "fingerprint": fingerprint(),
            "scenes": [scene_record(scene) for scene in scenes],
        }
    )
    if SCENES.is_file() and told(json.loads(SCENES.read_text(encoding="utf-8"))) == told(record):
        print("What is shown would not change: the file is left as it is, with its times.")
        return
    SCENES.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for scene in scenes:
        print(f"{scene.id:20} {scene.effect}")


def record_scene(pipeline: Pipeline, script: Script, question: Question, settings: Settings) -> Scene:
    """Ask a question with the reranker and without it, often enough to time it."""
    runs = [
        compare(
            pipeline,
            question.question,
            SearchOptions(settings.collection),
            ["bundled"],
        ).orders
        # The first is left out: it loads the models.
        for _ in range(RUNS + 1)
    ][1:]
    before, after = (timed([run[place] for run in runs]) for place in (0, 1))
    ranks = [best_rank(order, question.relevant) for order in (before, after)]
    return Scene(
        id=question.id,
        before=before,
        after=after,
        right=right_passage(before, after, question),
        effect=judge(*ranks, settings.rerank_top) if question.relevant else "no source",
        headline=script.headline,
        notes=script.notes,
        answers=(extract(pipeline, before), extract(pipeline, after)),
        machine=f"{os.cpu_count()} cores, {platform.machine()}",
    )


def timed(runs: Sequence[Retrieval]) -> Retrieval:
    """Return the last of several runs with the shortest time of each stage."""
    times = [{timing.stage: timing.ms for timing in run.timings} for run in runs]
    stages = {stage: min(one[stage] for one in times) for stage in times[0]}
    # The fused order has a stage of reranking, too, in which nothing is reranked.
    if runs[0].reranker.state == "off":
        stages.pop(Stage.RERANK, None)
    return replace(runs[-1], timings=tuple(StageTiming(stage, ms) for stage, ms in stages.items()))


def right_passage(before: Retrieval, after: Retrieval, question: Question) -> str:
    """Return the id of the first passage of a right document, "" where none answers.

    Exits where it is not the same passage in both orders: a scene is about one.
    """
    first = {
        next((one.hit.chunk.id for one in order.ranked if one.hit.chunk.document in question.relevant), "")
        for order in (before, after)
    }
    if len(first) != 1:
        raise SystemExit(f"{question.id}: two passages answer, one before and another after.")
    return first.pop()


def extract(pipeline: Pipeline, order: Retrieval) -> Answer:
    """Answer with the best sentences of what is read."""
    stream = answer_extractively(order, pipeline.rerankers.judge(order.reranker).relevance)
    for _ in stream:
        pass
    return stream.answer


def rounded(value: Any) -> Any:
    """Return JSON values with their numbers rounded, so that two machines agree on them."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def told(record: dict[str, Any]) -> dict[str, Any]:
    """Return what an audience sees, without times and without the places of what is not read.

    Those of equal BM25 scores differ from one ingestion to the next.
    """
    scenes = []
    for scene in record["scenes"]:
        chunks = {hit["rank"]: hit["chunk"]["id"] for hit in scene["before"]["hits"]}
        read = [[chunks[one["hit"]] for one in scene[order]["ranked"] if one["kept"]] for order in ("before", "after")]
        answers = [(answer["text"], answer["citations"]) for answer in scene["answers"]]
        scenes.append({key: scene[key] for key in ("id", "effect", "headline", "notes", "right")})
        scenes[-1] |= {"read": read, "answers": answers}
    return {**record, "scenes": scenes}


if __name__ == "__main__":
    main()
