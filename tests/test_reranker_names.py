"""What a reranker is asked for by and known by: read from a string, written back, and named for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.database.records import retrieval_from_json, retrieval_to_json
from rag.errors import SettingError
from rag.identity import LATE_INTERACTION, NO_RERANKER, RerankerIdentity
from rag.rerank.choice import RerankerChoice, short
from tests.retrievals import make_retrieval

BGE = "BAAI/bge-reranker-base"
COPY = "onnx@0123456789ab"


@pytest.mark.parametrize(
    ("written", "choice", "normal"),
    [
        ("auto", RerankerChoice("auto"), "auto"),
        (" AUTO ", RerankerChoice("auto"), "auto"),
        ("None", RerankerChoice("none"), "none"),
        ("bundled", RerankerChoice("late interaction"), "bundled"),
        ("Late-Interaction", RerankerChoice("late interaction"), "bundled"),
        ("late interaction", RerankerChoice("late interaction"), "bundled"),
        ("LLM", RerankerChoice("language model"), "llm"),
        (BGE, RerankerChoice("model", BGE), BGE),
        ("bge-reranker-base", RerankerChoice("model", "bge-reranker-base"), "bge-reranker-base"),
        (f"{BGE} (int8)", RerankerChoice("model", BGE), BGE),
        ("/srv/models/onnx", RerankerChoice("model", "/srv/models/onnx"), "/srv/models/onnx"),
        (r"C:\models\onnx", RerankerChoice("model", r"C:\models\onnx"), r"C:\models\onnx"),
        (COPY, RerankerChoice("model", COPY), COPY),
        ("cohere:rerank-v3.5", RerankerChoice("service", "cohere:rerank-v3.5"), "cohere:rerank-v3.5"),
        ("TEI:", RerankerChoice("service", "TEI:"), "TEI:"),
        ("funnel:", RerankerChoice("auto", funnel=True), "funnel:auto"),
        ("FUNNEL: Bundled", RerankerChoice("late interaction", funnel=True), "funnel:bundled"),
        ("funnel:llm", RerankerChoice("language model", funnel=True), "funnel:llm"),
        ("funnel:/srv/onnx", RerankerChoice("model", "/srv/onnx", funnel=True), "funnel:/srv/onnx"),
        (f"funnel:{BGE} (int8)", RerankerChoice("model", BGE, funnel=True), f"funnel:{BGE}"),
        ("funnel:vllm:a/b:c", RerankerChoice("service", "vllm:a/b:c", funnel=True), "funnel:vllm:a/b:c"),
    ],
)
def test_a_choice_is_read_and_written_back(written: str, choice: RerankerChoice, normal: str) -> None:
    assert RerankerChoice.parse(written) == choice
    assert str(choice) == normal
    assert RerankerChoice.parse(normal) == choice


@pytest.mark.parametrize("choice", ["funnel:none", "funnel: NONE", "Funnel:funnel:none"])
def test_a_funnel_into_nothing_is_no_choice(choice: str) -> None:
    with pytest.raises(SettingError, match="A funnel needs a reranker after its colon"):
        RerankerChoice.parse(choice)


@pytest.mark.parametrize(
    ("choice", "model"),
    [("auto", BGE), ("BGE-Reranker-Base", BGE), (f"funnel:{BGE}", BGE), ("a/b", "a/b"), ("./a/b", "./a/b")]
    + [(choice, "") for choice in ("none", "bundled", "llm", "cohere:rerank-v3.5", "funnel:llm")],
)
def test_a_choice_knows_the_model_that_it_takes_on_this_machine(choice: str, model: str) -> None:
    assert RerankerChoice.parse(choice).model == model


@pytest.mark.parametrize(
    ("kept", "identity", "label"),
    [
        ("none", NO_RERANKER, "fused"),
        ("late interaction", LATE_INTERACTION, "late interaction"),
        ("llm", RerankerIdentity("language model"), "llm"),
        (BGE, RerankerIdentity("model", BGE), BGE),
        (f"{BGE} (int8)", RerankerIdentity("model", BGE, int8=True), f"{BGE} (int8)"),
        (f"{COPY} (int8)", RerankerIdentity("model", COPY, int8=True), "onnx (int8)"),
        ("cohere:rerank-v3.5", RerankerIdentity("service", "rerank-v3.5", "cohere"), "cohere:rerank-v3.5"),
        ("tei:", RerankerIdentity("service", "", "tei"), "tei:"),
        (
            f"funnel:{COPY}",
            RerankerIdentity("model", COPY, first_pass=LATE_INTERACTION),
            "late interaction, then onnx",
        ),
        (
            "funnel:vllm:a/b:c",
            RerankerIdentity("service", "a/b:c", "vllm", first_pass=LATE_INTERACTION),
            "late interaction, then vllm:a/b:c",
        ),
        ("/srv/typo", RerankerIdentity("model", "/srv/typo"), "/srv/typo"),
    ],
)
def test_an_identity_is_read_from_what_every_release_kept(kept: str, identity: RerankerIdentity, label: str) -> None:
    assert RerankerIdentity.parse(kept) == identity
    assert str(identity) == kept
    assert str(identity.label) == label


def test_two_folders_of_one_name_keep_their_hashes_and_a_funnel_is_unlike_its_second_pass() -> None:
    one, other = (RerankerIdentity("model", f"onnx@{sign * 12}") for sign in "ab")
    funnel = RerankerIdentity("model", one.model, first_pass=LATE_INTERACTION)
    assert str(one.label_among([one, other, funnel])) == "onnx@aaaaaaaaaaaa"
    assert str(funnel.label_among([one, other, funnel])) == "late interaction, then onnx"
    assert str(one.label_among([one, funnel])) == "onnx"


def test_the_passes_are_in_their_order() -> None:
    assert NO_RERANKER.passes == ()
    assert LATE_INTERACTION.passes == (LATE_INTERACTION,)
    funnel = RerankerIdentity.parse(f"funnel:{BGE}")
    assert funnel.passes == (LATE_INTERACTION, RerankerIdentity("model", BGE))
    assert funnel.last == RerankerIdentity("model", BGE)


@pytest.mark.parametrize("state", ["on", "fallback"])
def test_a_retrieval_that_release_0_1_kept_has_its_reranker(state: str) -> None:
    record = json.loads(retrieval_to_json(make_retrieval([2, 1], kept=1)))
    first_pass = "late interaction" if state == "on" else ""
    kept = {"name": f"funnel:{COPY} (int8)", "state": state, "reason": "So.", "first_pass": first_pass}
    report = retrieval_from_json(json.dumps({**record, "reranker": kept})).reranker
    assert report.identity == RerankerIdentity("model", COPY, int8=True, first_pass=LATE_INTERACTION)
    assert (report.name, report.state, str(report.reason), report.first_pass) == tuple(kept.values())
    assert json.loads(retrieval_to_json(make_retrieval([2, 1], kept=1)))["reranker"]["name"] == BGE


def test_a_folder_is_found_whatever_its_name_holds(tmp_path: Path) -> None:
    folder = str(tmp_path / "my model:2")
    assert RerankerChoice.parse(folder) == RerankerChoice("model", folder)


@pytest.mark.parametrize("funnel", ["", "funnel:", "Funnel:"])
def test_a_funnel_is_cut_off_in_one_way_however_it_is_written(funnel: str) -> None:
    assert short(f"{funnel}/srv/models/onnx") == f"{funnel}onnx"
    assert short(f"{funnel}{BGE}") == f"{funnel}{BGE}"
    assert RerankerIdentity.parse(f"{funnel}{BGE}").passes[-1] == RerankerIdentity("model", BGE)
