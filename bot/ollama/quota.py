"""Tells a used-up quota from a server that is only busy, by the words of a refusal.

Both come as 429. Who is busy answers in a moment; a limit of hours or weeks, a
spent budget or a plan that does not cover the model stays whatever we do.
"""

from __future__ import annotations

import re

# Longer than this nobody waits for a place that becomes free.
_LONG_WAIT = 900.0
_LOOKED_AT = 4000  # code points: a web page goes on with style and script
_STATUSES = frozenset({400, 402, 403, 429})
"""With these, words about money or a plan mean what they say."""

_PERIOD = "(hour|day|week|month)"
_LIMIT = "(limit|quota|cap|allowance|allocation|budget)"
_LONG_LIMIT = re.compile(
    rf"\b(hourly|daily|weekly|monthly|session|per[ _-]{_PERIOD}|{_PERIOD}s?)\b[^.\n]{{0,40}}\b{_LIMIT}"
    rf"|({_LIMIT}|request|token|model)[^\n]{{0,80}}(per[ _-]?(\d+ )?{_PERIOD}|/ ?{_PERIOD}\b)"
    rf"|\b(in|after|every|within) (an? |about |the next )?(\d+ ?)?{_PERIOD}s?\b"
    r"|\b24[ -]?h|\b[rt]p[dh]\b|(for|request|requests|quota|limit) today\b|tomorrow"
)
_SHORT_LIMIT = re.compile(
    r"per[ _-]?(\d+ )?(min|sec)|/ ?(min|sec)\w{0,4}\b|\b[rt]pm\b|concurren|overload|slow down|burst"
)
_SPENT = re.compile(
    r"insufficient[ _](quota|balance|credit|fund)"
    r"|\b(exceed\w*|over|out of|exhausted|depleted|reached)[ _]?[^\n]{0,40}(quota|credit|budget|balance|usage limit)"
    r"|(quota|credit|budget|balance|usage limit|key limit)[^\n]{0,40}"
    r"(exceeded|exhausted|depleted|used up|too low|reached|not enough)"
    r"|payment required|billing|subscription|free[ -](tier|plan)|plan limit|upgrade (for|your)"
    r"|\bno [^\n]{0,20}credits?\b|余额|额度|欠费|recharge|(add|buy|purchase) (more |extra |pre-paid )?(credits|usage)"
)


def is_used_up(status: int, body: str, retry_after: float | None = None) -> bool:
    """Tell whether a refusal lasts for hours or until somebody pays, however often the question is put again.

    >>> is_used_up(429, "you (ada) have reached your weekly usage limit, upgrade for higher limits")
    True
    >>> is_used_up(429, "Rate limit reached: 30 requests per minute")
    False
    """
    words = body[:_LOOKED_AT].lower()
    if status not in _STATUSES:  # gateways make a 500 of everything
        return status >= 500 and "usage limit" in words
    if status == 402 or _LONG_LIMIT.search(words):
        return True
    if _SHORT_LIMIT.search(words):
        return False
    is_long = status == 429 and retry_after is not None and retry_after >= _LONG_WAIT
    return is_long or bool(_SPENT.search(words))
