"""The embedding services, as records of what differs between them; adding a service is adding a record.

None of them could be asked where this was written; docs/embedders.md says which limits were compared with their pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

UNKNOWN_MODEL_TOKENS = 512
"""What a text may have where the service serves any model: what most of the models read that are asked for."""


@dataclass(frozen=True, slots=True)
class EmbeddingService:
    """How one service is asked: JSON by POST, and the key as `Authorization: Bearer KEY`, which is the same for all.

    `example` is the name of one of its models, "" where a server has only one. `address` is "" where the user runs the
    server. One request holds at most `most` texts, under `texts`, of `most_tokens` together; a text has at most
    `max_tokens`. `dimensions` is the field that shortens vectors, "" where none does. `always` is sent with every
    request, `question` and `passage` with those: services that are told by them need no prompt of the model's own.
    `reply` is the field that has the vectors. `known_as` has the catalogue's names of models that are called otherwise.
    """

    name: str
    example: str
    most: int
    address: str = ""
    path: str = "/v1/embeddings"
    most_tokens: int = 0
    max_tokens: int = UNKNOWN_MODEL_TOKENS
    texts: str = "input"
    dimensions: str = "dimensions"
    reply: Literal["data", "embeddings"] = "data"
    always: Mapping[str, object] = field(default_factory=dict)
    question: Mapping[str, str] = field(default_factory=dict)
    passage: Mapping[str, str] = field(default_factory=dict)
    known_as: Mapping[str, str] = field(default_factory=dict)


SERVICES: dict[str, EmbeddingService] = {
    service.name: service
    for service in (
        # platform.openai.com/docs/api-reference/embeddings: an array has at most 2,048 texts of 8,192 tokens, and
        # 300,000 tokens together.
        EmbeddingService(
            "openai",
            "text-embedding-3-small",
            2048,
            "https://api.openai.com",
            most_tokens=300_000,
            max_tokens=8192,
            always={"encoding_format": "base64"},
        ),
        # docs.cohere.com/reference/embed: 96 texts; what they are has to be said.
        EmbeddingService(
            "cohere",
            "embed-v4.0",
            96,
            "https://api.cohere.com",
            path="/v2/embed",
            texts="texts",
            dimensions="output_dimension",
            reply="embeddings",
            always={"embedding_types": ["float"], "truncate": "END"},
            question={"input_type": "search_query"},
            passage={"input_type": "search_document"},
        ),
        # jina.ai/embeddings and api.jina.ai: texts of 8,192 tokens. It names no number of texts that every model takes.
        EmbeddingService(
            "jina",
            "jina-embeddings-v3",
            128,
            "https://api.jina.ai",
            max_tokens=8192,
            always={"normalized": True, "truncate": True},
            question={"task": "retrieval.query"},
            passage={"task": "retrieval.passage"},
        ),
        # docs.voyageai.com/reference/embeddings-api: 1,000 texts, and 120,000 tokens together for the largest models.
        EmbeddingService(
            "voyage",
            "voyage-3.5",
            1000,
            "https://api.voyageai.com",
            most_tokens=120_000,
            max_tokens=16_000,
            dimensions="output_dimension",
            always={"truncation": True},
            question={"input_type": "query"},
            passage={"input_type": "document"},
        ),
        # docs.siliconflow.cn/api-reference/embeddings/create-embeddings: 32 texts, of 512 tokens for most models.
        EmbeddingService("siliconflow", "BAAI/bge-m3", 32, "https://api.siliconflow.cn"),
        # docs.bigmodel.cn, "文本嵌入": at most 64 texts; embedding-2 reads 512 tokens of each and 8,000 together.
        EmbeddingService(
            "zhipu", "embedding-3", 64, "https://open.bigmodel.cn", path="/api/paas/v4/embeddings", most_tokens=8000
        ),
        # docs.ollama.com/api/openai-compatibility: no limit is named; it embeds one text after the other.
        EmbeddingService(
            "ollama",
            "bge-m3",
            32,
            known_as={
                "nomic-embed-text": "nomic-ai/nomic-embed-text-v1.5",
                "mxbai-embed-large": "mixedbread-ai/mxbai-embed-large-v1",
            },
        ),
        # docs.vllm.ai, "OpenAI-Compatible Server": -1 cuts a text to what the model takes, an error otherwise.
        EmbeddingService("vllm", "BAAI/bge-m3", 64, always={"truncate_prompt_tokens": -1}),
        # lmstudio.ai/docs, "OpenAI Compatibility API": only the model and the texts are taken.
        EmbeddingService(
            "lmstudio",
            "text-embedding-nomic-embed-text-v1.5",
            32,
            dimensions="",
            known_as={"text-embedding-nomic-embed-text-v1.5": "nomic-ai/nomic-embed-text-v1.5"},
        ),
        # huggingface/text-embeddings-inference: --max-client-batch-size is 32 by default.
        EmbeddingService("tei", "", 32),
        # michaelfeil/infinity, infinity_emb/fastapi_schemas/pymodels.py: from 1 to 2,048 texts.
        EmbeddingService("infinity", "BAAI/bge-m3", 2048, path="/embeddings"),
    )
}
