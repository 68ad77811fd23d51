"""A transformer is run from its ONNX file, on the processor that the settings name."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from rag.errors import ModelError
from rag.models.files import ModelFiles, folder_model
from rag.models.loading import PROVIDERS, execution_providers
from rag.models.transformer import Transformer


@pytest.fixture
def files(cross_encoder_folder: Path) -> ModelFiles:
    return folder_model("reranker", cross_encoder_folder)


def test_a_pair_has_the_marks_that_the_tokenizer_was_made_with(files: ModelFiles) -> None:
    model = Transformer(files)
    question, passage = model.encode(["phone heat", "hot water"])
    pair = model.pair(question, passage)
    assert pair.ids == model.tokenizer.encode("phone heat", "hot water").ids
    assert pair.type_ids == model.tokenizer.encode("phone heat", "hot water").type_ids


def test_padding_does_not_change_a_score(files: ModelFiles) -> None:
    model = Transformer(files)
    short, long = (model.tokenizer.encode("phone", text) for text in ("heat", "heat " * 30))
    together = model.run([short, long])
    assert together[0] == pytest.approx(model.run([short])[0], abs=1e-5)


def test_an_input_that_no_text_model_has_is_named(tmp_path: Path, files: ModelFiles) -> None:
    shutil.copytree(files.folder, tmp_path / "model")
    model = onnx.load(tmp_path / "model" / "model.onnx")
    model.graph.input.append(helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Identity", ["pixel_values"], ["seen"]))
    model.graph.output.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, [1]))
    onnx.save(model, tmp_path / "model" / "model.onnx")
    with pytest.raises(ModelError, match="wants pixel_values as input, which no text model of this kind has"):
        Transformer(folder_model("reranker", tmp_path / "model")).load()


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "cpu"])
def test_a_provider_that_is_not_installed_is_named_with_its_package(files: ModelFiles, provider: str) -> None:
    import onnxruntime

    name, package = PROVIDERS[provider]
    if name in onnxruntime.get_available_providers():
        pytest.skip(f"{name} is installed here")
    with pytest.raises(ModelError, match=f"MODEL_PROVIDER={provider} .*{package}.*{name}"):
        execution_providers(provider)
    with pytest.raises(ModelError, match=f"MODEL_PROVIDER={provider}"):
        Transformer(files, provider).load()


def test_the_processor_needs_no_package() -> None:
    assert execution_providers("cpu") == ["CPUExecutionProvider"]
