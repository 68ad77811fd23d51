"""int8 is made on this machine, compared with fp32 on the user's own passages, and used when it agrees."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rag.config import Settings
from rag.errors import ModelError
from rag.identity import RerankerIdentity
from rag.models.files import ModelFiles, folder_model
from rag.models.int8 import (
    MODEL_FILE,
    UNSIGNED,
    discard,
    external_data,
    fits_this_processor,
    int8_files,
    make_int8,
    multiplies_signed_bytes,
    needed_space,
)
from rag.models.loading import is_quantised
from rag.rerank.agreement import AGREEMENT, PrecisionAgreement, agreement_of, read_agreement, write_agreement
from rag.rerank.cross_encoder import CrossEncoderReranker
from rag.rerank.precision import NOT_COMPARED
from rag.rerank.readiness import Readiness
from rag.types import Hit, SearchOptions
from tests.parts import hit, ingest, offline_settings, open_library
from tests.test_rerankers import made_ready, readiness, rerankers
from tests.waiting import wait_until

TEXTS = (
    *("water", "phone heat", "phone", "heat and water of the phone", "sugar in blood", "guide dogs", "the world"),
    *("rain on the roof", "a heat pump", "the harbour"),
)


@dataclass(frozen=True, slots=True)
class Making:
    """What came of making int8 twice at once, beside what was left over, from a model with its weights in a link.

    `before` is what the folder of the model held then, by name.
    """

    settings: Settings
    files: ModelFiles
    before: dict[str, bytes]
    made: tuple[ModelFiles, ...]


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory, cross_encoder_folder: Path) -> Making:
    folder = tmp_path_factory.mktemp("making")
    source = with_external_data(folder / "model", cross_encoder_folder, "weights.bin")
    if os.name == "posix":  # where links are allowed; the hub's cache is full of them
        (source / "weights.bin").rename(folder / "blob")
        (source / "weights.bin").symlink_to(folder / "blob")
    (source / "model-inferred.onnx").write_text("the user's own", encoding="utf-8")
    settings = offline_settings(folder / "data")
    files = folder_model("reranker", source)
    place = settings.models_folder / "int8" / files.name
    (place.parent / "making-0").mkdir(parents=True)
    (place.parent / "making-0" / "model.onnx").write_text("half", encoding="utf-8")
    place.mkdir()
    (place / "config.json").write_text("{}", encoding="utf-8")
    before = contents(source)
    with ThreadPoolExecutor() as threads:
        made = tuple(threads.map(lambda _: make_int8(files, settings), range(2)))
    return Making(settings, files, before, made)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_external_data(folder: Path, like: Path, location: str) -> Path:
    """Write a model again with its weights in a file of their own."""
    import onnx

    shutil.copytree(like, folder)
    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location=location)
    return folder


@pytest.fixture
def settings(tmp_path: Path, cross_encoder_folder: Path) -> Settings:
    return offline_settings(tmp_path / "data", rerank_model=str(cross_encoder_folder), rerank_precision="auto")


@pytest.fixture
def files(cross_encoder_folder: Path) -> ModelFiles:
    return folder_model("reranker", cross_encoder_folder)


@pytest.fixture
def made(making: Making, settings: Settings, files: ModelFiles) -> ModelFiles:
    """A copy of the int8 model, where these settings look for it."""
    shutil.copytree(making.made[0].folder, settings.models_folder / "int8" / files.name)
    found = int8_files(files, settings)
    assert found is not None
    return found


def samples() -> list[tuple[str, list[Hit]]]:
    hits = [hit(number, text) for number, text in enumerate(TEXTS, start=1)]
    return [("phone heat", hits), ("sugar", hits), ("dogs", hits)]


def reason_after_making_ready(ready: Readiness) -> str:
    assert made_ready(ready, samples).state == "ready"
    assert ready.preparation is not None
    files = folder_model("reranker", Path(ready.preparation.name))
    return str(ready.rerankers.precision_of(RerankerIdentity("model", files.name)))


def relevance(files: ModelFiles, texts: Sequence[str] = TEXTS) -> list[float]:
    return CrossEncoderReranker(files, threads=1).relevance("phone heat", texts)


def test_int8_is_a_smaller_model_whose_scores_are_near(making: Making, files: ModelFiles) -> None:
    made = making.made[0]
    weights = (made.folder / "model.onnx.data").stat().st_size
    assert weights < len(making.before["weights.bin"])
    assert is_quantised(made.folder / made.model_file)
    assert relevance(made) == pytest.approx(relevance(files), abs=0.02)


def test_int8_weights_are_such_that_this_processor_adds_up_their_products_exactly(making: Making) -> None:
    import onnx

    model = onnx.load(making.made[0].folder / making.made[0].model_file, load_external_data=False)
    multiplied = {node.input[1] for node in model.graph.node if node.op_type == "MatMulInteger"}
    kinds = {tensor.data_type for tensor in model.graph.initializer if tensor.name in multiplied}
    assert kinds == {onnx.TensorProto.INT8 if multiplies_signed_bytes() else onnx.TensorProto.UINT8}


def test_an_int8_model_from_another_kind_of_processor_is_made_anew(
    settings: Settings, files: ModelFiles, made: ModelFiles
) -> None:
    (made.folder / "old").touch()
    mark = made.folder / UNSIGNED
    if mark.exists():
        mark.unlink()
    else:
        mark.touch()
    assert not fits_this_processor(made)
    assert made_ready(readiness(settings), samples).state == "ready"
    again = int8_files(files, settings)
    assert again is not None
    assert fits_this_processor(again)
    assert not (made.folder / "old").exists()


def test_int8_scores_of_a_passage_do_not_depend_on_the_others(making: Making) -> None:
    alone = CrossEncoderReranker(making.made[0], threads=1)
    assert relevance(making.made[0]) == [alone.relevance("phone heat", [text])[0] for text in TEXTS]


def test_two_makers_at_once_end_with_one_whole_model_and_nothing_half_made(making: Making) -> None:
    found = int8_files(making.files, making.settings)
    assert making.made == (found, found)
    assert found is not None
    folders = [path for path in found.folder.parent.iterdir() if path.is_dir()]
    assert folders == [found.folder]


def test_a_folder_without_a_whole_model_is_replaced_by_one(making: Making) -> None:
    config = (making.made[0].folder / "config.json").read_text(encoding="utf-8")
    assert config == (making.files.folder / "config.json").read_text(encoding="utf-8") != "{}"


@pytest.mark.parametrize("name", [MODEL_FILE, "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_no_int8_model(
    settings: Settings, files: ModelFiles, made: ModelFiles, name: str
) -> None:
    (made.folder / name).unlink()
    assert int8_files(files, settings) is None


def test_making_int8_leaves_the_folder_of_the_model_as_it_was(making: Making) -> None:
    assert "model-inferred.onnx" in making.before
    assert contents(making.files.folder) == making.before


def test_the_int8_folder_is_open_to_whom_the_umask_says(making: Making, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert making.made[0].folder.stat().st_mode == plain.stat().st_mode


def test_a_model_with_external_data_of_any_name_gets_external_data(making: Making) -> None:
    made = making.made[0]
    assert external_data(making.files.folder / making.files.model_file) == {"weights.bin"}
    assert external_data(made.folder / made.model_file) == {"model.onnx.data"}


def test_the_space_wanted_counts_external_data_and_its_copy(making: Making) -> None:
    graph, weights = len(making.before["model.onnx"]), len(making.before["weights.bin"])
    source = making.files.folder / making.files.model_file
    assert needed_space(source, {"weights.bin"}) == int(1.1 * (graph + weights)) + weights


def test_external_data_outside_the_folder_of_the_model_is_refused(tmp_path: Path, making: Making) -> None:
    import onnx

    model = onnx.load(making.files.folder / making.files.model_file, load_external_data=False)
    locations = [entry for tensor in model.graph.initializer for entry in tensor.external_data]
    next(entry for entry in locations if entry.key == "location").value = "../weights.bin"
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"\.\./weights\.bin, which is not in its folder"):
        external_data(tmp_path / "model.onnx")


def test_quantising_ends_when_nobody_waits_for_it(tmp_path: Path, files: ModelFiles) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    (tmp_path / "int8").mkdir()
    command = [sys.executable, "-m", "rag.models.int8", str(files.folder / files.model_file), str(tmp_path)]
    try:
        child = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert (child.returncode, child.stderr) == (1, b"")
    assert not (tmp_path / "int8" / "model.onnx").exists()


def test_a_discarded_int8_model_is_gone_with_its_agreement(
    settings: Settings, files: ModelFiles, made: ModelFiles
) -> None:
    write_agreement(made, PrecisionAgreement(1.0, 5, 50))
    discard(made)
    assert int8_files(files, settings) is None
    assert not made.folder.exists()
    discard(made)


def test_an_int8_folder_that_cannot_be_looked_at_counts_as_not_made(tmp_path: Path, files: ModelFiles) -> None:
    too_long = offline_settings(tmp_path, models_dir=tmp_path / ("name" * 100))
    assert int8_files(files, too_long) is None


def test_int8_that_agrees_is_used_and_says_so(settings: Settings, files: ModelFiles, made: ModelFiles) -> None:
    ready = readiness(settings)
    reason = reason_after_making_ready(ready)
    agreement = read_agreement(made)
    assert agreement is not None
    assert (agreement.questions, agreement.passages) == (3, 3 * len(TEXTS))
    assert reason.startswith("It runs in int8: on your documents (questions: 3, passages: 30)")
    assert ready.rerankers.reranker()[1].name == f"{files.name} (int8)"


def test_int8_that_disagrees_is_not_used_and_says_so(
    settings: Settings, files: ModelFiles, made: ModelFiles, tmp_path: Path
) -> None:
    # Another model in its place: what it says has nothing to do with the fp32 model's order.
    other = folder_model("reranker", write_other_cross_encoder(tmp_path / "other", files.folder))
    shutil.copy(other.folder / other.model_file, made.folder / made.model_file)
    ready = readiness(settings)
    assert "It runs in fp32 and not in int8" in reason_after_making_ready(ready)
    assert ready.rerankers.reranker()[1].name == files.name


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


@pytest.mark.usefixtures("made")
def test_without_documents_fp32_runs_until_int8_can_be_compared(settings: Settings, files: ModelFiles) -> None:
    ready = readiness(settings)
    assert made_ready(ready).state == "ready"
    assert ready.awaits_samples
    assert ready.rerankers.precision_of(RerankerIdentity("model", files.name)) == NOT_COMPARED
    assert ready.rerankers.reranker()[1].name == files.name
    assert made_ready(ready, samples).state == "ready"
    assert not ready.awaits_samples
    assert ready.rerankers.reranker()[1].name == f"{files.name} (int8)"


def test_the_first_question_brings_the_passages_to_compare_on(settings: Settings, made: ModelFiles) -> None:
    with open_library(settings) as library:
        pipeline = library.pipeline
        assert made_ready(pipeline.readiness, pipeline._samples).state == "ready"
        assert pipeline.readiness.awaits_samples
        sections = [f"# {text}\n\n{text.capitalize()} is what this section is about.\n" for text in TEXTS]
        ingest(library, "notes", "notes.md", "\n".join(sections))
        pipeline.retrieve("phone heat", SearchOptions("notes"))
        wait_until(lambda: (now := pipeline.readiness.preparation) is not None and not now.moving)
        agreement = read_agreement(made)
        assert agreement is not None
        assert (agreement.questions, agreement.passages) == (5, 5 * len(TEXTS))


def test_a_measured_agreement_is_used_by_the_next_process(
    settings: Settings, files: ModelFiles, made: ModelFiles
) -> None:
    write_agreement(made, PrecisionAgreement(0.949, 5, 120))
    assert rerankers(settings).reranker()[1].name == files.name
    write_agreement(made, PrecisionAgreement(0.95, 5, 120))
    assert rerankers(settings).reranker()[1].name == f"{files.name} (int8)"


@pytest.mark.parametrize(
    "content",
    [
        '{"tau": null, "questions": 5, "passages": 100}',
        '{"tau": "0.99", "questions": 5, "passages": 100}',
        '{"tau": NaN, "questions": 5, "passages": 100}',
        '{"tau": 2.0, "questions": 5, "passages": 100}',
        '{"tau": 0.99, "questions": 5.0, "passages": "100"}',
        '{"tau": 0.99, "questions": 5}',
        '{"tau": 0.99, "questions": 5, "passages": 100, "model": "other"}',
        "[0.99, 5, 100]",
        '{"tau": 0.99',
    ],
)
def test_an_agreement_that_cannot_be_understood_counts_as_not_measured(
    tmp_path: Path, files: ModelFiles, content: str
) -> None:
    made = replace(files, folder=tmp_path)
    write_agreement(made, PrecisionAgreement(0.99, 5, 100))
    assert read_agreement(made) == PrecisionAgreement(0.99, 5, 100)
    (tmp_path / AGREEMENT).write_text(content, encoding="utf-8")
    assert read_agreement(made) is None


@pytest.mark.parametrize(("questions", "passages", "enough"), [(3, 30, True), (2, 100, False), (10, 29, False)])
def test_an_agreement_on_too_little_counts_as_not_measured(
    tmp_path: Path, files: ModelFiles, questions: int, passages: int, enough: bool
) -> None:
    made, agreement = replace(files, folder=tmp_path), PrecisionAgreement(1.0, questions, passages)
    assert agreement.enough is enough
    write_agreement(made, agreement)
    assert read_agreement(made) == (agreement if enough else None)


def test_an_agreement_that_cannot_be_kept_says_so(tmp_path: Path, files: ModelFiles) -> None:
    made = replace(files, folder=tmp_path / "gone")
    with pytest.raises(ModelError, match=r"cannot be kept: .*gone cannot be written to .* RERANK_PRECISION"):
        write_agreement(made, PrecisionAgreement(1.0, 5, 50))


@pytest.mark.parametrize(("precision", "suffix"), [("int8", " (int8)"), ("fp32", "")])
def test_the_setting_decides_without_a_comparison(
    settings: Settings, files: ModelFiles, precision: str, suffix: str
) -> None:
    ready = readiness(replace(settings, rerank_precision=precision))
    assert made_ready(ready).state == "ready"
    assert ready.rerankers.reranker()[1].name == files.name + suffix
    assert not ready.awaits_samples


def test_a_model_that_cannot_be_quantised_goes_on_in_fp32(
    settings: Settings, files: ModelFiles, tmp_path: Path
) -> None:
    ready = readiness(replace(settings, models_dir=tmp_path / "file" / "models"))
    (tmp_path / "file").write_text("a file where a folder should be", encoding="utf-8")
    assert "cannot be written to" in reason_after_making_ready(ready)
    assert ready.rerankers.reranker()[1].name == files.name


def test_a_damaged_model_gives_no_int8_model(settings: Settings, files: ModelFiles, tmp_path: Path) -> None:
    folder = shutil.copytree(files.folder, tmp_path / "model")
    (folder / "model.onnx").write_bytes(b"damaged")
    damaged = folder_model("reranker", folder)
    with pytest.raises(ModelError, match=r"could not be made faster \(int8\): .*[^.]\. It goes on in fp32\.$"):
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


def test_scores_that_are_no_numbers_agree_with_none() -> None:
    assert agreement_of([[2.0, 1.0]], [[math.nan, 1.0]]).tau == 0.0
