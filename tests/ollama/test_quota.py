"""Refusals as servers word them, sorted into those that pass and those that last.

Most texts are taken from public reports; names and references in them are made up.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import OllamaBusy, OllamaError, QuotaExceeded
from bot.generation.retry import may_pass
from bot.ollama.failures import line_error, status_error
from bot.ollama.quota import is_used_up

URL = "http://127.0.0.1:11434"
GROQ = (
    "Rate limit reached for model `llama-3.3-70b` in organization `org_01kjh7` service tier `on_demand` on tokens per "
)

LASTING: list[tuple[int, Any]] = [
    # Ollama's cloud, straight or through a local server
    *(
        (429, {"error": f"{who} reached your {period} usage limit, {rest}"})
        for who in ("you (home-lab) have", "you've", "you have")
        for period in ("session", "hourly", "weekly", "monthly")
        for rest in (
            "upgrade for higher limits: https://ollama.com/upgrade (ref: 310ea08a)",
            "please wait or upgrade to continue",
            "add extra usage: https://ollama.com/settings (ref: 688c08ff)",
        )
    ),
    (429, {"StatusCode": 429, "Status": "429 Too Many Requests", "error": "you have reached your hourly usage limit"}),
    (403, {"error": "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"}),
    (500, {"error": "litellm.APIConnectionError: you (ada) have reached your session usage limit"}),
    # OpenAI and what copies it
    (429, {"error": {"message": "You exceeded your current quota, please check your plan and billing details.",
                     "type": "insufficient_quota", "code": "insufficient_quota"}}),
    (429, {"error": {"message": "Rate limit reached for requests. Limit: 3 / day", "type": "requests"}}),
    (429, {"error": {"message": GROQ + "day (TPD): Limit 100000, Used 97050. Please try again in 9m38.016s."}}),
    (429, {"error": {"message": "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 a day"}}),
    (402, {"error": {"message": "This request requires more credits, or fewer max_tokens", "code": 402}}),
    (402, ""),
    (403, {"error": {"message": "Key limit exceeded (total limit). Manage it using https://openrouter.example/keys"}}),
    (400, {"type": "error", "error": {"message": "Your credit balance is too low to access the Anthropic API."}}),
    (429, {"error": {"code": "1113", "message": "Insufficient balance or no resource package. Please recharge."}}),
    (429, {"error": {"code": "1310", "message": "Weekly/Monthly Limit Exhausted. It resets at 2026-09-03 18:01"}}),
    (429, {"base_resp": {"status_code": 1008, "status_msg": "balance not enough"}}),
    (402, {"error": "You have depleted your monthly included credits. Purchase pre-paid credits to continue"}),
    (429, {"errors": [{"message": "you have used up your daily free allocation of 10,000 neurons, please upgrade"}]}),
    (429, {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded for metric: GenerateRequestsPerDay"}}),
    *(
        (429, {"error": text})
        for text in (
            "You have exceeded your daily quota",
            "Too many requests today, please come back tomorrow",
            "limit: 100 requests in 24h",
            "5-hour limit reached, resets at 3pm",
            "Your limit resets in 3 hours",
            "Rate limited. Try again in an hour",
            "free tier limit reached, upgrade your plan",
            "No remaining credits on this key",
            "账户余额不足",
            "Monthly spend cap reached for this project",
        )
    ),
    (403, {"error": "Your account has been suspended, check your billing"}),
    # proxies
    (429, {"error": {"message": "Budget has been exceeded! Current cost: 76.16, Max budget: 10.0",
                     "type": "budget_exceeded", "code": "429"}}),
    (400, {"error": {"message": "ExceededBudget: End User=ada over budget. Spend=0.0008, Budget=0.0001"}}),
    (429, {"error": {"message": "LiteLLM User: ada, exceeded budget for model=big", "type": "budget_exceeded"}}),
    (429, {"detail": "Daily token limit reached for this account"}),
    (429, {"detail": "Rate limit exceeded: 200 requests per 1 day"}),
    (429, "Your account ada@example.org has reached its limit of 20000 requests per month"),
    (429, "<html><title>429</title><body>This tunnel exceeded its monthly bandwidth quota</body></html>"),
]  # fmt: skip

PASSING: list[tuple[int, Any]] = [
    (503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
    (503, {"error": "Server overloaded, please retry shortly (ref: aaa65c70)"}),
    (503, {"error": "model 'minimax-m3' is temporarily overloaded, please retry shortly or try a different model"}),
    (503, {"error": "unexpected server status: llm busy - no slots available"}),
    (429, {"error": "too many concurrent requests"}),
    (429, {"error": "too many concurrent requests, upgrade for higher limits"}),
    (429, {"error": "slow down"}),
    (429, {"error": {"code": "concurrent_budget_exceeded", "message": "Concurrency budget exceeded for basic tier"}}),
    (429, {"error": {"message": "Concurrency limit exhausted, retry shortly"}}),
    (429, {"error": {"message": GROQ + "minute (TPM): Limit 6000, Used 3513. Please try again in 6.78s. "
                                "Need more tokens? Upgrade to Dev Tier today", "code": "rate_limit_exceeded"}}),
    (429, {"error": {"message": "Rate limit reached for gpt-x: 30000 tokens per min. Please try again in 6.9s."}}),
    (429, {"error": {"message": "Quota exceeded for quota metric 'requests' and limit 'Requests per minute'"}}),
    (429, {"detail": "Rate limit exceeded: 5 per 1 minute"}),
    (429, {"error": "Request was throttled. Expected available in 12 seconds."}),
    (429, {"error": "Rate limit exceeded. Try again in 20 seconds"}),
    (429, {"error": "busy: 3 requests in flight, at most 2"}),
    (429, {"error": "Your limit resets in 12 s"}),
    (503, {"error": "down for maintenance, back in 2 hours"}),
    (429, ""),
    (429, "Too Many Requests"),
    (429, "<html><head><title>429 Too Many Requests</title></head><center>nginx/1.26.1</center></html>"),
    (429, "<!doctype html><title>Access denied | Cloudflare</title>error code: 1015, you are being rate limited"),
    (502, "<html><title>502 Bad Gateway</title><center>nginx</center></html>"),
    (502, {"error": 'Post "https://ollama.com:443/api/chat?ts=1": dial tcp: lookup ollama.com: no such host'}),
    (503, "no available server"),
    (504, "upstream request timeout"),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
]  # fmt: skip

OTHER = [
    (404, {"error": "model 'hub/day-per-week-limit:latest' not found"}),
    (400, {"error": "the prompt is longer than the context length currently available to the model"}),
    (500, {"error": "model requires more system memory (8.4 GiB) than is available (3.1 GiB)"}),
    (500, {"error": "llama-server process has terminated: unknown model architecture, you may need to upgrade Ollama"}),
    (403, ""),
    (403, {"error": "ollama cloud is disabled: remote model is unavailable"}),
    (401, {"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=host"}),
]


def failure_of(code: int, body: Any, headers: dict[str, str] | None = None) -> OllamaError:
    raw = body if isinstance(body, str) else json.dumps(body)
    return status_error(URL, code, headers or {}, raw.encode(), "m")


@pytest.mark.parametrize(("code", "body"), LASTING)
def test_what_lasts_is_not_asked_again_nor_called_busy(code: int, body: Any) -> None:
    failure = failure_of(code, body)
    assert type(failure) is QuotaExceeded
    assert not may_pass(failure)
    sentence = re.sub(r"\(reference `[0-9a-f]+`\)", "", failure.sentence())
    for word in ("busy", "moment", "://", "home-lab", "ada", "org_", "ref", "example", "HTTP"):
        assert word not in sentence.lower()


@pytest.mark.parametrize(("code", "body"), PASSING)
def test_what_passes_is_asked_again(code: int, body: Any) -> None:
    failure = failure_of(code, body)
    assert type(failure) is OllamaBusy
    assert may_pass(failure)


@pytest.mark.parametrize(("code", "body"), OTHER)
def test_what_is_neither_stays_what_it_is(code: int, body: Any) -> None:
    assert not isinstance(failure_of(code, body), QuotaExceeded | OllamaBusy)


@pytest.mark.parametrize(("seconds", "lasts"), [("5", False), ("600", False), ("3600", True), ("999999", True)])
def test_a_long_wait_that_is_asked_for_with_429_lasts(seconds: str, lasts: bool) -> None:
    failure = failure_of(429, {"error": "rate limited"}, {"Retry-After": seconds})
    assert isinstance(failure, QuotaExceeded) is lasts
    assert type(failure_of(503, {"error": "down for a while"}, {"Retry-After": seconds})) is OllamaBusy


@pytest.mark.parametrize("body", [body for code, body in LASTING if code == 429 and isinstance(body, dict)])
def test_in_an_error_line_it_lasts_as_well(body: dict[str, Any]) -> None:
    if "error" in body:
        assert isinstance(line_error(URL, body), QuotaExceeded)


@given(st.integers(300, 599), st.text(), st.none() | st.floats(0, 3600))
def test_no_text_breaks_the_sorting(code: int, text: str, retry_after: float | None) -> None:
    is_used_up(code, text, retry_after)
