import collections
import itertools
import subprocess
import sys

import pytest

from rag.config import Settings
from rag.errors import CancelledError, SettingError, UnavailableError
from rag.llm.base import ChatMessage, Limits, Piece, Transcript
from rag.llm.client import OpenAiChat, make_chat
from rag.llm.reply import ask as ask_for_text
from tests.llm_server import LlmServer, Reply, free_address

KEY = "sk-secret-0123456789"
MESSAGES = [ChatMessage("system", "Be brief."), ChatMessage("user", "问题？")]


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(server: LlmServer, timeout: float = 10.0) -> str:
    return "".join(piece.text for piece in OpenAiChat(server.base_url, "tiny", KEY, timeout).stream(MESSAGES))


def failure(server: LlmServer, timeout: float = 10.0) -> str:
    """Return the sentence of a failed request, after making sure that nothing of the key is in its trace."""
    with pytest.raises(UnavailableError) as caught:
        ask(server, timeout)
    assert KEY not in str(caught.getrepr(style="long"))
    return str(caught.value)


def test_pieces_arrive_in_order_and_make_up_the_text():
    with LlmServer(Reply(pieces=("Rice ", "is ", "fine [1]. ", "米饭可以。"))) as server:
        stream = OpenAiChat(server.base_url, "tiny", KEY, 10).stream(MESSAGES)
        assert list(stream) == [Piece("Rice "), Piece("is "), Piece("fine [1]. "), Piece("米饭可以。")]


def test_the_request_carries_model_messages_and_key():
    with LlmServer(Reply(pieces=("Yes.",))) as server:
        ask(server)
    [request] = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.authorization == f"Bearer {KEY}"
    assert request.body["model"] == "tiny"
    assert request.body["stream"] is True
    assert request.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "问题？"},
    ]


def test_a_server_without_a_key_is_asked_with_a_placeholder():
    with LlmServer(Reply(pieces=("Yes.",))) as server:
        assert list(OpenAiChat(server.base_url, "tiny", "", 10).stream(MESSAGES)) == [Piece("Yes.")]
    assert server.requests[0].authorization == "Bearer no-key"


def test_the_first_piece_is_read_while_the_rest_is_not_written_yet_and_closing_ends_the_connection():
    with LlmServer(Reply(pieces=("Rice ",), ending="hang")) as server:
        stream = OpenAiChat(server.base_url, "tiny", KEY, 10).stream(MESSAGES)
        assert next(stream) == Piece("Rice ")
        assert not server.client_left.is_set()
        stream.close()
        assert server.client_left.wait(5)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "refused the key: check it (LLM_API_KEY)"),
        (403, "refused the key: check it (LLM_API_KEY)"),
        (404, "has no model 'tiny' at this address: check the model's name (LLM_MODEL) and the address (LLM_BASE_URL)"),
        (429, "takes no more questions for now: wait a minute"),
        (500, "failed (status 500): ask again in a moment"),
        (503, "failed (status 503): ask again in a moment"),
    ],
)
def test_a_refusal_says_what_to_do_and_never_repeats_the_key(status: int, advice: str):
    body = f'{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}'
    with LlmServer(Reply(status=status, body=body, headers={"Retry-After": "0"})) as server:
        assert advice in failure(server)


def test_neither_key_nor_passages_go_where_a_server_redirects_to():
    with LlmServer(Reply()) as other:
        for status in (301, 307, 308):
            with LlmServer(Reply(status=status, body="", headers={"Location": f"{other.base_url}/x"})) as server:
                assert f"refers to another address ({status})" in failure(server)
    assert other.requests == []


def test_what_the_server_says_about_a_bad_request_is_passed_on_without_the_key():
    body = f'{{"error": {{"message": "Unknown parameter of {KEY}"}}}}'
    with LlmServer(Reply(status=400, body=body)) as server:
        sentence = failure(server)
    assert "(status 400, Unknown parameter of ***)" in sentence


def test_one_server_error_is_got_over_by_asking_once_more():
    with LlmServer(Reply(status=500, headers={"Retry-After": "0"}), Reply(pieces=("Yes.",))) as server:
        assert ask(server) == "Yes."
    assert len(server.requests) == 2


def test_two_server_errors_end_the_asking():
    with LlmServer(Reply(status=500, headers={"Retry-After": "0"})) as server:
        failure(server)
    assert len(server.requests) == 2


def test_a_connection_dropped_before_the_first_piece_is_tried_once_more():
    with LlmServer(Reply(status=0), Reply(ending="drop"), Reply(pieces=("Yes.",))) as server:
        assert "cannot be reached" in failure(server)
        assert ask(server) == "Yes."


@pytest.mark.parametrize("status", [401, 404])
def test_a_refusal_that_will_not_change_is_not_tried_again(status: int):
    with LlmServer(Reply(status=status)) as server:
        failure(server)
    assert len(server.requests) == 1


def test_a_server_that_asks_for_a_long_wait_is_not_asked_again():
    with LlmServer(Reply(status=429, headers={"Retry-After": "60"})) as server:
        failure(server)
    assert len(server.requests) == 1


def test_a_drop_in_mid_answer_keeps_what_came_and_is_not_tried_again():
    with LlmServer(Reply(pieces=("Rice ", "is "), ending="drop")) as server:
        stream = OpenAiChat(server.base_url, "tiny", KEY, 10).stream(MESSAGES)
        assert [next(stream), next(stream)] == [Piece("Rice "), Piece("is ")]
        with pytest.raises(UnavailableError, match="broke off in mid-answer: ask again"):
            next(stream)
    assert len(server.requests) == 1


def test_an_answer_that_ends_without_a_reason_broke_off():
    with LlmServer(Reply(pieces=("Rice ",), finish="")) as server:
        assert "broke off in mid-answer" in failure(server)


def test_silence_ends_with_the_time_allowed_and_is_not_waited_for_twice():
    with LlmServer(Reply(ending="hang")) as server:
        sentence = failure(server, timeout=0.3)
    assert sentence.endswith(
        "did not answer in time (0.3 s): ask again, check its address (LLM_BASE_URL), or give it more time "
        "(LLM_TIMEOUT)."
    )
    assert len(server.requests) == 1


def test_silence_in_mid_answer_ends_too():
    with LlmServer(Reply(pieces=("Rice ",), ending="hang")) as server:
        stream = OpenAiChat(server.base_url, "tiny", KEY, 0.3).stream(MESSAGES)
        assert next(stream) == Piece("Rice ")
        with pytest.raises(UnavailableError, match="did not answer in time"):
            next(stream)


def test_an_address_where_nothing_listens_is_named():
    address = free_address()
    chat = OpenAiChat(address, "tiny", KEY, 10)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:\d+ cannot be reached: check its address \(LLM_BASE_URL"):
        list(chat.stream(MESSAGES))


@pytest.mark.parametrize("pieces", [(), ("",), (" \n",)])
def test_an_answer_without_text_is_an_error(pieces: tuple[str, ...]):
    with LlmServer(Reply(pieces=pieces)) as server:
        assert (
            failure(server) == "tiny answered without any text: ask again, or set another language model (LLM_MODEL)."
        )


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="<html><body>Welcome</body></html>"),
        Reply(body='{"models": []}'),
        Reply(events=(b"<html>",)),
        Reply(events=(b'{"data": [1, 2]}', b"[3]", b"null", b'"text"'), finish=""),
        Reply(events=(b'{"choices": [{"delta": {"content": "\xff"}}]}',)),
        Reply(finish=""),
    ],
    ids=["page", "json", "no json", "other json", "no utf-8", "nothing"],
)
def test_a_server_that_speaks_otherwise_is_told_from_a_model_that_says_nothing(reply: Reply):
    with LlmServer(reply) as server:
        assert "the address (LLM_BASE_URL) is that of an OpenAI-compatible API" in failure(server)


def test_an_unreadable_event_in_mid_answer_counts_as_broken_off():
    with LlmServer(Reply(pieces=("Rice ",), events=(b"{oops",))) as server:
        assert "broke off in mid-answer" in failure(server)


def test_an_error_event_in_mid_answer_is_passed_on_without_the_key():
    event = f'{{"error": {{"message": "worker for {KEY} died"}}}}'.encode()
    with LlmServer(Reply(pieces=("Rice ",), events=(event,))) as server:
        assert "reported an error in mid-answer, worker for *** died: ask again" in failure(server)


def test_a_refusal_that_breaks_off_itself_is_a_broken_connection():
    with LlmServer(Reply(status=400, body="{", ending="drop")) as server:
        assert "cannot be reached" in failure(server)


@pytest.mark.parametrize(
    ("finish", "advice"),
    [("length", "cut off at the length limit of tiny"), ("content_filter", "withheld the answer")],
)
def test_an_answer_that_the_provider_cut_off_says_so_after_its_text(finish: str, advice: str):
    with LlmServer(Reply(pieces=("Rice is",), finish=finish)) as server:
        stream = OpenAiChat(server.base_url, "tiny", KEY, 10).stream(MESSAGES)
        assert next(stream) == Piece("Rice is")
        with pytest.raises(UnavailableError, match=advice):
            next(stream)


def test_text_that_utf8_cannot_hold_is_sent_with_a_question_mark():
    with LlmServer(Reply(pieces=("Yes.",))) as server:
        list(OpenAiChat(server.base_url, "tiny", KEY, 10).stream([ChatMessage("user", "a\udc80b")]))
    assert server.requests[0].body["messages"][0]["content"] == "a?b"


def test_text_that_utf8_cannot_hold_arrives_with_a_question_mark():
    event = rb'{"choices": [{"delta": {"content": "a\udc80b \ud83d\ude00"}}]}'
    with LlmServer(Reply(events=(event,))) as server:
        assert ask(server) == "a?b \N{GRINNING FACE}"
    error = rb'{"error": {"message": "worker \ud83d died"}}'
    with LlmServer(Reply(events=(error,))) as server:
        assert "worker ? died" in failure(server)


THINKING = b'{"choices": [{"delta": {"reasoning_content": "Hm."}}]}'


def test_a_text_no_longer_wanted_ends_while_the_model_thinks():
    with LlmServer(Reply(events=(THINKING,) * 500, pause=0.02)) as server:
        asked = itertools.count()
        chat = OpenAiChat(server.base_url, "tiny", KEY, 10)
        assert {piece.thinking for piece in chat.stream(MESSAGES, lambda: next(asked) < 3)} == {True}
        assert server.client_left.wait(5)


def test_a_short_reply_is_waited_for_with_an_eye_on_who_waits():
    with LlmServer(Reply(pieces=("Yes", "."), pause=0.5)) as server:
        waited = []
        chat = OpenAiChat(server.base_url, "tiny", KEY, 10)
        assert ask_for_text(chat, MESSAGES, Limits(), lambda: waited.append(True)) == "Yes."
    assert len(waited) > len(("Yes", ".", "its end"))


def test_a_short_reply_is_given_up_in_time_and_its_connection_closed():
    with LlmServer(Reply(events=(THINKING,) * 500, pause=0.05)) as server:
        chat = OpenAiChat(server.base_url, "tiny", KEY, 10)
        with pytest.raises(UnavailableError, match=r"tiny took longer than 0\.5 s"):
            ask_for_text(chat, MESSAGES, Limits(seconds=0.5))
        assert server.client_left.wait(5)


def test_who_no_longer_waits_for_a_short_reply_closes_the_connection():
    def leave() -> None:
        raise CancelledError("Enough.")

    with LlmServer(Reply(events=(THINKING,) * 500, pause=0.05)) as server:
        with pytest.raises(CancelledError):
            ask_for_text(OpenAiChat(server.base_url, "tiny", KEY, 10), MESSAGES, Limits(), leave)
        assert server.client_left.wait(5)


def test_a_short_reply_fails_as_the_stream_itself():
    with LlmServer(Reply(status=401)) as server, pytest.raises(UnavailableError, match="refused the key"):
        ask_for_text(OpenAiChat(server.base_url, "tiny", KEY, 10), MESSAGES, Limits())


ENDLESS = Reply(raw=(b'data: {"choices": [{"delta": {"content": "' + b"word " * 200 + b'"}}]}\n\n',), ending="repeat")


def cut(reply: Reply, limits: Limits) -> tuple[str, str]:
    """Return what came of a reply before it was cut, and the sentence on it."""
    transcript = Transcript()
    with LlmServer(reply) as server:
        pieces = OpenAiChat(server.base_url, "tiny", KEY, 10, limits).stream(MESSAGES)
        with pytest.raises(UnavailableError) as caught:
            collections.deque(map(transcript.add, pieces))
        assert server.client_left.wait(5)
    return transcript.text, str(caught.value)


def test_a_model_that_does_not_stop_is_cut_by_its_length():
    text, said = cut(ENDLESS, Limits(characters=12_345))
    assert text == ("word " * 2_469)
    assert said == (
        "The answer is cut off after 12,345 characters, the model's thinking included: ask for less at a time, or "
        "allow longer answers (LLM_MAX_CHARACTERS)."
    )


def test_thinking_counts_as_length():
    for event in (THINKING, b'{"choices": [{"delta": {"content": "<think>Hm."}}]}'):
        reply = Reply(raw=(b"data: " + event + b"\n\n",), ending="repeat")
        assert cut(reply, Limits(characters=1_000))[1].startswith("The answer is cut off after 1,000 characters")


@pytest.mark.parametrize("raw", [ENDLESS.raw, (b": keepalive\n\n",), (b'data: {"choices": []}\n\n',), (b"data:\n",)])
def test_a_model_that_does_not_stop_is_cut_by_its_time(raw: tuple[bytes, ...]):
    _, said = cut(Reply(raw=raw, ending="repeat", pause=0.02), Limits(seconds=0.3))
    assert said == (
        "The answer is cut off after 0.3 s: ask for less at a time, set a quicker language model (LLM_MODEL), or "
        "give it more time (LLM_MAX_SECONDS)."
    )


@pytest.mark.parametrize(
    "reply",
    [
        Reply(raw=(b"x" * 100_000,), ending="repeat"),
        Reply(raw=(b"data: " + b"x" * 100_000 + b"\n",), ending="repeat"),
        Reply(body="[" * 100_000, ending="repeat"),
    ],
    ids=["a line", "an event", "a body"],
)
def test_what_has_no_end_is_cut_before_it_fills_the_memory(reply: Reply):
    assert cut(reply, Limits())[1].startswith("The answer is cut off: 127.0.0.1:")


@pytest.mark.parametrize("status", [400, 500])
def test_of_an_error_without_an_end_only_the_beginning_is_read(status: int):
    with LlmServer(Reply(status=status, body="x" * 100_000, ending="repeat", headers={"Retry-After": "0"})) as server:
        assert f"status {status}" in failure(server)
        assert server.client_left.wait(5)


def test_the_limits_are_settings():
    chat = make_chat(Settings(llm_base_url="http://h/v1", llm_model="m", llm_max_characters=5_000, llm_max_seconds=7))
    assert isinstance(chat, OpenAiChat)
    assert chat.limits == Limits(5_000, 7)


@pytest.mark.parametrize("key", ["“sk-secret”", "sk-\nsecret"])
def test_a_key_with_characters_that_no_key_has_is_refused_without_being_shown(key: str):
    with pytest.raises(SettingError, match="LLM_API_KEY") as caught:
        OpenAiChat("", "tiny", key, 10)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://", "http://host:99999", "http://host:port", "http://[::1", "http://a b/v1", "http://a\x01b"]
)
def test_an_address_that_is_none_is_refused(address: str):
    with pytest.raises(SettingError, match="LLM_BASE_URL is not an address"):
        OpenAiChat(address, "tiny", KEY, 10)


def test_a_password_in_the_address_is_not_shown():
    with LlmServer(Reply(status=404)) as server:
        address = server.base_url.replace("://", "://user:hunter2@")
        with pytest.raises(UnavailableError) as caught:
            list(OpenAiChat(address, "tiny", KEY, 10).stream(MESSAGES))
    assert "hunter2" not in str(caught.value)


def test_two_answers_can_be_streamed_at_the_same_time():
    with LlmServer(Reply(pieces=("a", "b", "c"), pause=0.01)) as server:
        chat = OpenAiChat(server.base_url, "tiny", KEY, 10)
        streams = [chat.stream(MESSAGES), chat.stream(MESSAGES)]
        written = itertools.chain(*zip(*streams, strict=True))
        assert "".join(piece.text for piece in written) == "aabbcc"


def test_no_chat_model_is_made_without_a_model_name():
    assert make_chat(Settings()) is None
    assert make_chat(Settings(llm_base_url="http://localhost:11434/v1")) is None
    assert make_chat(Settings(llm_model="tiny")) is None


def test_a_local_server_needs_no_key():
    chat = make_chat(Settings(llm_base_url="http://localhost:11434/v1", llm_model="tiny"))
    assert chat is not None
    assert chat.name == "tiny"


def test_importing_this_module_does_not_load_the_openai_library():
    code = "import sys, rag.llm.client, rag.llm.reply; sys.exit('openai' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
