"""The reranking services, as records of what differs between them; adding a service is adding a record."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag.access import require_model
from rag.errors import ModelError

Scale = Literal["probability", "logit", "model"]
"""What scores are: from 0 to 1, the logit of that, or either, as the model that is served has it."""


@dataclass(frozen=True, slots=True)
class RerankService:
    """How one service is asked: JSON by POST, and the key as `Authorization: Bearer KEY`, which is the same for all.

    `example` is the name of one of its models, "" where a server has only one. `address` is "" where the user runs the
    server. One request holds at most `most` passages, under `documents`, and `always` besides. The answer has the
    results under `results`, or is itself their list where that is "". Where the address is known, the service's key is
    the setting NAME_API_KEY.
    """

    name: str
    example: str
    path: str
    most: int
    scale: Scale
    address: str = ""
    documents: str = "documents"
    top: str = "top_n"
    results: str = "results"
    score: str = "relevance_score"
    always: Mapping[str, bool | int] = field(default_factory=dict)


SERVICES: dict[str, RerankService] = {
    service.name: service
    for service in (
        # docs.cohere.com/reference/rerank: no more than 1,000 documents are advised; each is cut to 4,096 tokens.
        RerankService("cohere", "rerank-v3.5", "/v2/rerank", 1000, "probability", "https://api.cohere.com"),
        # jina.ai/reranker: jina-reranker-v3 reads up to 64 documents together, and as its scores are cosines, a few
        # are below 0.
        RerankService(
            "jina",
            "jina-reranker-v3",
            "/v1/rerank",
            64,
            "probability",
            "https://api.jina.ai",
            always={"return_documents": False},
        ),
        # docs.voyageai.com/reference/reranker-api: the number of documents cannot exceed 1,000.
        RerankService(
            "voyage",
            "rerank-2.5",
            "/v1/rerank",
            1000,
            "probability",
            "https://api.voyageai.com",
            top="top_k",
            results="data",
            always={"truncation": True},
        ),
        # docs.siliconflow.cn/api-reference/rerank/create-rerank names no limit: that of its embeddings is 64.
        RerankService(
            "siliconflow",
            "BAAI/bge-reranker-v2-m3",
            "/v1/rerank",
            64,
            "probability",
            "https://api.siliconflow.cn",
            always={"return_documents": False},
        ),
        # docs.bigmodel.cn, "文本重排序": at most 128 documents of 4,096 characters.
        RerankService(
            "zhipu",
            "rerank",
            "/api/paas/v4/rerank",
            128,
            "probability",
            "https://open.bigmodel.cn",
            always={"return_documents": False},
        ),
        # huggingface/text-embeddings-inference, router/src/http/types.rs; --max-client-batch-size is 32 by default, and
        # a text that is too long is an error unless it may be cut.
        RerankService(
            "tei",
            "",
            "/rerank",
            32,
            "logit",
            documents="texts",
            top="",
            results="",
            score="score",
            always={"raw_scores": True, "truncate": True},
        ),
        # michaelfeil/infinity, infinity_emb/fastapi_schemas/pymodels.py: from 1 to 2,048 documents.
        RerankService(
            "infinity",
            "mixedbread-ai/mxbai-rerank-base-v1",
            "/rerank",
            2048,
            "probability",
            always={"return_documents": False},
        ),
        # vllm-project/vllm, vllm/entrypoints/pooling/score/protocol.py: -1 cuts a prompt to what the model takes, and
        # longer ones are errors otherwise. The model's own configuration decides whether logits are returned.
        RerankService(
            "vllm",
            "BAAI/bge-reranker-v2-gemma",
            "/v1/rerank",
            1000,
            "model",
            always={"truncate_prompt_tokens": -1},
        ),
        # xorbitsai/inference, xinference/model/rerank/sentence_transformers/core.py: a logit from bge-reranker-v2-gemma
        # and -minicpm-layerwise, a probability from most others.
        RerankService(
            "xinference",
            "bge-reranker-v2-gemma",
            "/v1/rerank",
            1000,
            "model",
            always={"return_documents": False},
        ),
    )
}


def find_service(choice: str, services: Mapping[str, RerankService] = SERVICES) -> tuple[RerankService, str]:
    """Return the service and the model in a choice such as "cohere:rerank-v3.5".

    Raises ModelError for an unknown service, with near names, and for a missing model.
    """
    name, _, model = (part.strip() for part in choice.partition(":"))
    service = services.get(name.lower())
    if service is None:
        near = difflib.get_close_matches(name.lower(), services, n=2) or list(services)
        raise ModelError(
            "No reranking service is named {name!r}: use {services}, with its model after a colon.",
            name=name,
            services=" or ".join(near),
        )
    require_model(choice, service, model)
    return service, model
