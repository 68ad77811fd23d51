from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rag.access import endpoint, key_setting
from rag.config import Settings
from rag.embed.services import SERVICES as EMBEDDING_SERVICES
from rag.errors import ModelError, RerankError, SettingError
from rag.identity import RerankerIdentity
from rag.rerank.base import Deadline, rank
from rag.rerank.choice import RerankerChoice
from rag.rerank.remote import RemoteReranker, service_reranker
from rag.rerank.services import SERVICES
from rag.types import Hit
from tests.parts import hit
from tests.rerank_server import DIALECTS, Reply, RerankServer, free_address, score_change

KEY = "sk-secret-0123456789"
PASSWORD = "pass-secret-42"
TEXTS = ["0.25 Paris", "0.75 fever", "0.5 aspirin"]


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def hits(*texts: str) -> list[Hit]:
    return [hit(rank, text) for rank, text in enumerate(texts, start=1)]


def reranker_for(service: str, server: RerankServer, key: str = "") -> RemoteReranker:
    return service_reranker(f"{service}:some-model", Settings(rerank_url=server.url, rerank_api_key=key))


def orders(reranker: RemoteReranker, *texts: str, seconds: float = 10.0, budget: float = math.inf) -> list[Any]:
    scored = reranker.score("fever?", hits(*texts), Deadline(seconds, budget))
    return [score and score.order for score in scored.scores]


def failure(server: RerankServer, *texts: str, service: str = "cohere", seconds: float = 10.0) -> str:
    """Return why a question was not reranked, after making sure that nothing secret is in its trace."""
    with pytest.raises(RerankError) as caught:
        orders(reranker_for(service, server, KEY), *(texts or TEXTS), seconds=seconds)
    assert KEY not in str(caught.getrepr(style="long"))
    return str(caught.value)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_asked_in_its_own_words_and_its_scores_are_put_in_the_order_of_the_passages(service: str):
    with RerankServer(service, key=KEY) as server:
        reranker = reranker_for(service, server, KEY)
        assert orders(reranker, *TEXTS) == [0.25, 0.75, 0.5]
    assert server.refused == []
    [request] = server.requests
    assert request["query"] == "fever?"
    assert request[DIALECTS[service].documents] == TEXTS
    assert {request[top] for top in ("top_n", "top_k") if top in DIALECTS[service].takes} <= {3}
    assert str(reranker.identity) == f"{service}:some-model"


@pytest.mark.parametrize("service", SERVICES)
def test_more_passages_than_a_request_may_hold_go_in_several(service: str):
    most = DIALECTS[service].most
    texts = [f"{number / (2 * most)} passage" for number in range(2 * most)]
    with RerankServer(service) as server:
        assert orders(reranker_for(service, server), *texts) == [float(text.split()[0]) for text in texts]
        assert len(server.requests) == 2
        assert None not in orders(reranker_for(service, server), *texts[: most + 1])
        assert len(server.requests) == 4
    assert server.refused == []


def test_at_most_four_requests_are_under_way_at_once():
    texts = [f"0.{number + 100} passage" for number in range(6 * 32)]
    with RerankServer("tei", Reply(delay=0.05)) as server:
        orders(reranker_for("tei", server), *texts)
    assert len(server.requests) == 6
    assert server.most_at_once == 4


@pytest.mark.parametrize(
    ("service", "text", "relevance"),
    [
        ("cohere", "0.9 a", 0.9),
        ("jina", "-0.05 a", 0.0),
        ("tei", "0.0 a", 0.5),
        ("tei", "2.0 a", 1 / (1 + math.exp(-2))),
        ("tei", "-1000 a", 0.0),
        ("vllm", "0.9 a", 0.9),
        ("vllm", "2.0 a", 1 / (1 + math.exp(-2))),
        ("xinference", "-2.0 a", 1 / (1 + math.exp(2))),
    ],
)
def test_relevance_is_a_probability_whatever_the_scale_of_the_scores(service: str, text: str, relevance: float):
    with RerankServer(service) as server:
        scored = reranker_for(service, server).score("q", hits(text), Deadline(10))
    assert scored.scores[0] is not None
    assert scored.scores[0].relevance == pytest.approx(relevance)


def test_a_model_that_once_gave_a_logit_gives_logits_ever_after():
    with RerankServer("vllm") as server:
        reranker = reranker_for("vllm", server)
        orders(reranker, "5.0 a", "0.5 b")
        scored = reranker.score("another?", hits("0.0 c"), Deadline(10))
    assert scored.scores[0] is not None
    assert scored.scores[0].relevance == 0.5


def test_the_same_passage_is_asked_about_once():
    with RerankServer("cohere") as server:
        reranker = reranker_for("cohere", server)
        assert orders(reranker, "0.1 a", "0.2 b", "0.1 a") == [0.1, 0.2, 0.1]
        assert orders(reranker, "0.2 b", "0.3 c") == [0.2, 0.3]
        assert orders(reranker, "0.3 c", "0.1 a") == [0.3, 0.1]
    assert [request["documents"] for request in server.requests] == [["0.1 a", "0.2 b"], ["0.3 c"]]


def test_what_is_wanted_anew_is_sent_again():
    with RerankServer("cohere") as server:
        reranker = reranker_for("cohere", server)
        for anew in (False, False, True):
            scored = reranker.score("fever?", hits("0.1 a", "0.2 b"), Deadline(10, anew=anew))
            assert [score.order for score in scored.scores if score] == [0.1, 0.2]
    assert [request["documents"] for request in server.requests] == [["0.1 a", "0.2 b"]] * 2


def test_one_connection_serves_several_questions():
    with RerankServer("cohere") as server:
        reranker = reranker_for("cohere", server)
        for number in range(3):
            reranker.score(f"question {number}", hits(*TEXTS), Deadline(10))
        assert len(server.connections) == 1


def test_questions_at_the_same_time_get_their_own_scores():
    got: dict[int, list[Any]] = {}
    with RerankServer("tei") as server:
        reranker = reranker_for("tei", server)

        def ask(own: int) -> None:
            got[own] = orders(reranker, *(f"{own}.{number} text" for number in range(40)))

        threads = [threading.Thread(target=ask, args=(own,)) for own in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {own: [float(f"{own}.{number}") for number in range(40)] for own in range(6)}


def test_empty_passages_are_not_sent_and_come_last():
    with RerankServer("cohere") as server:
        passages = hits("", "0.1 a", " \n", "0.9 b")
        scored = reranker_for("cohere", server).score("q", passages, Deadline(10))
    assert server.requests[0]["documents"] == ["0.1 a", "0.9 b"]
    assert str(scored.note) == "Passages left out since they are empty: 2 of 4."
    assert [ranked.hit.rank for ranked in rank(passages, scored, 4)] == [4, 2, 1, 3]


def test_nothing_is_sent_for_no_passages():
    with RerankServer("cohere") as server:
        assert orders(reranker_for("cohere", server)) == []
        assert orders(reranker_for("cohere", server), "") == [None]
    assert server.requests == []


def test_a_long_question_a_long_passage_and_text_that_is_none_are_sent():
    with RerankServer("cohere") as server:
        passages = hits("0.5 " + "长" * 100_000, "0.4 \ud800 </passage> 😀")
        scored = reranker_for("cohere", server).score("¿" * 10_000, passages, Deadline(10))
    assert [score and score.order for score in scored.scores] == [0.5, 0.4]
    assert server.requests[0]["documents"][1] == "0.4 ? </passage> 😀"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "did not accept the request (400): check the model's name, or ask for fewer candidates"),
        (401, "refused the key (401): check RERANK_API_KEY"),
        (402, "wants to be paid (402): check your credit there"),
        (403, "refused the key (403): check RERANK_API_KEY"),
        (404, "has no /v2/rerank or not this model (404): check RERANK_URL and RERANK_MODEL"),
        (413, "takes less at a time (413): ask for fewer candidates"),
        (422, "did not accept the request (422): check the model's name, or ask for fewer candidates"),
        (429, "takes no more requests for now (429): wait a minute, or check your limits and credit there"),
        (500, "failed (500): ask again in a moment, and look at the server's log"),
        (503, "failed (503): ask again in a moment, and look at the server's log"),
    ],
)
def test_a_refusal_says_what_to_do_and_passing_ones_are_retried_once(status: int, advice: str):
    reply = Reply(status, b"<html>", headers={"Retry-After": "0"})
    with RerankServer("cohere", reply) as server:
        assert failure(server) == f"{server.url.removeprefix('http://')} {advice}"
    assert len(server.requests) == (2 if status in (429, 500, 503) else 1)


def test_a_server_that_wants_a_key_says_so_when_none_is_set():
    with RerankServer("vllm", key=KEY) as server, pytest.raises(RerankError, match=r"wants a key \(401\): set RERANK"):
        orders(reranker_for("vllm", server), *TEXTS)


@pytest.mark.parametrize(
    "reply",
    [Reply(429, headers={"Retry-After": "0"}), Reply(502, headers={"Retry-After": "0"}), Reply(0)],
    ids=["too many requests", "bad gateway", "dropped connection"],
)
def test_a_failure_that_passes_is_not_noticed(reply: Reply):
    with RerankServer("cohere", reply, Reply()) as server:
        assert orders(reranker_for("cohere", server), *TEXTS) == [0.25, 0.75, 0.5]
    assert len(server.requests) == 2


@pytest.mark.parametrize("pause", ["30", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_pause_that_ends_after_the_deadline_is_not_waited_for(pause: str):
    with RerankServer("cohere", Reply(429, headers={"Retry-After": pause})) as server:
        assert "takes no more requests for now" in failure(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("pause", ["nan", "-5", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_pause_that_is_none_is_no_pause(pause: str):
    with RerankServer("cohere", Reply(503, headers={"Retry-After": pause}), Reply()) as server:
        assert orders(reranker_for("cohere", server), *TEXTS, seconds=5) == [0.25, 0.75, 0.5]


def test_a_server_that_is_not_there_is_named_without_its_password():
    address = free_address().replace("//", f"//user:{PASSWORD}@")
    with pytest.raises(RerankError) as caught:
        orders(service_reranker("tei:", Settings(rerank_url=address)), *TEXTS)
    assert (
        str(caught.value)
        == f"{address.rpartition('@')[2]} cannot be reached: check RERANK_URL, and that the server runs"
    )
    assert PASSWORD not in str(caught.getrepr(style="long"))


def test_user_and_password_of_the_address_log_in_and_are_in_no_log(caplog: pytest.LogCaptureFixture):
    with RerankServer("tei") as server, caplog.at_level("DEBUG"):
        address = server.url.replace("//", "//user:pass%20word@")
        orders(service_reranker("tei:", Settings(rerank_url=address)), *TEXTS)
    assert server.headers[0]["Authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="
    assert "/rerank" in caplog.text
    assert "pass%20word" not in caplog.text


def test_the_words_of_a_server_are_repeated_without_the_key_and_in_one_line():
    body = f'{{"error": {{"message": "Key {KEY}\\nmay not\\u0007 use\\ud800 it. {"x" * 300}"}}}}'.encode()
    with RerankServer("cohere", Reply(400, body)) as server:
        said = failure(server)
    assert "(400, Key *** may not" in said
    assert "\n" not in said
    assert len(said) < 350


def test_no_service_is_waited_for_past_the_deadline():
    with RerankServer("cohere", Reply(delay=20)) as server:
        said = failure(server, seconds=0.2)
    assert "did not answer within 0.2 s: ask again, ask for fewer candidates, or allow it more time" in said


def test_what_was_scored_before_a_failure_is_not_asked_for_again():
    texts = [f"0.{number + 100} passage" for number in range(2 * 32)]
    with RerankServer("tei", Reply(), Reply(400, delay=0.5), Reply()) as server:
        reranker = reranker_for("tei", server)
        with pytest.raises(RerankError):
            orders(reranker, *texts)
        assert orders(reranker, *texts) == [float(text.split()[0]) for text in texts]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda results: results[:2], "left passages out (scored: 2 of 3)"),
        (lambda results: [], "left passages out (scored: 0 of 3)"),
        (score_change(0, index=3), "scored a passage that it was not sent"),
        (score_change(0, index=-1), "scored a passage that it was not sent"),
        (score_change(0, index="1"), "scored a passage that it was not sent"),
        (score_change(0, index=True), "scored a passage that it was not sent"),
        (score_change(0, index=None), "scored a passage that it was not sent"),
        (score_change(1, index=1), "scored passage 2 twice"),
        (lambda results: [*results, results[0]], "scored passage 2 twice"),
        (score_change(2, relevance_score=None), "returned a score that is not a number"),
        (score_change(2, relevance_score="0.5"), "returned a score that is not a number"),
        (score_change(2, relevance_score=True), "returned a score that is not a number"),
        (score_change(2, relevance_score=math.nan), "returned a score that is not a number"),
        (score_change(2, relevance_score=math.inf), "returned a score that is not a number"),
        (score_change(2, relevance_score=10**400), "returned a score that is not a number"),
        (lambda results: [1, 2, 3], "scored a passage that it was not sent"),
        (lambda results: {"0": 0.5}, "has no list of results"),
        (lambda results: None, "has no list of results"),
    ],
)
def test_an_answer_that_is_not_one_score_for_each_passage_is_refused(change: Callable[[Any], Any], reason: str):
    with RerankServer("cohere", Reply(change=change)) as server:
        said = failure(server)
    assert reason in said
    assert said.endswith("check that RERANK_URL is the address of a cohere server")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b"<html>Welcome</html>", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"null", "has no list of results"),
        (b"[]", "has no list of results"),
        (b'{"data": []}', "has no list of results"),
    ],
)
def test_an_answer_of_something_else_is_refused(body: bytes, reason: str):
    with RerankServer("cohere", Reply(body=body)) as server:
        assert reason in failure(server)


def test_an_answer_that_is_packed_wrongly_is_refused():
    with RerankServer("cohere", Reply(body=b"not gzip", headers={"Content-Encoding": "gzip"})) as server:
        assert "cannot be read: ask again in a moment" in failure(server)


def test_a_redirect_is_not_followed_with_the_key():
    with RerankServer("cohere") as other, RerankServer("cohere", Reply(307, headers={"Location": other.url})) as server:
        assert "did not accept the request (307)" in failure(server)
    assert other.connections == []


@pytest.mark.parametrize("own_address", [False, True])
def test_a_key_is_only_sent_to_the_service_that_it_was_set_for(own_address: bool):
    with RerankServer("cohere", key="sk-cohere") as cohere, RerankServer("jina", key="sk-jina") as jina:
        services = {
            name: replace(SERVICES[name], address=server.url) for name, server in (("cohere", cohere), ("jina", jina))
        }
        settings = Settings(
            rerank_model="funnel:cohere:rerank-v3.5",
            rerank_api_key="sk-cohere",
            rerank_url=cohere.url if own_address else "",
            jina_api_key="sk-jina",
        )
        for choice in ("cohere:rerank-v3.5", "jina:jina-reranker-v3"):
            assert orders(service_reranker(choice, settings, services), *TEXTS) == [0.25, 0.75, 0.5]
    for server, key in ((cohere, "sk-cohere"), (jina, "sk-jina")):
        assert server.refused == []
        assert [headers["Authorization"] for headers in server.headers] == [f"Bearer {key}"]


def test_a_service_whose_address_is_known_has_a_setting_for_its_key():
    services = [*SERVICES.values(), *EMBEDDING_SERVICES.values()]
    keys = {key_setting(service) for service in services if service.address}
    assert keys == {name for name in Settings.__dataclass_fields__ if name.endswith("_api_key")} - {
        "rerank_api_key",
        "embed_api_key",
        "llm_api_key",
        "qdrant_api_key",
    }


def test_time_is_predicted_once_it_has_been_measured():
    with RerankServer("cohere", Reply(delay=0.05)) as server:
        reranker = reranker_for("cohere", server)
        assert reranker.predicted_ms(10) is None
        orders(reranker, *TEXTS)
        few, many = reranker.predicted_ms(3), reranker.predicted_ms(30)
    assert few is not None
    assert many is not None
    assert 50 <= few < many


def test_a_budget_sends_the_most_promising_passages_and_says_how_many_were_left_out():
    texts = [f"{number / 100} passage" for number in range(40)]
    with RerankServer("cohere", Reply(delay=0.5)) as server:
        reranker = reranker_for("cohere", server)
        assert None not in orders(reranker, *texts, budget=0.001)
        predicted = reranker.predicted_ms(30)
        assert predicted is not None
        scored = reranker.score("another?", hits(*texts), Deadline(10, predicted / 1000))
    sent = len(server.requests[1]["documents"])
    assert 2 <= sent <= 30
    assert [score is not None for score in scored.scores] == [True] * sent + [False] * (40 - sent)
    assert str(scored.note).startswith("Passages left out since they do not fit into the time allowed")
    assert str(scored.note).endswith(f": {40 - sent} of 40.")


def test_a_budget_that_not_even_two_passages_fit_into_is_an_error_unless_some_were_scored_before():
    with RerankServer("cohere", Reply(delay=0.1)) as server:
        reranker = reranker_for("cohere", server)
        orders(reranker, *TEXTS)
        with pytest.raises(
            RerankError, match=r"the budget of 1 ms is too small for two passages, which take about \d+"
        ):
            reranker.score("another?", hits(*TEXTS), Deadline(10, 0.001))
        assert orders(reranker, *TEXTS, "0.1 new", budget=0.001) == [0.25, 0.75, 0.5, None]
    assert len(server.requests) == 1


@pytest.mark.parametrize(("relevance", "supported"), [(0.02, True), (0.019, False)])
def test_a_passage_supports_from_the_relevance_of_a_cross_encoder_on(relevance: float, supported: bool):
    with RerankServer("cohere") as server:
        reranker = reranker_for("cohere", server)
        passages = hits(f"{relevance} a", "0.001 b")
        ranked = rank(passages, reranker.score("q", passages, Deadline(10)), 2)
    assert reranker.supports("q", ranked) is supported


@pytest.mark.parametrize(
    ("service", "address", "asked"),
    [
        ("cohere", "https://api.cohere.com", "https://api.cohere.com/v2/rerank"),
        ("jina", "https://api.jina.ai", "https://api.jina.ai/v1/rerank"),
        ("voyage", "https://api.voyageai.com", "https://api.voyageai.com/v1/rerank"),
        ("siliconflow", "https://api.siliconflow.cn", "https://api.siliconflow.cn/v1/rerank"),
        ("zhipu", "https://open.bigmodel.cn", "https://open.bigmodel.cn/api/paas/v4/rerank"),
        ("tei", "http://gpu:8080/", "http://gpu:8080/rerank"),
        ("tei", "http://gpu:8080/team/tei", "http://gpu:8080/team/tei/rerank"),
        ("infinity", "http://gpu:7997/v1", "http://gpu:7997/v1/rerank"),
        ("vllm", "http://gpu:8000", "http://gpu:8000/v1/rerank"),
        ("vllm", "http://gpu:8000/v1/", "http://gpu:8000/v1/rerank"),
        ("vllm", "http://gpu:8000/rerank", "http://gpu:8000/rerank"),
        ("xinference", "http://gpu:9997/v1/rerank?key=a", "http://gpu:9997/v1/rerank?key=a"),
    ],
)
def test_an_address_may_end_with_a_part_of_the_path(service: str, address: str, asked: str):
    assert endpoint(SERVICES[service].path, address) == asked
    if SERVICES[service].address:
        assert SERVICES[service].address == address


def test_an_unknown_service_is_told_the_nearest_ones():
    with pytest.raises(ModelError, match="No reranking service is named 'coher': use cohere"):
        service_reranker("coher:rerank-v3.5", Settings())
    with pytest.raises(ModelError, match=r"use cohere or jina or .* or xinference, with its model"):
        service_reranker("zzzzzz:x", Settings())


def test_a_choice_without_a_model_is_shown_one():
    with pytest.raises(
        ModelError, match=r"'cohere:' names no model: write it after the colon, as in cohere:rerank-v3\.5"
    ):
        service_reranker("cohere:", Settings(rerank_api_key=KEY))


def test_the_name_of_a_service_may_be_written_in_any_case_and_its_model_may_hold_colons():
    settings = Settings(rerank_url="http://gpu:8000", rerank_api_key=KEY)
    assert service_reranker("vLLM: BAAI/bge:v2 ", settings).identity == RerankerIdentity.parse("vllm:BAAI/bge:v2")


@pytest.mark.parametrize(
    ("choice", "settings", "advice"),
    [
        ("tei:", {}, "RERANK_URL is not set: give the address of your tei server"),
        ("vllm:m", {"rerank_api_key": KEY}, "RERANK_URL is not set: give the address of your vllm server"),
        ("cohere:m", {}, "COHERE_API_KEY is not set: give your key of cohere"),
        ("cohere:m", {"rerank_model": "cohere:n"}, "RERANK_API_KEY is not set: give your key of cohere"),
        ("jina:m", {"rerank_model": "cohere:n", "rerank_api_key": KEY}, "JINA_API_KEY is not set"),
        ("jina:m", {"rerank_api_key": KEY}, "JINA_API_KEY is not set"),
        ("cohere:m", {"cohere_api_key": "sk-\nsecret"}, "COHERE_API_KEY holds characters that no key has"),
        ("cohere:m", {"cohere_api_key": "密钥secret"}, "COHERE_API_KEY holds characters that no key has"),
        (
            "tei:",
            {"rerank_api_key": KEY, "rerank_url": f"http://user:{PASSWORD}@gpu"},
            "RERANK_URL holds a user and RERANK_API_KEY a key",
        ),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(choice: str, settings: dict[str, Any], advice: str):
    with pytest.raises(SettingError) as caught:
        service_reranker(choice, Settings(**settings))
    assert advice in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ("cohere:rerank-v3.5", True),
        ("TEI:", True),
        ("coher:x", True),
        ("auto", False),
        ("BAAI/bge-reranker-base", False),
        (r"C:\models\bge", False),
        ("./models/a:b", False),
        ("", False),
    ],
)
def test_a_service_is_told_from_folders_and_hub_names(choice: str, named: bool):
    assert (RerankerChoice.parse(choice).kind == "service") is named
