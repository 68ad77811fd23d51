"""How embedding models want to be used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model's authors want before a question and before a passage, and whether its first token stands for it.

    fastembed adds neither instruction, and knows the pooling only of a model that it is given by its hub name.
    """

    question: str = ""
    passage: str = ""
    first_token: bool = False


USAGES: dict[str, Usage] = {
    "BAAI/bge-small-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-base-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-large-en-v1.5": Usage("Represent this sentence for searching relevant passages: ", first_token=True),
    "BAAI/bge-small-zh-v1.5": Usage("为这个句子生成表示以用于检索相关文章：", first_token=True),
    "intfloat/multilingual-e5-large": Usage("query: ", "passage: "),
    "mixedbread-ai/mxbai-embed-large-v1": Usage(
        "Represent this sentence for searching relevant passages: ", first_token=True
    ),
    "nomic-ai/nomic-embed-text-v1.5": Usage("search_query: ", "search_document: "),
    "nomic-ai/nomic-embed-text-v1.5-Q": Usage("search_query: ", "search_document: "),
}
"""The usage of each model that wants a special one, by its hub name; the catalogue does not offer all of them."""
