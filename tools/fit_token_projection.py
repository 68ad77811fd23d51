"""Fit the projection of the bundled model's token vectors, from 384 dimensions to 128.

The result is a matrix of principal components of the demo's documents in `rag/models/bundled/all-minilm-l6-v2/`, from
which no text can be read back, and a line about it in `build.json`. Run it after the bundled model was built anew:

    python -m tools.fit_token_projection
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "rag" / "models" / "bundled" / "all-minilm-l6-v2"
TEXTS = ROOT / "demo" / "documents"
PROJECTION_FILE = MODEL / "token_projection.npy"
DIMENSIONS = 128


def main() -> None:
    vectors = token_vectors(sorted(TEXTS.iterdir()))
    projection, kept = fit(vectors)
    np.save(PROJECTION_FILE, projection)
    record = json.loads((MODEL / "build.json").read_text(encoding="utf-8"))
    record["token_projection"] = {
        "file": PROJECTION_FILE.name,
        "sha256": hashlib.sha256(PROJECTION_FILE.read_bytes()).hexdigest(),
        "fitted_on": TEXTS.relative_to(ROOT).as_posix(),
        "tokens": len(vectors),
        "dimensions": DIMENSIONS,
        "variance_kept": round(kept, 4),
    }
    (MODEL / "build.json").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(vectors):,} token vectors; {DIMENSIONS} dimensions keep {kept:.1%} of their variance")


def token_vectors(paths: list[Path]) -> NDArray[np.float32]:
    """Return the unit vectors of all tokens in the files, without the marks of beginning and end."""
    session = ort.InferenceSession(str(MODEL / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    vectors = []
    for path in paths:
        first = tokenizer.encode(path.read_text(encoding="utf-8"))
        for encoding in (first, *first.overflowing):
            hidden = run(session, encoding)[1:-1]
            vectors.append(hidden / np.linalg.norm(hidden, axis=1, keepdims=True))
    return np.concatenate(vectors)


def run(session: ort.InferenceSession, encoding: Encoding) -> NDArray[np.float32]:
    """Return the model's output for one text."""
    ids = np.array([encoding.ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return np.asarray(session.run(None, inputs)[0][0])


def fit(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float16], float]:
    """Return the projection as a matrix with the shift of the mean as its last row, and the share of variance kept."""
    mean = vectors.mean(axis=0)
    _, spread, components = np.linalg.svd(vectors - mean, full_matrices=False)
    kept = float((spread[:DIMENSIONS] ** 2).sum() / (spread**2).sum())
    matrix = components[:DIMENSIONS].T
    return np.vstack([matrix, -mean @ matrix]).astype(np.float16), kept


if __name__ == "__main__":
    main()
