"""The models that are known by name, one record each: what it is, where its files are, how large it is, its licence.

Plain data and nothing to import, so that a list of models costs nothing. Names, files, sizes and licences are those of
fastembed's own list and of the pages of the repositories; docs/rerankers.md says which of them were seen working.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rag.language.message import NOTHING, Message, message

RecordKind = Literal["cross-encoder", "late interaction", "embedder"]

MEMORY_PER_BYTE, MEMORY_MB = 1.4, 150
"""Memory while a model runs, over the bytes of its weights: measured with random weights in the architectures of
MiniLM and BGE-reranker-base, where onnxruntime keeps matrices a second time, packed for this processor."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an embedder's authors want before a question and a passage, and whether the first token stands for a text.

    fastembed adds neither instruction, and knows the pooling only of a model that it is given by its hub name.
    """

    question: str = ""
    passage: str = ""
    first_token: bool = False


PLAIN = Usage()
FIRST_TOKEN = Usage(first_token=True)
BGE = Usage("Represent this sentence for searching relevant passages: ", first_token=True)
BGE_CHINESE = Usage("为这个句子生成表示以用于检索相关文章：", first_token=True)
E5 = Usage("query: ", "passage: ")
NOMIC = Usage("search_query: ", "search_document: ")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model; `name` is what people write, `size` the bytes to fetch, `max_tokens` the longest input it was made for.

    `model_file` is "" where the repository's authors publish no ONNX file that is known here: it is then looked for at
    the hub. `additional_files` hold weights that the model file points to. `usage` is how an embedder is used.
    """

    name: str
    kind: RecordKind
    repository: str
    model_file: str
    size: int
    languages: Message
    licence: str
    max_tokens: int
    additional_files: tuple[str, ...] = ()
    note: Message = NOTHING
    usage: Usage = PLAIN

    @property
    def commercial(self) -> bool:
        """Whether the licence allows commercial use."""
        return allows_commercial_use(self.licence)

    @property
    def memory_mb(self) -> int:
        """About how many megabytes the model takes while it runs."""
        return 10 * round((self.size * MEMORY_PER_BYTE / 1e6 + MEMORY_MB) / 10)

    @property
    def cache_folder(self) -> str:
        """The name of the model's own folder in the cache."""
        return folder_in_cache(self.repository)


def folder_in_cache(repository: str) -> str:
    """Return the name of a repository's folder in the cache, as huggingface_hub gives it."""
    return f"models--{repository.replace('/', '--')}"


def allows_commercial_use(licence: str) -> bool:
    """Tell from the name of a licence, as the hub writes it, whether it allows commercial use."""
    return "nc" not in licence.lower().replace("_", "-").split("-") and "non-commercial" not in licence.lower()


ONNX = "onnx/model.onnx"

CATALOGUE: tuple[ModelRecord, ...] = (
    ModelRecord(
        name="BAAI/bge-reranker-base",
        kind="cross-encoder",
        repository="BAAI/bge-reranker-base",
        model_file=ONNX,
        size=1_130_000_000,
        languages=message("English, Chinese"),
        licence="mit",
        max_tokens=512,
        note=message("what RERANK_MODEL=auto fetches"),
    ),
    ModelRecord(
        name="BAAI/bge-reranker-large",
        kind="cross-encoder",
        repository="BAAI/bge-reranker-large",
        model_file=ONNX,
        additional_files=("onnx/model.onnx_data",),
        size=2_260_000_000,
        languages=message("English, Chinese"),
        licence="mit",
        max_tokens=512,
    ),
    ModelRecord(
        name="BAAI/bge-reranker-v2-m3",
        kind="cross-encoder",
        repository="onnx-community/bge-reranker-v2-m3-ONNX",
        model_file=ONNX,
        additional_files=("onnx/model.onnx_data",),
        size=2_290_000_000,
        languages=message("100+ languages"),
        licence="apache-2.0",
        max_tokens=8192,
    ),
    ModelRecord(
        name="BAAI/bge-reranker-v2-m3-int8",
        kind="cross-encoder",
        repository="onnx-community/bge-reranker-v2-m3-ONNX",
        model_file="onnx/model_int8.onnx",
        size=590_000_000,
        languages=message("100+ languages"),
        licence="apache-2.0",
        max_tokens=8192,
        note=message("a quarter of the size of v2-m3"),
    ),
    ModelRecord(
        name="jinaai/jina-reranker-v1-tiny-en",
        kind="cross-encoder",
        repository="jinaai/jina-reranker-v1-tiny-en",
        model_file=ONNX,
        size=134_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=8192,
    ),
    ModelRecord(
        name="jinaai/jina-reranker-v1-turbo-en",
        kind="cross-encoder",
        repository="jinaai/jina-reranker-v1-turbo-en",
        model_file=ONNX,
        size=153_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=8192,
    ),
    ModelRecord(
        name="jinaai/jina-reranker-v2-base-multilingual",
        kind="cross-encoder",
        repository="jinaai/jina-reranker-v2-base-multilingual",
        model_file=ONNX,
        size=1_130_000_000,
        languages=message("100+ languages"),
        licence="cc-by-nc-4.0",
        max_tokens=1024,
    ),
    ModelRecord(
        name="Xenova/ms-marco-MiniLM-L-6-v2",
        kind="cross-encoder",
        repository="Xenova/ms-marco-MiniLM-L-6-v2",
        model_file=ONNX,
        size=92_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=512,
    ),
    ModelRecord(
        name="Xenova/ms-marco-MiniLM-L-12-v2",
        kind="cross-encoder",
        repository="Xenova/ms-marco-MiniLM-L-12-v2",
        model_file=ONNX,
        size=135_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=512,
    ),
    ModelRecord(
        name="Xenova/ms-marco-TinyBERT-L-2-v2",
        kind="cross-encoder",
        repository="Xenova/ms-marco-TinyBERT-L-2-v2",
        model_file=ONNX,
        size=18_400_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=512,
        note=message("the smallest and quickest"),
    ),
    ModelRecord(
        name="maidalun1020/bce-reranker-base_v1",
        kind="cross-encoder",
        repository="maidalun1020/bce-reranker-base_v1",
        model_file="",
        size=1_130_000_000,
        languages=message("English, Chinese, Japanese, Korean"),
        licence="apache-2.0",
        max_tokens=512,
        note=message("its authors publish PyTorch weights: export them to ONNX and give the folder"),
    ),
    ModelRecord(
        name="answerdotai/answerai-colbert-small-v1",
        kind="late interaction",
        repository="answerdotai/answerai-colbert-small-v1",
        model_file="vespa_colbert.onnx",
        size=134_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=512,
    ),
    ModelRecord(
        name="colbert-ir/colbertv2.0",
        kind="late interaction",
        repository="colbert-ir/colbertv2.0",
        model_file="model.onnx",
        size=437_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
    ),
    ModelRecord(
        name="lightonai/LateOn",
        kind="late interaction",
        repository="lightonai/LateOn",
        model_file="model.onnx",
        size=616_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=300,
    ),
    ModelRecord(
        name="lightonai/mLateOn",
        kind="late interaction",
        repository="lightonai/mLateOn",
        model_file="model.onnx",
        size=1_250_000_000,
        languages=message("many languages, code"),
        licence="apache-2.0",
        max_tokens=8192,
    ),
    ModelRecord(
        name="jinaai/jina-colbert-v2",
        kind="late interaction",
        repository="jinaai/jina-colbert-v2",
        model_file=ONNX,
        additional_files=("onnx/model.onnx_data",),
        size=2_260_000_000,
        languages=message("89 languages"),
        licence="cc-by-nc-4.0",
        max_tokens=8192,
    ),
    ModelRecord(
        name="BAAI/bge-small-en-v1.5",
        kind="embedder",
        repository="Qdrant/bge-small-en-v1.5-onnx-Q",
        model_file="model_optimized.onnx",
        size=67_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
        note=message("what EMBED_MODEL=auto fetches"),
        usage=BGE,
    ),
    ModelRecord(
        name="BAAI/bge-base-en-v1.5",
        kind="embedder",
        repository="Qdrant/bge-base-en-v1.5-onnx-Q",
        model_file="model_optimized.onnx",
        size=210_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
        usage=BGE,
    ),
    ModelRecord(
        name="BAAI/bge-large-en-v1.5",
        kind="embedder",
        repository="Qdrant/bge-large-en-v1.5-onnx",
        model_file="model.onnx",
        size=1_340_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
        usage=BGE,
    ),
    ModelRecord(
        name="BAAI/bge-small-zh-v1.5",
        kind="embedder",
        repository="Qdrant/bge-small-zh-v1.5",
        model_file="model_optimized.onnx",
        size=90_000_000,
        languages=message("Chinese"),
        licence="mit",
        max_tokens=512,
        usage=BGE_CHINESE,
    ),
    ModelRecord(
        name="BAAI/bge-base-zh-v1.5",
        kind="embedder",
        repository="Xenova/bge-base-zh-v1.5",
        model_file=ONNX,
        size=407_000_000,
        languages=message("Chinese"),
        licence="mit",
        max_tokens=512,
        usage=BGE_CHINESE,
    ),
    ModelRecord(
        name="BAAI/bge-large-zh-v1.5",
        kind="embedder",
        repository="Xenova/bge-large-zh-v1.5",
        model_file=ONNX,
        size=1_300_000_000,
        languages=message("Chinese"),
        licence="mit",
        max_tokens=512,
        usage=BGE_CHINESE,
    ),
    ModelRecord(
        name="BAAI/bge-m3",
        kind="embedder",
        repository="BAAI/bge-m3",
        model_file=ONNX,
        additional_files=("onnx/model.onnx_data",),
        size=2_270_000_000,
        languages=message("100+ languages"),
        licence="mit",
        max_tokens=8192,
        usage=FIRST_TOKEN,
    ),
    ModelRecord(
        name="intfloat/multilingual-e5-small",
        kind="embedder",
        repository="intfloat/multilingual-e5-small",
        model_file=ONNX,
        size=470_000_000,
        languages=message("100 languages"),
        licence="mit",
        max_tokens=512,
        usage=E5,
    ),
    ModelRecord(
        name="intfloat/multilingual-e5-base",
        kind="embedder",
        repository="intfloat/multilingual-e5-base",
        model_file=ONNX,
        size=1_110_000_000,
        languages=message("100 languages"),
        licence="mit",
        max_tokens=512,
        usage=E5,
    ),
    ModelRecord(
        name="intfloat/multilingual-e5-large",
        kind="embedder",
        repository="Qdrant/multilingual-e5-large-onnx",
        model_file="model.onnx",
        additional_files=("model.onnx_data",),
        size=2_260_000_000,
        languages=message("100 languages"),
        licence="mit",
        max_tokens=512,
        usage=E5,
    ),
    ModelRecord(
        name="shibing624/text2vec-base-chinese",
        kind="embedder",
        repository="shibing624/text2vec-base-chinese",
        model_file=ONNX,
        size=409_000_000,
        languages=message("Chinese"),
        licence="apache-2.0",
        max_tokens=256,
    ),
    ModelRecord(
        name="thenlper/gte-base",
        kind="embedder",
        repository="thenlper/gte-base",
        model_file=ONNX,
        size=440_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
    ),
    ModelRecord(
        name="thenlper/gte-large",
        kind="embedder",
        repository="Qdrant/gte-large-onnx",
        model_file="model.onnx",
        size=1_200_000_000,
        languages=message("English"),
        licence="mit",
        max_tokens=512,
    ),
    ModelRecord(
        name="Alibaba-NLP/gte-multilingual-base",
        kind="embedder",
        repository="onnx-community/gte-multilingual-base",
        model_file=ONNX,
        size=1_240_000_000,
        languages=message("70+ languages"),
        licence="apache-2.0",
        max_tokens=8192,
        usage=FIRST_TOKEN,
    ),
    ModelRecord(
        name="mixedbread-ai/mxbai-embed-large-v1",
        kind="embedder",
        repository="mixedbread-ai/mxbai-embed-large-v1",
        model_file=ONNX,
        size=640_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=512,
        usage=BGE,
    ),
    ModelRecord(
        name="nomic-ai/nomic-embed-text-v1.5",
        kind="embedder",
        repository="nomic-ai/nomic-embed-text-v1.5",
        model_file=ONNX,
        size=520_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=8192,
        usage=NOMIC,
    ),
    ModelRecord(
        name="nomic-ai/nomic-embed-text-v1.5-Q",
        kind="embedder",
        repository="nomic-ai/nomic-embed-text-v1.5",
        model_file="onnx/model_quantized.onnx",
        size=130_000_000,
        languages=message("English"),
        licence="apache-2.0",
        max_tokens=8192,
        usage=NOMIC,
    ),
)
"""Every model that is offered by name. Adding one is adding a record."""

RERANKER_NAMES = tuple(record.name for record in CATALOGUE if record.kind != "embedder")


def find(name: str) -> ModelRecord | None:
    """Return the record of a model by its name, in any case, with or without the organisation before the slash."""
    wanted = name.lower()
    exact = (record for record in CATALOGUE if record.name.lower() == wanted)
    short = (record for record in CATALOGUE if _short(record.name) == wanted)
    return next(exact, None) or next(short, None)


def find_copy(folder: str) -> ModelRecord | None:
    """Return the record of the model whose name, or whose folder in the cache, a folder's name is."""
    cached = (record for record in CATALOGUE if record.cache_folder.lower() == folder.lower())
    return find(folder) or next(cached, None)


def nearest_names(name: str, among: Sequence[str] = RERANKER_NAMES) -> list[str]:
    """Return up to three of the names that are most like one, the most alike first; [] when none is."""
    by_short = {_short(known): known for known in among}
    return [by_short[near] for near in difflib.get_close_matches(_short(name), by_short, n=3, cutoff=0.4)]


def did_you_mean(name: str, among: Sequence[str] = RERANKER_NAMES) -> tuple[Message, ...]:
    """Return a question with the nearest names; none when no name is near."""
    near = nearest_names(name, among)
    if not near:
        return ()
    return (message("Did you mean {names}?", names=" or ".join(filter(None, [", ".join(near[:-1]), near[-1]]))),)


def _short(name: str) -> str:
    return name.lower().rpartition("/")[2]
