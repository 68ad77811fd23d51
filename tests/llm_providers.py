"""What providers send, in one table, and what of it is text, thinking, or a sentence on what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.llm_server import Reply

ANSWER = "The room was audited in March [1]."
BROKEN = "broke off in mid-answer: ask again"
WRONG_ADDRESS = "check that the address (LLM_BASE_URL) is that of an OpenAI-compatible API"
NO_TEXT = "tiny answered without any text"
ONLY_THOUGHT = "tiny only thought aloud and gave no answer: ask again, or set another language model (LLM_MODEL)."
DONE = b"[DONE]"


@dataclass(frozen=True)
class Case:
    """What a server sends, and what is made of it: the text, the thinking, and a part of the sentence on its end."""

    sends: Reply
    text: str = ANSWER
    thinking: str = ""
    says: str = ""


def event(delta: Mapping[str, Any] | None, finish: str | None = None, **choice: Any) -> bytes:
    """Return an event as a server writes it."""
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]}).encode()


def events(*sent: Mapping[str, Any] | bytes | None, finish: str = "stop") -> Reply:
    """Return a reply of deltas and of whole events."""
    return Reply(events=tuple(one if isinstance(one, bytes) else event(one) for one in sent), finish=finish)


def says(*pieces: str, finish: str = "stop") -> Reply:
    return Reply(pieces=pieces, finish=finish)


def lines(*raw: bytes) -> Reply:
    return Reply(raw=raw, finish="")


def refuses(status: int, body: Any) -> Reply:
    return Reply(status=status, body=body if isinstance(body, str) else json.dumps(body))


SAID = {"content": ANSWER}
CASES = {
    # Thinking in the text, between marks.
    "marks": Case(says("<think>Look at [2].</think>\n\n", ANSWER), thinking="Look at [2]."),
    "marks in one piece": Case(says(f"<think>Look at [2].</think>\n\n{ANSWER}"), thinking="Look at [2]."),
    "long marks": Case(says("<thinking>Look.</thinking>\n", ANSWER), thinking="Look."),
    "other marks": Case(says("<thought>Look.</thought>", ANSWER), thinking="Look."),
    "marks in capitals": Case(says("<THINK>Look.</THINK>", ANSWER), thinking="Look."),
    "square marks": Case(says("[THINK]Look.[/THINK]", ANSWER), thinking="Look."),
    "marks of three corners": Case(says("◁think▷Look.◁/think▷", ANSWER), thinking="Look."),
    "marks of channels": Case(
        says("<|channel|>analysis<|message|>Look.", "<|end|><|start|>assistant<|channel|>final<|message|>", ANSWER),
        thinking="Look.<|end|><|start|>assistant",
    ),
    "marks letter by letter": Case(says(*f"<think>Look.</think>\n{ANSWER}"), thinking="Look."),
    "nothing between the marks": Case(says("<think>\n\n</think>\n\n", ANSWER)),
    "no opening mark": Case(says("Source [2] says so.\n</think>\n\n", ANSWER), thinking="Source [2] says so.\n"),
    "no opening mark, split": Case(says("Source [2]", " says so.</th", "ink>", ANSWER), thinking="Source [2] says so."),
    "no closing mark": Case(says("<think>Hm, let me look at [2]"), "", "Hm, let me look at [2]", ONLY_THOUGHT),
    "no closing mark and cut": Case(
        says("<think>Hm", finish="length"), "", "Hm", "tiny reached its length limit while it was still thinking"
    ),
    "nothing after the marks": Case(says("<think>Hm</think>\n"), "", "Hm", ONLY_THOUGHT),
    "thinking twice": Case(
        says("<think>a</think>The room ", "<think>b</think>was audited."), "The room was audited.", "ab"
    ),
    "a mark that is written about": Case(says("The tag `<think>` opens [1]."), "The tag `<think>` opens [1]."),
    "what only begins like a mark": Case(says("a <thin", "g> [1]", "<th"), "a <thing> [1]<th"),
    # Thinking beside the text.
    "reasoning_content": Case(events({"content": None, "reasoning_content": "Look."}, SAID), thinking="Look."),
    "reasoning": Case(events({"content": "", "reasoning": "Look."}, SAID), thinking="Look."),
    "reasoning under two names": Case(
        events({"reasoning": "Look.", "reasoning_details": [{"type": "reasoning.text", "text": "Look."}]}, SAID),
        thinking="Look.",
    ),
    "reasoning details alone": Case(
        events({"reasoning_details": [{"type": "reasoning.text", "text": "Look."}]}, SAID), thinking="Look."
    ),
    "reasoning and a stray mark": Case(
        events({"reasoning": "Look."}, {"content": f"</think>\n{ANSWER}"}), thinking="Look."
    ),
    "only reasoning": Case(events({"reasoning_content": "Look."}), "", "Look.", ONLY_THOUGHT),
    "only reasoning and cut": Case(
        events({"reasoning_content": "Look."}, finish="length"), "", "Look.", "while it was still thinking"
    ),
    # Text in parts.
    "typed parts": Case(
        events(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Look."}]}]},
            {"content": [{"type": "text", "text": ANSWER}]},
        ),
        thinking="Look.",
    ),
    "typed parts, then text": Case(
        events({"content": [{"type": "thinking", "thinking": "Look."}]}, SAID), thinking="Look."
    ),
    "parts of other types": Case(
        events({"content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "output_text", "text": ANSWER}]})
    ),
    "parts that are texts": Case(events({"content": ["The room was ", "audited in March [1]."]})),
    "a refusal": Case(events({"content": None, "refusal": "I cannot say."}), "I cannot say."),
    # Ends.
    "no reason to end, but an end": Case(events(SAID, DONE, finish="")),
    "an empty reason to end": Case(events(SAID, event({}, ""), DONE, finish="")),
    "a reason to end, and no end": Case(events(SAID, event({}, "stop"), finish="")),
    "a reason of its own": Case(events(SAID, event({}, "end_turn"), DONE, finish="")),
    "dropped after its reason to end": Case(Reply(events=(event(SAID, "stop"),), ending="drop")),
    "neither reason nor end": Case(events(SAID, finish=""), says=BROKEN),
    "dropped": Case(Reply(events=(event(SAID),), ending="drop"), says=BROKEN),
    "half an event": Case(lines(b"data: " + event(SAID) + b'\n\ndata: {"id": "c", "choi\n\n'), says=BROKEN),
    "the end without an empty line": Case(lines(b"data: " + event(SAID) + b"\n\ndata: [DONE]")),
    "error as its reason to end": Case(says(ANSWER, finish="error"), says="reported an error in mid-answer: ask again"),
    "error as its reason to end, and nothing else": Case(says(finish="error"), "", says="reported an error: ask again"),
    "cut at its length": Case(says(ANSWER, finish="length"), says="cut off at the length limit of tiny"),
    "cut at its length, in other words": Case(says(ANSWER, finish="MAX_TOKENS"), says="cut off at the length limit"),
    "filtered": Case(says("", finish="content_filter"), "", says="withheld the answer: ask in other words"),
    "a tool call": Case(
        events({"content": None, "tool_calls": [{"index": 0, "function": {"name": "f"}}]}, finish="tool_calls"),
        "",
        says=NO_TEXT,
    ),
    "a tool call after the text": Case(events(SAID, {"tool_calls": [{"index": 0}]}, finish="tool_calls")),
    # Events.
    "empty choices": Case(
        events(b'{"choices": [], "prompt_filter_results": []}', SAID, b'{"choices": [], "usage": {}}')
    ),
    "no choices": Case(events(b'{"choices": null}', SAID)),
    "no delta": Case(events(None, {"content": ""}, {"content": None}, SAID)),
    "no index": Case(events(json.dumps({"choices": [{"delta": SAID}]}).encode())),
    "other choices": Case(events(event({"content": "other"}, index=1), SAID, event({"content": "more"}, index=2))),
    "half a character": Case(
        events(
            rb'{"choices": [{"delta": {"content": "Rice \ud83d"}}]}',
            rb'{"choices": [{"delta": {"content": "\ude00."}}]}',
        ),
        "Rice \N{GRINNING FACE}.",
    ),
    "half a character and no other": Case(events(rb'{"choices": [{"delta": {"content": "Rice \ud83d"}}]}'), "Rice ?"),
    "keepalive comments": Case(
        lines(b": PROCESSING\n\n", b": PROCESSING\n\n", b"data: " + event(SAID, "stop") + b"\n\n")
    ),
    "lines of events": Case(
        lines(
            b"event: message\r\nid: 3\r\nretry: 10\r\ndata: " + event(SAID, "stop") + b"\r\n\r",
            b"\ndata: [DONE]\r\n\r\n",
        )
    ),
    "no space": Case(lines(b"data:" + event(SAID, "stop") + b"\n\n", b"data:[DONE]\n\n")),
    "split in the middle of letters": Case(
        lines(
            *(bytes([byte]) for byte in b"data: " + '{"choices": [{"delta": {"content": "米饭"}}]}'.encode() + b"\n\n"),
            b"data: [DONE]\n\n",
        ),
        "米饭",
    ),
    "no stream": Case(Reply(body=json.dumps({"choices": [{"message": {"content": ANSWER}, "finish_reason": "stop"}]}))),
    "no stream, with thinking": Case(
        Reply(body=json.dumps({"choices": [{"message": {"content": ANSWER, "reasoning_content": "Look."}}]})),
        thinking="Look.",
    ),
    # What is no reply.
    "a page": Case(Reply(body="<html>Sign in</html>", kind="text/html"), "", says=WRONG_ADDRESS),
    "a page called JSON": Case(Reply(body="<html>Sign in</html>"), "", says=WRONG_ADDRESS),
    "other JSON": Case(Reply(body='{"models": []}'), "", says=WRONG_ADDRESS),
    "JSON without an end": Case(Reply(body="[" * 100_000), "", says=WRONG_ADDRESS),
    "an error in mid-answer": Case(
        events({"content": "The room "}, b'{"error": {"message": "upstream overloaded", "code": 502}}', finish=""),
        "The room ",
        says="reported an error in mid-answer, upstream overloaded: ask again",
    ),
    "an error in place of an answer": Case(
        events(b'{"error": {"message": "The model is gone"}}', finish=""),
        "",
        says="reported an error, The model is gone:",
    ),
    "an error with the number of a status": Case(
        events(b'{"error": {"message": "No auth", "code": 401}}', finish=""), "", says="refused the key"
    ),
    "an error as text": Case(
        events(b'{"error": "worker died"}', finish=""), "", says="reported an error, worker died:"
    ),
    "an error of another shape": Case(
        lines(b'event: error\ndata: {"object": "error", "message": "worker died", "code": 500}\n\n'),
        "",
        says="failed (status 500)",
    ),
    "an error with status 200": Case(
        Reply(body='{"code": 1001, "msg": "no balance"}'), "", says="reported an error, no balance:"
    ),
    "details": Case(
        refuses(422, {"detail": [{"loc": ["body", "stream"], "msg": "not permitted"}]}),
        "",
        says="did not accept the request (status 422, not permitted)",
    ),
    "a page that refuses": Case(
        refuses(400, "<html>Bad</html>"), "", says="did not accept the request (status 400): check"
    ),
    "no credit": Case(refuses(402, {"error": {"message": "Pay"}}), "", says="wants to be paid first"),
}

TOO_LONG = {
    "openai": refuses(
        400,
        {
            "error": {
                "message": "This model's maximum context length is 2048 tokens.",
                "code": "context_length_exceeded",
            }
        },
    ),
    "openai, in an event": events(
        b'{"error": {"message": "This model\'s maximum context length is 2048 tokens.", "code": 400}}', finish=""
    ),
    "by its code": refuses(400, {"error": {"message": "No.", "code": "context_length_exceeded"}}),
    "vllm": refuses(
        400,
        {
            "object": "error",
            "message": "The decoder prompt is longer than the maximum model length of 4096.",
            "code": 400,
        },
    ),
    "llama.cpp": refuses(
        400,
        {
            "error": {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size",
            }
        },
    ),
    "sglang": refuses(
        400, {"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."}
    ),
    "tgi": refuses(422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."}),
    "lm studio": refuses(
        400, {"error": "Trying to keep the first 5000 tokens when context length is only 4096 tokens."}
    ),
    "anthropic": refuses(
        400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}}
    ),
    "gemini": refuses(
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                }
            }
        ],
    ),
    "mistral": refuses(
        400, {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}
    ),
    "groq": refuses(413, {"error": {"message": "Request too large for model: please reduce your message size"}}),
    "qwen": refuses(400, {"error": {"message": "Range of input length should be [1, 30720]"}}),
    "moonshot": refuses(400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192"}}),
    "siliconflow": refuses(400, {"code": 20015, "message": "length of prompt_tokens must be less than max_seq_len"}),
    "zhipu": refuses(400, {"error": {"code": "1261", "message": "Prompt 超长"}}),
    "bedrock": refuses(400, {"message": "Input is too long for requested model."}),
    "xai": refuses(
        400, {"error": "This model's maximum prompt length is 131072 but the request contains 150000 tokens."}
    ),
    "a proxy": refuses(413, "<html>Request Entity Too Large</html>"),
}
