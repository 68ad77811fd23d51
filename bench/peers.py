"""Other cross-encoder libraries, run by the Python that BENCH_PEERS_PYTHON names: `python -m bench.peers COMMAND`.

    python -m bench.peers model PRESET FOLDER     write a model as Hugging Face's libraries do, with its export to ONNX
    python -m bench.peers measure SYSTEM FOLDER   time a library on the questions and texts given as JSON

That environment has these libraries and not ours, so nothing of the project is imported but what needs neither.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from bench.rounds import Score, measure, peak_megabytes

MAX_TOKENS = 512
LIBRARIES = ("sentence-transformers", "torch", "transformers", "FlashRank", "onnxruntime")


def write_model(preset: str, folder: Path) -> None:
    """Write a preset's architecture with random weights as safetensors, and as optimum exports it to ONNX."""
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import (
        AutoModelForSequenceClassification,
        BertConfig,
        PreTrainedTokenizerFast,
        XLMRobertaConfig,
    )

    from tools.random_model import BERT, PRESETS, small_tokenizer

    sizes = PRESETS[preset]
    marks = sizes.family.pair.split()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=small_tokenizer(sizes.family, sizes.vocabulary),
        model_max_length=sizes.max_tokens,
        cls_token=marks[0],
        sep_token=marks[-1].partition(":")[0],
        pad_token=sizes.family.pad,
        unk_token=sizes.family.unknown,
        mask_token=sizes.family.marks[-1],
    )
    bert = sizes.family is BERT
    config = (BertConfig if bert else XLMRobertaConfig)(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.max_tokens + sizes.family.first_position,
        type_vocab_size=2 if bert else 1,
        pad_token_id=tokenizer.pad_token_id,
        # With the usual 0.02 all passages would get nearly the same score.
        initializer_range=sizes.hidden**-0.5,
        num_labels=1,
    )
    torch.manual_seed(sizes.seed)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ORTModelForSequenceClassification.from_pretrained(folder, export=True).save_pretrained(folder / "onnx")


def sentence_transformers(folder: Path, backend: str) -> Score:
    """Return sentence-transformers' cross-encoder with its defaults, but that it gives logits."""
    from sentence_transformers import CrossEncoder
    from torch.nn import Identity

    options = {} if backend == "torch" else {"model_kwargs": {"provider": "CPUExecutionProvider"}}
    encoder = CrossEncoder(str(folder), device="cpu", max_length=MAX_TOKENS, backend=backend, **options)

    def score(question: str, texts: Sequence[str]) -> list[float]:
        pairs = [(question, text) for text in texts]
        return [float(logit) for logit in encoder.predict(pairs, activation_fn=Identity(), show_progress_bar=False)]

    return score


def flashrank(folder: Path) -> Score:
    """Return FlashRank's ranker of pairs with its defaults, on a model that it does not know."""
    from flashrank import Ranker, RerankRequest
    from flashrank.Config import model_file_map

    model_file_map[folder.name] = "onnx/model.onnx"
    ranker = Ranker(folder.name, cache_dir=str(folder.parent), max_length=MAX_TOKENS)

    def score(question: str, texts: Sequence[str]) -> list[float]:
        passages = [{"id": place, "text": text} for place, text in enumerate(texts)]
        ranked = ranker.rerank(RerankRequest(query=question, passages=passages))
        relevance = {passage["id"]: float(passage["score"]) for passage in ranked}
        return [math.log(relevance[place] / (1 - relevance[place])) for place in range(len(texts))]

    return score


SYSTEMS: Mapping[str, Callable[[Path], Score]] = {
    "sentence-transformers, torch": lambda folder: sentence_transformers(folder, "torch"),
    "sentence-transformers, onnx": lambda folder: sentence_transformers(folder, "onnx"),
    "FlashRank": flashrank,
}


def main() -> None:
    """Run one command; figures go to the standard output as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers")
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model")
    model.add_argument("preset")
    model.add_argument("folder", type=Path)
    measured = commands.add_parser("measure")
    measured.add_argument("system", choices=list(SYSTEMS))
    measured.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if arguments.command == "model":
        write_model(arguments.preset, arguments.folder)
        return
    given = json.load(sys.stdin)
    figures = measure(SYSTEMS[arguments.system](arguments.folder), given["questions"], given["texts"])
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    print(json.dumps({**figures, "versions": versions, "peak_mb": peak_megabytes()}))


if __name__ == "__main__":
    main()
