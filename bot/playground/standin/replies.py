"""What the stand-in model says: canned answers that show each behaviour of a streamed reply.

Pure: a conversation goes in, a `Script` comes out. Which answer is chosen
depends on plain words in the last prompt, so that anyone who writes "code" or
"long 3000" sees that behaviour; everything else gets a friendly echo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Script", "compose", "tokens_of"]

CONFESSION = "I am a stand-in, not a real model"
_MAX_WORDS = 20_000
_TOKEN = re.compile(r" ?\w{1,7}|\s(?=\w)|\s+|[^\w\s]")
# Burble puts what a message refers to before it, and the speaker before each message of a channel.
_QUOTES = re.compile(r"(?:⟦quoted: [^\n]*⟧\n(?:> [^\n]*\n)*(?:⟦the quote is cut here⟧\n)?)+")
_NO_WORDS = re.compile(r"\(no words of their own:[^\n]*\)\Z")
_SPEAKER = re.compile(r"⟦([^⟦⟧\n]{1,64})⟧ ?")
_RECALL = re.compile(
    r"\b(what|which)\b.*\b(did|have|had|was)\b.*\b(i|we|my)\b|\bdo you remember\b|\brecall\b", re.IGNORECASE | re.DOTALL
)
_ABOUT = re.compile(r"\bwhat\b.{0,20}\b(can|could|do|are)\b.{0,10}\byou\b|\bwho are you\b", re.IGNORECASE)

_HELP = f"""\
{CONFESSION}: I have no weights, I only show how answers arrive. Mention me with one of these words:

- **long** – a long answer over several messages; `long 3000` sets the number of words
- **code** – fenced code in two languages
- **table** – a Markdown table
- **list** – nested lists, a quote and a spoiler
- **thinking** – thoughts first, then an answer
- **slow** – waits before its first word, then writes slowly
- **error** – breaks in the middle
- **what did I say first?** – shows what I remember

Anything else I repeat back to you. Install [Ollama](https://ollama.com) and start it to talk to a real model."""

_CODE = f"""\
{CONFESSION}, but I can recite. A limiter that lets *rate* actions per second through and remembers a burst:

```python
class LeakyBucket:
    \"\"\"Let `burst` actions through at once, then `rate` per second.\"\"\"

    def __init__(self, rate: float, burst: int) -> None:
        self.interval = 1 / rate
        self.burst = burst
        self.full_at = 0.0  # when the bucket will be empty again

    def wait(self, now: float) -> float:
        \"\"\"Return the seconds until one more action may go.\"\"\"
        earliest = self.full_at - (self.burst - 1) * self.interval
        return max(0.0, earliest - now)

    def take(self, now: float) -> None:
        self.full_at = max(self.full_at, now) + self.interval
```

And how one would ask it from a page:

```js
const bucket = new LeakyBucket(1, 5);
for (const edit of edits) {{
  await sleep(bucket.wait(performance.now() / 1000));
  bucket.take(performance.now() / 1000);
  send(edit); // never more than the limit
}}
```

Inline code such as `full_at` stays as it is, and so does `a < b && b > c`."""

_TABLE = f"""\
{CONFESSION}. Here is a table, written the way models write them:

| Route | Limit | Counted per |
|:------|------:|:------------|
| `POST /messages` | 5 per 5 s | channel |
| `PATCH /messages/…` | 5 per 5 s | channel |
| `PUT /reactions/…` | 1 per 0.25 s | channel |
| everything together | 50 per 1 s | bot |

Numbers are right-aligned in the source; Discord itself draws no tables."""

_LIST = f"""\
{CONFESSION}. A list, then:

# Things to try
1. Ask something long and press ⏹️ while it grows
2. Switch the model
   - type `/model use`
   - choose one, **with the keyboard** if you like
     - `stand-in-thinking` thinks before it speaks
     - `stand-in-slow` takes its time
3. Restart the bot *in the middle of an answer*

## What to look for
- ~~lost words~~ none
- __every__ state well-formed

> A quote, to show that quotes work:
> it has two lines.

And a secret: ||there is no model here||"""

_THOUGHTS = """\
Someone asks me to think. I am a stand-in, so my thoughts are written down beforehand, which makes them \
no less sincere. First: what is asked? To show that thinking comes before the answer. Second: should it be \
shown as the answer? No, a reader wants the result. Third: how long is long enough? About this long. \
Let me check that once more: yes. Now I can answer."""

_THINKING = f"""\
{CONFESSION}, and I have just "thought" for a moment. While I did, the channel said so instead of staying silent.

My conclusion: **thoughts are not part of the answer**, they are neither shown nor remembered."""

_SLOW = f"""\
{CONFESSION}. I took my time before the first word, as a large model does while it loads, and now I write slowly, \
word by word, so that you can see how each one arrives. Press ⏹️ when you have seen enough."""

_ERROR = f"""\
{CONFESSION}. This answer breaks in the middle, as happens when a model server runs out of memory. \
What has been written up to here stays, and the line below names the reference under which the log says more"""

_LONG_SECTIONS = (
    """\
## The way of a token
A model writes one token at a time, often forty in a second. Discord takes about one edit per second in a channel. \
So the words have to wait for each other: whatever has come since the last edit travels in the next one, and nobody is \
kept waiting longer than the limit demands.""",
    """\
## Why not simply send faster?
Because a refused request costs more than a late one. Whoever knocks too often is told to wait, and then the whole \
channel waits. A good pace spends what is left over early, when the first words matter most, and keeps one edit back \
for the end:

```text
tokens   ······························
edits    |   |   |    |    |    |    ||
limit    5 in 5 s, then one a second
```""",
    """\
## Two thousand characters
A message ends at 2000 code points, an answer does not. The text goes on in the next message:

1. cut at a paragraph if there is one,
2. else at the end of a sentence,
3. else between two words, and never inside a **bold passage**, a `piece of code` or an emoji.

A message that has been left is never touched again.""",
    """\
## Half a word of Markdown
While an answer grows, its last line is unfinished. A lone `**` would show as two stars, an open fence would swallow \
the rest. So what is open gets closed *for the moment*, and opened again when more arrives. The reader sees \
well-formed text at every moment, as in this snippet:

```python
def close(text: str) -> str:
    \"\"\"Return *text* with what is open closed for the moment.\"\"\"
    return text + "".join(reversed(open_marks(text)))
```""",
    """\
## Stopping
Sometimes the answer is known before it is complete. A click on the square ends it: the connection to the model \
closes, the machine is free for the next question, and the words so far stay where they are.

> What has been read cannot be taken back,
> what has been written should not be either.""",
    """\
## Remembering
Every channel has its own memory. It outlives a restart, it forgets on request, and it is cut to what the model can \
hold, oldest first. Ask me *what did I say first?* to see it.""",
)


@dataclass(frozen=True, slots=True)
class Script:
    """One answer as the stand-in will play it.

    Attributes:
        content: the answer's text.
        thinking: thoughts that come before it, or "".
        delay: seconds before the first token.
        pace: factor on the server's speed.
        error: if set, the stream breaks with this message after the content.
    """

    content: str
    thinking: str = ""
    delay: float = 0.0
    pace: float = 1.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """One message of a person; *name* is "" where nobody says who speaks, *quoted* what they refer to."""

    name: str
    text: str
    quoted: str = ""


def tokens_of(text: str) -> list[str]:
    """Cut *text* into pieces about as long as a model's tokens; joined they are *text* again."""
    return _TOKEN.findall(text)


def compose(messages: Sequence[Mapping[str, Any]], *, always_think: bool = False) -> Script:
    """Choose the answer to a conversation.

    *messages* are Ollama's (``role``, ``content``), oldest first; the last one
    of role ``user`` is what is answered.
    """
    said = [_said(message) for message in messages if message.get("role") == "user"]
    script = _script_for(said[-1] if said else _Said("", ""), said[:-1])
    if always_think and not script.thinking:
        return Script(script.content, _THOUGHTS, script.delay, script.pace, script.error)
    return script


def _said(message: Mapping[str, Any]) -> _Said:
    content = str(message.get("content") or "")
    quotes = _QUOTES.match(content)
    quoted, content = (quotes[0], content[quotes.end() :]) if quotes else ("", content)
    label = _SPEAKER.match(content)
    name, content = (label[1], content[label.end() :]) if label else ("", content)
    return _Said(name, _NO_WORDS.sub("", content) if quoted else content, quoted)


def _script_for(last: _Said, earlier: Sequence[_Said]) -> Script:
    words = set(re.findall(r"[a-z]+", last.text.lower()))
    for word, build in _BY_WORD.items():
        if word in words:
            return build(last.text)
    if _RECALL.search(last.text):
        return Script(_recollection(last, earlier))
    if _ABOUT.search(last.text):
        return Script(_HELP)
    return Script(_echo(last, len(earlier)))


def _long(prompt: str) -> Script:
    wanted = re.search(r"\blong\D{0,20}(\d{1,6})", prompt, re.IGNORECASE)
    words = min(int(wanted.group(1)), _MAX_WORDS) if wanted else 600
    parts = [f"{CONFESSION}, so here is a long answer about itself, some {words} words of it."]
    count = 0
    while count < words:
        for section in _LONG_SECTIONS:
            parts.append(section)
            count += len(section.split())
            if count >= words:
                break
    return Script("\n\n".join(parts) + "\n\nThat was all.")


# In order of precedence: "a long error" shows the error.
_BY_WORD: dict[str, Callable[[str], Script]] = {
    "error": lambda _: Script(_ERROR, error="the stand-in was asked to fail: out of memory (not really)"),
    "slow": lambda _: Script(_SLOW, delay=5.0, pace=0.1),
    "slowly": lambda _: Script(_SLOW, delay=5.0, pace=0.1),
    "thinking": lambda _: Script(_THINKING, _THOUGHTS),
    "think": lambda _: Script(_THINKING, _THOUGHTS),
    "long": _long,
    "code": lambda _: Script(_CODE),
    "table": lambda _: Script(_TABLE),
    "list": lambda _: Script(_LIST),
    "help": lambda _: Script(_HELP),
}


def _recollection(last: _Said, earlier: Sequence[_Said]) -> str:
    if not earlier:
        beside = f", beside:\n{_lines_of(last.quoted)}" if last.quoted else "."
        return f"{CONFESSION}, and this is the first thing I have heard in this conversation{beside}"

    def who(said: _Said) -> str:
        return "you" if said.name == last.name else said.name or "someone"

    lines = [f"{CONFESSION}, but I do remember. First {who(earlier[0])} said:", _quote(earlier[0].text)]
    if len(earlier) > 1:
        whose = f"the last of them, from {who(earlier[-1])}"
        lines += [f"and {len(earlier) - 1} more since, {whose}:", _quote(earlier[-1].text)]
    return "\n".join(lines)


def _echo(last: _Said, earlier: int) -> str:
    quoted = _lines_of(last.quoted)
    if not last.text.strip():
        if quoted:
            return f"{CONFESSION}, so I can only tell you that I was shown this:\n{quoted}"
        return f"{CONFESSION}, and I was told nothing. Say **help** to see what I can show."
    said = f"{last.name}, you said" if last.name else "You said"
    count = len(last.text.split())
    words = "One word, and it arrived." if count == 1 else f"{count} words, and every one of them arrived."
    about = f"You mean what somebody wrote:\n{quoted}" if quoted else ""
    memory = f" That was message {earlier + 1} of this conversation." if earlier else ""
    return (
        f"{CONFESSION}, so I can only tell you that I heard you. {said}:\n{_quote(last.text)}\n"
        f"{about}{words}{memory} Say **help** to see what I can show."
    )


def _lines_of(quotes: str) -> str:
    return "".join(f"{line}\n" for line in quotes.splitlines() if line.startswith("> "))


def _quote(text: str) -> str:
    shortened = text if len(text) <= 600 else text[:599] + "…"
    return "\n".join(f"> {line}" for line in shortened.strip().splitlines() or [""])
