"""int8 is made on this machine, compared with fp32 on the user's own passages, and used when it agrees."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rag.config import Settings
from rag.errors import ModelError
from rag.models import ModelFiles, folder_model
from rag.precision import Agreement, agreement_of, int8_files, make_int8, read_agreement, write_agreement
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerankers import Rerankers
from rag.types import Hit
from tests.models import write_cross_encoder
from tests.parts import hit, ingest, offline_settings, open_library
from tests.test_rerankers import made_ready, rerankers

TEXTS = ("water", "phone heat", "phone", "heat and water of the phone", "sugar in blood", "guide dogs", "the world")


@pytest.fixture
def settings(tmp_path: Path, cross_encoder_folder: Path) -> Settings:
    return offline_settings(tmp_path / "data", rerank_model=str(cross_encoder_folder), rerank_precision="auto")


@pytest.fixture
def files(cross_encoder_folder: Path) -> ModelFiles:
    return folder_model("reranker", cross_encoder_folder)


def samples() -> list[tuple[str, list[Hit]]]:
    hits = [hit(number, text) for number, text in enumerate(TEXTS, start=1)]
    return [("phone heat", hits), ("sugar", hits)]


def reason_after_making_ready(models: Rerankers) -> str:
    assert made_ready(models, samples).state == "ready"
    assert models.fetch is not None
    files = folder_model("reranker", Path(models.fetch.name))
    return models.precision_of(files.name)


def test_int8_is_a_smaller_model_whose_scores_are_near(files: ModelFiles, settings: Settings) -> None:
    made = make_int8(files, settings)
    assert made == int8_files(files, settings)
    assert (made.folder / made.model_file).stat().st_size < (files.folder / files.model_file).stat().st_size
    fp32, int8 = CrossEncoderReranker(files, threads=1), CrossEncoderReranker(made, threads=1)
    assert (fp32.quantised, int8.quantised) == (False, True)
    assert int8.relevance("phone heat", TEXTS) == pytest.approx(fp32.relevance("phone heat", TEXTS), abs=0.02)


def test_int8_scores_of_a_passage_do_not_depend_on_the_others(files: ModelFiles, settings: Settings) -> None:
    made = make_int8(files, settings)
    together = CrossEncoderReranker(made, threads=1).relevance("phone heat", TEXTS)
    alone = [CrossEncoderReranker(made, threads=1).relevance("phone heat", [text])[0] for text in TEXTS]
    assert together == alone


def test_int8_that_agrees_is_used_and_says_so(settings: Settings, files: ModelFiles) -> None:
    models = rerankers(settings)
    reason = reason_after_making_ready(models)
    made = int8_files(files, settings)
    assert made is not None
    agreement = read_agreement(made)
    assert agreement is not None
    assert (agreement.questions, agreement.passages) == (2, 2 * len(TEXTS))
    assert reason.startswith("It runs in int8: on 2 questions and 14 passages of your documents")
    assert models.reranker()[1].name == f"{files.name} (int8)"


def test_int8_that_disagrees_is_not_used_and_says_so(settings: Settings, files: ModelFiles, tmp_path: Path) -> None:
    made = make_int8(files, settings)
    # Another model in its place: what it says has nothing to do with the fp32 model's order.
    other = folder_model("reranker", write_other_cross_encoder(tmp_path / "other", files.folder))
    shutil.copy(other.folder / other.model_file, made.folder / made.model_file)
    models = rerankers(settings)
    assert "It runs in fp32 and not in int8" in reason_after_making_ready(models)
    assert models.reranker()[1].name == files.name


def write_other_cross_encoder(folder: Path, like: Path) -> Path:
    """Write a cross-encoder that turns the order of another one round."""
    import onnx

    shutil.copytree(like, folder)
    model = onnx.load(folder / "model.onnx")
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["positive" if name == output.name else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Neg", ["positive"], [output.name]))
    onnx.save(model, folder / "model.onnx")
    return folder


def test_without_documents_fp32_runs_until_int8_can_be_compared(settings: Settings, files: ModelFiles) -> None:
    models = rerankers(settings)
    assert made_ready(models).state == "ready"
    assert models.awaits_samples
    assert "until int8 can be compared" in models.precision_of(files.name)
    assert models.reranker()[1].name == files.name
    assert made_ready(models, samples).state == "ready"
    assert not models.awaits_samples
    assert models.reranker()[1].name == f"{files.name} (int8)"


def test_the_first_question_brings_the_passages_to_compare_on(tmp_path: Path, cross_encoder_folder: Path) -> None:
    settings = offline_settings(tmp_path, rerank_model=str(cross_encoder_folder), rerank_precision="auto")
    with open_library(settings) as library:
        pipeline = library._pipeline
        assert made_ready(pipeline.rerankers, pipeline._samples).state == "ready"
        assert pipeline.rerankers.awaits_samples
        for number, text in enumerate(TEXTS):
            ingest(library, "notes", f"{number}.txt", f"{text.capitalize()} is what this document is about.")
        pipeline.retrieve("phone heat", "notes")
        assert pipeline.rerankers._worker is not None
        pipeline.rerankers._worker.join()
        made = int8_files(folder_model("reranker", cross_encoder_folder), settings)
        assert made is not None
        agreement = read_agreement(made)
        assert agreement is not None
        assert (agreement.questions, agreement.passages) == (5, 5 * len(TEXTS))


def test_a_measured_agreement_is_used_by_the_next_process(settings: Settings, files: ModelFiles) -> None:
    made = make_int8(files, settings)
    write_agreement(made, Agreement(0.949, 5, 120))
    assert rerankers(settings).reranker()[1].name == files.name
    write_agreement(made, Agreement(0.95, 5, 120))
    assert rerankers(settings).reranker()[1].name == f"{files.name} (int8)"


@pytest.mark.parametrize(("precision", "suffix"), [("int8", " (int8)"), ("fp32", "")])
def test_the_setting_decides_without_a_comparison(
    settings: Settings, files: ModelFiles, precision: str, suffix: str
) -> None:
    models = rerankers(replace(settings, rerank_precision=precision))
    assert made_ready(models).state == "ready"
    assert models.reranker()[1].name == files.name + suffix
    assert not models.awaits_samples


def test_a_model_that_cannot_be_quantised_goes_on_in_fp32(settings: Settings, tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "model")
    models = rerankers(replace(settings, rerank_model=str(folder), models_dir=tmp_path / "file" / "models"))
    (tmp_path / "file").write_text("a file where a folder should be", encoding="utf-8")
    assert "cannot be written to" in reason_after_making_ready(models)
    assert models.reranker()[1].name == folder_model("reranker", folder).name


def test_a_damaged_model_gives_no_int8_model(settings: Settings, tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "model")
    (folder / "model.onnx").write_bytes(b"damaged")
    damaged = folder_model("reranker", folder)
    with pytest.raises(ModelError, match=r"could not be made faster \(int8\): .* It goes on in fp32"):
        make_int8(damaged, settings)
    assert int8_files(damaged, settings) is None


@pytest.fixture(scope="module")
def orders() -> list[float]:
    return [float(number) for number in range(12, 0, -1)]


def test_agreement_is_kendalls_tau_of_the_first_ten_places(orders: list[float]) -> None:
    swapped_first = [11.0, 12.0, *orders[2:]]
    # One of the 45 pairs of the first ten is the other way round.
    assert agreement_of([orders], [swapped_first]).tau == pytest.approx(1 - 2 / 45)
    swapped_below = [*orders[:10], 1.0, 2.0]
    assert agreement_of([orders], [swapped_below]).tau == pytest.approx(1.0)


def test_agreement_is_the_mean_over_questions_with_two_passages_or_more(orders: list[float]) -> None:
    agreement = agreement_of([orders, orders, [1.0]], [orders, orders[::-1], [2.0]])
    assert (agreement.tau, agreement.questions, agreement.passages) == (0.0, 2, 24)


def test_equal_scores_agree_with_equal_scores_only() -> None:
    assert agreement_of([[1.0, 1.0]], [[2.0, 2.0]]).tau == 1.0
    assert agreement_of([[1.0, 1.0]], [[2.0, 3.0]]).tau == 0.0
