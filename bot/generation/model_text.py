"""Models in words: lists, cards and choices that fit Discord, whatever a server sends.

Pure. Names come from a server that anybody may have filled, so each is shown
as inline code that it cannot leave, on one line and cut to a length.
"""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

from bot.markdown.text import PAGE_LIMIT
from bot.ollama.names import canonical_name, same_model
from bot.ollama.types import Model, ModelDetails, RunningModel

MAX_CHOICES = 25
"""Suggestions that Discord shows for an option."""
MAX_CHOICE_LENGTH = 100
"""Code points of a suggestion's label, and of its value."""

WHOLE_NAME_LENGTH = 800
"""Code points of a name where it stands whole."""
_NAME_LENGTH = 80
_WORD_LENGTH = 40
# A line is added only if the one that counts the rest still fits after it.
_REST_ROOM = 80


def plain(text: str, limit: int = _WORD_LENGTH) -> str:
    """Return *text* on one line without what is invisible or turns the direction of writing, at most *limit* long."""
    kept = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * limit])
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def code(text: str, limit: int = _NAME_LENGTH) -> str:
    """Return *text* as inline code that it cannot leave."""
    return f"`{plain(text, limit).replace('`', 'ˋ') or '?'}`"


def size(count: int) -> str:
    """Return a number of bytes as `ollama list` shows it: decimal units, two digits."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 10 and unit != "B" else f"{amount:.0f} {unit}"


def abilities(capabilities: Iterable[str] | None) -> str:
    """Return what a model can do in words, or an empty string where the server does not say."""
    names = sorted(plain(name, 20) for name in capabilities or () if name != "completion")
    words = ["chat"] if "completion" in (capabilities or ()) else []
    return ", ".join([*words, *names][:8])


def model_list(models: Sequence[Model], current: str | None) -> str:
    """Return a message that lists *models* in their order, *current* first; says how many found no room."""
    if not models:
        return "No model is installed. Whoever hosts me can run `ollama pull llama3.2`."
    first = [model for model in models if current is not None and same_model(model.name, current)]
    lines = [f"**{_count(len(models))} installed**"]
    if current is not None and not first:
        lines.append(f"⚠️ This channel is set to {code(current)}, which is not installed: choose with `/model use`.")
    length = len("\n".join(lines))
    ordered = [*first, *(model for model in models if model not in first)]
    for index, model in enumerate(ordered):
        line = _list_line(model, is_current=model in first)
        length += 1 + len(line)
        if length > PAGE_LIMIT - _REST_ROOM:
            lines.append(f"-# … and {len(ordered) - index:,} more: type a part of the name after `/model use`")
            break
        lines.append(line)
    return "\n".join(lines)


def model_card(
    details: ModelDetails, *, num_ctx: int, model: Model | None, running: RunningModel | None, is_current: bool
) -> str:
    """Return a message that tells all about one model; *num_ctx* is the window that it is asked with."""
    lines = [f"**{code(details.model, WHOLE_NAME_LENGTH)}**" + (" · answers in this channel" if is_current else "")]
    kind = [details.family, f"{details.parameter_size} parameters" if details.parameter_size else ""]
    facts = [
        ("Kind", _joined([*kind, details.quantization, details.format])),
        ("Size", size(model.size) if model and model.size and not details.is_remote else ""),
        ("Installed", plain(details.modified_at[:10])),
        ("Window", _window(details.context_length, num_ctx)),
        ("Can do", abilities(details.capabilities)),
        ("Loaded now", _loaded(running) if not details.is_remote else "runs on ollama.com"),
        ("Parameters", ", ".join(f"{plain(key, 20)} {plain(value, 20)}" for key, value in details.parameters[:10])),
        ("System prompt", "it has one of its own" if details.system else ""),
        ("Licence", plain(details.license, 120)),
    ]
    lines += [f"- {name}: {_shown(fact)}" for name, fact in facts if fact]
    return "\n".join(lines)


def suggestions(models: Iterable[Model], typed: str, current: str | None) -> list[Model]:
    """Return the models to suggest for what was *typed*: the current one first, then names that begin with it."""
    wanted = typed.strip().casefold()
    found = [model for model in models if wanted in model.name.casefold()]

    def rank(model: Model) -> tuple[bool, bool]:
        is_current = current is not None and same_model(model.name, current)
        return not is_current, not model.name.casefold().startswith(wanted)

    return sorted(found, key=rank)[:MAX_CHOICES]


def choice_value(model: Model) -> str:
    """Return what a suggestion stands for: the name, or where Discord does not take one so long, a mark for it."""
    if len(model.name) <= MAX_CHOICE_LENGTH:
        return model.name
    return f"#{hashlib.sha256(canonical_name(model.name).encode()).hexdigest()[:24]}"


def picked(models: Iterable[Model], value: str) -> Model | None:
    """Return who of *models* is meant by a name that somebody wrote, or by a suggestion's value."""
    wanted = value.strip()
    return next((m for m in models if same_model(m.name, wanted) or choice_value(m) == wanted), None)


def choice_label(model: Model, current: str | None) -> str:
    """Return how a suggestion is shown, at most `MAX_CHOICE_LENGTH` code points.

    Of a long name both ends stay: names that differ often do so in their tag.
    """
    facts = [model.parameter_size, model.quantization, _disk(model)]
    if current is not None and same_model(model.name, current):
        facts.append("current")
    name = plain(model.name, WHOLE_NAME_LENGTH)
    if len(name) > _NAME_LENGTH:
        name = f"{name[:30]}…{name[31 - _NAME_LENGTH :]}"
    return plain(_joined([name, *facts]), MAX_CHOICE_LENGTH) or "?"


def similar(name: str, models: Iterable[Model]) -> list[str]:
    """Return up to three names of *models* that somebody who wrote *name* may have meant."""
    wanted = name.strip().casefold()
    names = {model.name.casefold(): model.name for model in models}
    inside = [key for key in names if wanted and (wanted in key or key.split(":")[0] in wanted)]
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    return [names[key] for key in dict.fromkeys([*inside, *close])][:3]


def not_installed(name: str, models: Sequence[Model]) -> str:
    """Return the sentence for a model that is not there: what was meant, or what there is."""
    able = [model for model in models if model.can_complete]
    offered = similar(name, able)
    if offered:
        hint = f"Did you mean {' or '.join(map(code, offered))}?"
    elif able:
        hint = f"Installed: {', '.join(code(model.name) for model in able[:10])}."
    else:
        hint = "No model that can answer is installed."
    pull = code(f"ollama pull {name}", _NAME_LENGTH + 12)
    return f"The model {code(name)} is not installed. {hint} Whoever hosts me can install it with {pull}."


def cannot_answer(model: Model) -> str:
    """Return the sentence for a model that does something else than answering."""
    what = abilities(model.capabilities) or "embedding"
    return f"{code(model.name)} cannot answer questions (it does: {what}). Choose one that can chat; see `/model list`."


def _count(models: int) -> str:
    return f"{models:,} model{'s' if models != 1 else ''}"


def _list_line(model: Model, *, is_current: bool) -> str:
    can = abilities(model.capabilities) or ("" if model.can_complete else "embedding")
    facts = _joined([model.parameter_size, model.quantization, _disk(model), can])
    mark = " ← **answers here**" if is_current else ""
    return f"- {code(model.name)}{' · ' if facts else ''}{_shown(facts)}{mark}"


def _disk(model: Model) -> str:
    if model.is_remote:
        return "cloud"
    return size(model.size) if model.size else ""


def _joined(facts: Iterable[str]) -> str:
    return " · ".join(short for fact in facts if (short := plain(fact, MAX_CHOICE_LENGTH)))


def _shown(fact: str) -> str:
    r"""Return *fact* without anything that Discord would render; figures and words need no backslash."""
    return "".join("\\" + char if char in "\\*_~|`<>[]#@" else char for char in fact)[:400]


def _window(trained: int | None, num_ctx: int) -> str:
    made_for = f"made for {trained:,} tokens, " if trained else ""
    return f"{made_for}asked with {num_ctx:,}"


def _loaded(running: RunningModel | None) -> str:
    if running is None:
        return "no, the first answer takes longer"
    facts = ["yes"]
    if running.size:
        facts.append(f"{size(running.size)} of memory")
    if running.gpu_share is not None:
        facts.append(f"{running.gpu_share:.0%} on the GPU")
    if running.context_length:
        facts.append(f"window {running.context_length:,}")
    if running.stays_loaded:
        facts.append("stays loaded")
    return ", ".join(facts)
