"""Embedding services, asked over HTTP: each in its own words, in batches, through outages, and never with others' keys.

None is the real one: tests/embed_server.py answers on the loopback interface as their documentation says.
"""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.config import Settings
from rag.embed.remote import RemoteEmbedder, connect, estimate_tokens
from rag.embed.services import SERVICES
from rag.embed.spending import Spending, counted
from rag.errors import CollectionError, ModelError, OutageError, ResiftError, SettingError
from rag.types import SearchOptions
from tests.embed_server import ALPHABET, AWAY, DIALECTS, EmbedServer, Reply, unit
from tests.parts import ingest, offline_settings, open_library
from tests.rerank_server import free_address
from tests.waiting import wait_until

KEY = "sk-secret-0123456789"
TEXTS = ["A jazzy quiz.", "Ease the heat.", "Cold water"]

each_service = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def embedder(server: EmbedServer, service: str, model: str = "some-model", **changes: Any) -> RemoteEmbedder:
    """Return the embedder of a service at a server's address, as EMBED_MODEL chooses it."""
    choice = f"{service}:{model if SERVICES[service].example else ''}"
    return connect(choice, Settings(**{"embed_model": choice, "embed_url": server.url, "embed_api_key": KEY} | changes))


def failure(server: EmbedServer, service: str = "openai") -> ResiftError:
    with pytest.raises(ResiftError) as caught:
        embedder(server, service).embed_passages(TEXTS)
    assert KEY not in str(caught.value)
    return caught.value


@each_service
def test_every_service_is_asked_in_its_own_words_and_gives_unit_vectors_in_the_order_of_the_texts(service: str) -> None:
    dialect = DIALECTS[service]
    with EmbedServer(service, key=KEY) as server:
        asked = embedder(server, service)
        assert np.allclose(asked.embed_passages(TEXTS), [unit(text) for text in TEXTS], atol=1e-6)
        assert np.allclose(asked.embed_question("What cools?"), unit("What cools?"), atol=1e-6)
        assert asked.dimension == len(ALPHABET)
    assert server.refused == []
    field, question, passage = dialect.kinds
    if field:
        assert [request[field] for request in server.requests] == [passage, question, question]
    if SERVICES[service].example:
        assert {request["model"] for request in server.requests} == {"some-model"}
        assert asked.name == f"{service}:some-model"


@each_service
def test_a_batch_holds_no_more_texts_than_the_service_takes(service: str) -> None:
    most = SERVICES[service].most
    texts = [f"{position:b} quiz".replace("0", "o").replace("1", "i") for position in range(most + 1)]
    done: list[int] = []
    with EmbedServer(service) as server:
        vectors = embedder(server, service).embed_passages(texts, done.append)
    assert [len(sent) for sent in server.sent] == [most, 1]
    assert done == [most, most + 1]
    assert np.allclose(vectors, [unit(text) for text in texts], atol=1e-6)


@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if service.most_tokens])
def test_a_batch_holds_no_more_tokens_than_the_service_takes(service: str) -> None:
    record = SERVICES[service]
    text = "热" * (record.most_tokens // 3)
    with EmbedServer(service) as server:
        embedder(server, service).embed_passages([text] * 5)
    assert [len(sent) for sent in server.sent] == [2, 2, 1]


@each_service
def test_shorter_vectors_are_asked_for_with_the_field_of_the_service(service: str) -> None:
    with EmbedServer(service) as server:
        if not SERVICES[service].dimensions:
            with pytest.raises(ModelError, match="asks for shorter vectors, which lmstudio does not make"):
                embedder(server, service, "some-model#8")
            return
        url = {"embed_url": server.url}
        choice = f"{service}:{'some-model' if SERVICES[service].example else ''}#8"
        shortened = connect(choice, Settings(embed_model=choice, **url))
        assert shortened.name == choice, "a collection is pinned to the length, too"
        assert np.allclose(shortened.embed_passages(TEXTS), [unit(text, 8) for text in TEXTS], atol=1e-6)
    assert [request[DIALECTS[service].shortens] for request in server.requests] == [8]


def test_a_service_that_takes_less_at_a_time_is_sent_halves() -> None:
    with EmbedServer("ollama") as server:
        server.dialect = replace(server.dialect, most=2)
        vectors = embedder(server, "ollama").embed_passages([*TEXTS, "Four", "Five"])
    assert np.allclose(vectors, [unit(text) for text in [*TEXTS, "Four", "Five"]], atol=1e-6)
    assert [len(sent) for sent in server.sent] == [2, 1, 2]


def test_prompts_are_those_of_the_served_models_record_unless_the_service_has_its_own() -> None:
    with EmbedServer("ollama") as server:
        nomic = embedder(server, "ollama", "nomic-embed-text:latest")
        nomic.embed_question("heat")
        nomic.embed_passages(["heat"])
        embedder(server, "ollama", "unheard-of").embed_question("heat")
    assert server.sent == [["search_query: heat"], ["search_document: heat"], ["heat"]]
    with EmbedServer("tei") as server:
        url = {"embed_url": server.url}
        connect("vllm:intfloat/multilingual-e5-large", Settings(**url))
        connect("tei:BAAI/bge-small-zh-v1.5", Settings(**url)).embed_question("热")
    assert server.sent == [["为这个句子生成表示以用于检索相关文章：热"]]


def test_the_longest_input_is_that_of_the_served_model() -> None:
    settings = Settings(embed_url="http://127.0.0.1:1")
    assert connect("ollama:bge-m3", settings).max_tokens == SERVICES["ollama"].max_tokens
    assert connect("vllm:shibing624/text2vec-base-chinese", settings).max_tokens == 256


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(body=b"<html>"), "it is not JSON"),
        (Reply(body=b"[]"), "it has no list of vectors"),
        (Reply(body=b'{"data": [1, 2, 3]}'), "it has no list of vectors"),
        (Reply(change=lambda answer: {"data": answer["data"][:2]}), "vectors for texts: 2 for 3"),
        (Reply(change=lambda answer: {"data": [answer["data"][0]] * 3}), "not numbered as the texts are"),
        (Reply(change=lambda answer: with_vectors(answer, [0.0, 0.0])), "a vector is not one of numbers"),
        (Reply(change=lambda answer: with_vectors(answer, [])), "a vector is not one of numbers"),
        (Reply(change=lambda answer: with_vectors(answer, ["a"])), "a vector is not one of numbers"),
        (Reply(change=lambda answer: with_vectors(answer, [[1.0]])), "a vector is not one of numbers"),
        (Reply(change=lambda answer: with_vectors(answer, "no base64!")), "a vector is not one of numbers"),
        (Reply(change=lambda answer: with_vectors(answer, [1.0], [1.0, 2.0])), "its vectors differ in length"),
    ],
)
def test_an_answer_that_is_not_one_vector_for_each_text_is_refused(reply: Reply, says: str) -> None:
    with EmbedServer("openai", reply) as server:
        error = failure(server)
    assert isinstance(error, ModelError)
    assert says in str(error)
    assert "check that EMBED_URL is the address of a openai server" in str(error)


def with_vectors(answer: Any, *vectors: Any) -> Any:
    """Return an answer with other vectors, the last of them for all that are left."""
    for position, entry in enumerate(answer["data"]):
        entry["embedding"] = vectors[min(position, len(vectors) - 1)]
    return answer


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, ModelError, "refused the key (401): check EMBED_API_KEY"),
        (403, ModelError, "refused the key (403): check EMBED_API_KEY"),
        (402, ModelError, "wants to be paid (402): check your credit there"),
        (404, ModelError, "did not accept the request (404, no model for ***): check EMBED_URL and the model"),
        (307, ModelError, "did not accept the request (307"),
        (429, OutageError, "takes no more requests for now (429, no model for ***): wait a minute"),
        (500, OutageError, "failed (500, no model for ***): wait a moment"),
        (503, OutageError, "failed (503"),
    ],
)
def test_a_refusal_says_what_to_do_and_whether_it_may_pass(status: int, kind: type[ResiftError], says: str) -> None:
    body = f'{{"error": {{"message": "no model for {KEY}"}}}}'.encode()
    with EmbedServer("openai", Reply(status, body, {"Retry-After": "0"})) as server:
        error = failure(server)
    assert type(error) is kind
    assert says in str(error)
    assert len(server.requests) == (4 if kind is OutageError else 1), "what may pass is tried again"


def test_a_request_that_failed_is_sent_again() -> None:
    with EmbedServer("openai", AWAY, AWAY, AWAY, Reply()) as server:
        assert np.allclose(embedder(server, "openai").embed_passages(TEXTS), [unit(text) for text in TEXTS], atol=1e-6)
    assert len(server.requests) == 4


def test_a_question_is_not_waited_for_long_and_is_told_what_to_do() -> None:
    with EmbedServer("ollama", Reply(delay=60)) as server, pytest.raises(OutageError) as caught:
        embedder(server, "ollama", embed_timeout=0.2).embed_question("heat")
    assert "did not answer within 0.2 s: wait a moment, or allow it more time (EMBED_TIMEOUT)" in str(caught.value)
    address = free_address()
    with pytest.raises(OutageError, match="cannot be reached: check EMBED_URL, and that the server runs"):
        connect("ollama:bge-m3", Settings(embed_url=address)).embed_question("heat")


def test_a_key_is_only_sent_to_the_service_that_it_was_set_for() -> None:
    with EmbedServer("openai", key="sk-openai") as openai, EmbedServer("jina", key="sk-jina") as jina:
        services = {
            name: replace(SERVICES[name], address=server.url) for name, server in (("openai", openai), ("jina", jina))
        }
        settings = Settings(embed_model="openai:m", embed_api_key="sk-openai", jina_api_key="sk-jina")
        for choice in ("openai:m", "jina:m"):
            connect(choice, settings, services).embed_question("heat")
        assert openai.refused == jina.refused == []
        without = replace(settings, jina_api_key="")
        with pytest.raises(SettingError, match="JINA_API_KEY is not set: give your key of jina"):
            connect("jina:m", without, services)


def test_a_redirect_is_not_followed_with_the_key() -> None:
    with EmbedServer("openai") as other:
        with EmbedServer("openai", Reply(307, headers={"Location": other.url})) as server:
            assert "did not accept the request (307" in str(failure(server))
        assert other.connections == 0


@pytest.mark.parametrize(
    ("choice", "settings", "says"),
    [
        ("openai:", {"embed_api_key": KEY}, "names no model: write it after the colon, as in openai:text-embedding"),
        ("openai:m#many", {"embed_api_key": KEY}, "asks for vectors of length 'many': give a whole number"),
        ("ollama:m", {}, "EMBED_URL is not set: give the address of your ollama server"),
        ("openai:m", {}, "EMBED_API_KEY is not set: give your key of openai"),
        ("openai:m", {"embed_api_key": "a b\n"}, "EMBED_API_KEY holds characters that no key has"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(choice: str, settings: dict[str, str], says: str) -> None:
    with pytest.raises(ResiftError) as caught:
        connect(choice, Settings(embed_model=choice, **settings))
    assert says in str(caught.value)


def test_tokens_are_estimated_rather_too_high() -> None:
    assert estimate_tokens("") == 2
    assert estimate_tokens("the heat of 2024, 手机") == 2 + 1 + 1 + 1 + 2 + 1 + 2
    assert estimate_tokens("увеличение") == 2 + 5


def test_requests_and_tokens_are_counted() -> None:
    with EmbedServer("openai") as server, counted() as spent:
        embedder(server, "openai").embed_passages(TEXTS)
    assert spent.spending == Spending(1, 8), "as the server counts them, by words"
    without_usage = Reply(change=lambda answer: {"data": answer["data"]})
    with EmbedServer("tei", without_usage) as server, counted() as spent:
        embedder(server, "tei").embed_passages(TEXTS)
    assert spent.spending == Spending(1, sum(map(estimate_tokens, TEXTS)))


def text_file(text: str) -> io.BytesIO:
    return io.BytesIO(text.encode())


def served(folder: Path, server: EmbedServer, **changes: Any) -> Settings:
    return offline_settings(
        folder, **{"embed_model": "ollama:bge-m3", "embed_url": server.url, "embed_timeout": 20.0} | changes
    )


def test_a_collection_is_made_and_asked_with_a_service_and_says_what_was_asked_of_it(tmp_path: Path) -> None:
    with EmbedServer("ollama") as server, open_library(served(tmp_path, server)) as library:
        job = ingest(library, "notes", "quiz.md", "A jazzy quiz puzzled the wizard.")
        ingest(library, "notes", "heat.md", "Ease the heat, then rest at the sea.")
        assert job.state == "done"
        assert job.spending == Spending(2, 1 + 6), "one for the length of the vectors"
        assert library.jobs.spending("notes") == Spending(3, 1 + 6 + 8)
        hits = library.pipeline.retrieve("zzz quizzz", SearchOptions("notes", reranker="none")).hits
        assert hits[0].chunk.document == "quiz.md"


def test_a_changed_dimension_is_refused_and_the_collection_stays(tmp_path: Path) -> None:
    with EmbedServer("ollama") as server, open_library(served(tmp_path, server)) as library:
        ingest(library, "notes", "quiz.md", "A jazzy quiz puzzled the wizard.")
        server.dimension = 8
        with pytest.raises(
            CollectionError,
            match=r"has vectors of length 26, and ollama:bge-m3 gives vectors of length 8 now.*re-index",
        ):
            library.pipeline.retrieve("quiz", SearchOptions("notes"))
        job = ingest(library, "notes", "heat.md", "Ease the heat.")
        assert job.state == "failed"
        assert "has vectors of length 26" in str(job.reason)
        assert [entry.name for entry in library.documents("notes")] == ["quiz.md"]
        library.reindex("notes")
        while library.run_next():
            pass
        assert library.pipeline.store.open_collection("notes").spec.dimension == 8
        assert library.pipeline.retrieve("quiz", SearchOptions("notes")).hits


def test_an_outage_pauses_the_job_with_its_reason_and_it_goes_on_by_itself(tmp_path: Path) -> None:
    with EmbedServer("ollama", Reply(), AWAY) as server, open_library(served(tmp_path, server)) as library:
        job = library.add_file("notes", "quiz.md", text_file("A jazzy quiz puzzled the wizard."))
        worker = threading.Thread(target=library.run_next)
        worker.start()

        def state() -> tuple[str, str]:
            seen = library.jobs.job(job.id)
            assert seen is not None
            return seen.state, str(seen.reason)

        wait_until(lambda: "goes on by itself" in state()[1])
        assert state()[0] == "embedding"
        assert "failed (503, loading)" in state()[1]
        server.recover()
        worker.join()
        assert state() == ("done", "")
        assert [entry.name for entry in library.documents("notes")] == ["quiz.md"]


def test_a_job_that_waits_for_a_service_can_be_cancelled(tmp_path: Path) -> None:
    with EmbedServer("ollama", AWAY) as server, open_library(served(tmp_path, server)) as library:
        job = library.add_file("notes", "quiz.md", text_file("A jazzy quiz puzzled the wizard."))
        worker = threading.Thread(target=library.run_next)
        worker.start()
        wait_until(lambda: "goes on by itself" in str(seen.reason if (seen := library.jobs.job(job.id)) else ""))
        library.jobs.cancel_job(job.id)
        worker.join()
        ended = library.jobs.job(job.id)
        assert ended is not None
        assert ended.state == "cancelled"


def test_a_refused_key_fails_the_file_at_once(tmp_path: Path) -> None:
    with (
        EmbedServer("ollama", key="another") as server,
        open_library(served(tmp_path, server, embed_api_key=KEY)) as library,
    ):
        job = ingest(library, "notes", "quiz.md", "A jazzy quiz.")
    assert job.state == "failed"
    assert "refused the key (401): check EMBED_API_KEY" in str(job.reason)


def test_a_misspelt_service_is_told_the_nearest_one(tmp_path: Path) -> None:
    with open_library(offline_settings(tmp_path, embed_model="olama:bge-m3")) as library:
        job = ingest(library, "notes", "quiz.md", "A jazzy quiz.")
    assert "No embedding service is named 'olama': use ollama" in str(job.reason)
