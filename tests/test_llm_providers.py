"""Whatever a provider sends is told apart: text, thinking, and a sentence on what is missing."""

from __future__ import annotations

import pytest

from rag.errors import UnavailableError
from rag.llm.base import ChatMessage, ContextLengthError, Transcript
from rag.llm.client import OpenAiChat
from tests.llm_providers import CASES, TOO_LONG
from tests.llm_server import LlmServer, Reply


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def read(reply: Reply) -> tuple[Transcript, str]:
    """Return what a model wrote, and the sentence on what is missing of it, "" where it is whole."""
    transcript = Transcript()
    try:
        with LlmServer(reply) as server:
            for piece in OpenAiChat(server.base_url, "tiny", "sk-secret", 10).stream([ChatMessage("user", "When?")]):
                transcript.add(piece)
    except UnavailableError as error:
        return transcript, str(error)
    return transcript, ""


@pytest.mark.parametrize("name", CASES)
def test_what_a_provider_sends_is_told_apart(name: str) -> None:
    case = CASES[name]
    transcript, said = read(case.sends)
    assert (transcript.text, transcript.thinking) == (case.text, case.thinking)
    assert case.says in said
    assert bool(said) == bool(case.says)


@pytest.mark.parametrize("provider", TOO_LONG)
def test_a_request_that_is_too_long_for_the_model_says_which_setting_to_lower(provider: str) -> None:
    with LlmServer(TOO_LONG[provider]) as server:
        chat = OpenAiChat(server.base_url, "tiny", "sk-secret", 10)
        with pytest.raises(ContextLengthError, match=r"longer than what tiny can read.*RERANK_TOP"):
            list(chat.stream([ChatMessage("user", "When?")]))
    assert len(server.requests) == 1
