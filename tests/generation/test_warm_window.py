"""The window stays warm: what is sent grows at its end only, until it is full and its beginning moves once."""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.conversation.records import PromptKind
from bot.errors import PromptTooLong
from bot.generation.opening import LABELS_NOTE
from tests.generation.talking import CHANNEL, MODEL, Talk, talking
from tests.scripted_ollama import ScriptedOllama, status

Messages = list[dict[str, Any]]

WORDS = "the quick brown fox jumps over lazy dogs while engineers discuss integration and weather in seven towns"


def letters(text: str) -> int:
    return -(-len(text) // 4)


def octets(text: str) -> int:
    return -(-len(text.encode()) // 3)


def words(text: str) -> int:
    return len(text.split())


def prompt_tokens(messages: Messages, tokenizer: Callable[[str], int] = letters) -> int:
    return 12 + sum(5 + tokenizer(message["content"]) for message in messages)


def counting(tokenizer: Callable[[str], int] = letters) -> Callable[[dict[str, Any]], int]:
    """Count the way a server with this *tokenizer* does, templates included."""
    return lambda body: prompt_tokens(body.get("messages") or [{"content": body["prompt"]}], tokenizer)


def prose(rng: random.Random, tokens: int) -> str:
    """Some sentences of *tokens* tokens, for a tokenizer of four letters each."""
    start = rng.randrange(len(WORDS))
    return (WORDS[start:] + " " + f"{WORDS} " * (tokens // 20 + 1))[: 4 * tokens].strip()


def is_grown(before: Messages, after: Messages) -> bool:
    """Whether *after* begins with all of *before* but its prompt, which may be left out or stand there too."""
    kept = before[:-1]
    return after[: len(kept)] == kept


def reads_anew(before: Messages, after: Messages) -> int:
    """Tokens of *after* behind the beginning that both have in common, without the answer that the model knows."""
    common = next((i for i, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), len(before))
    is_appended = common == len(before) and after[common]["role"] == "assistant"
    return prompt_tokens(after[common + is_appended :]) - 12


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as server:
        yield server


@pytest.fixture
async def talk(tmp_path: Path, server: ScriptedOllama) -> AsyncIterator[Talk]:
    async with talking(tmp_path, server, num_ctx=2048) as talk:
        yield talk


async def conversation(
    folder: Path, server: ScriptedOllama, turns: int, *, num_ctx: int = 2048, restart_every: int = 10**6, **options: Any
) -> list[Messages]:
    """Have *turns* turns of about 400 tokens (in a smaller window a twentieth); return each request."""
    rng = random.Random(3)
    size = min(400, num_ctx // 20)
    sent: list[Messages] = []
    while len(sent) < turns:
        async with talking(folder, server, num_ctx=num_ctx) as talk:
            for _ in range(min(restart_every, turns - len(sent))):
                asked = rng.randint(size // 20, size // 2)
                reply = prose(rng, max(size - asked + rng.randint(-size // 4, size // 4), 1))
                user = rng.randint(1, 3)
                sent.append(
                    await talk.ask(
                        100 + len(sent),
                        prose(rng, asked),
                        reply=reply,
                        user=user,
                        name="Ada" if user < 3 else "ada",
                        count=counting(),
                        **options,
                    )
                )
    return sent


def moves_of(sent: list[Messages]) -> list[int]:
    return [index for index in range(1, len(sent)) if not is_grown(sent[index - 1], sent[index])]


async def test_at_most_a_fifth_is_read_anew_and_the_room_is_used(tmp_path: Path, server: ScriptedOllama) -> None:
    sent = await conversation(tmp_path, server, 130, num_ctx=8192)
    first = moves_of(sent)[0]
    sizes = [prompt_tokens(messages) for messages in sent[first:]]
    assert len(sizes) >= 100
    anew = sum(reads_anew(one, two) for one, two in zip(sent[first - 1 :], sent[first:], strict=False))
    assert anew <= 0.2 * sum(sizes)
    assert sum(sizes) / len(sizes) >= 0.7 * (8192 - 2048)
    assert max(sizes) <= 8192 - 2048


async def test_a_restart_changes_not_a_byte(tmp_path: Path, server: ScriptedOllama) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    whole = await conversation(tmp_path / "one", server, 60)
    assert moves_of(whole)
    assert await conversation(tmp_path / "other", server, 60, restart_every=1) == whole


async def test_after_a_move_the_beginning_stays_for_many_turns(tmp_path: Path, server: ScriptedOllama) -> None:
    moves = moves_of(await conversation(tmp_path, server, 80))
    assert len(moves) >= 2
    assert min(two - one for one, two in itertools.pairwise(moves)) >= 3


texts = st.text(alphabet="ab cdefghij  \n0123456789{}字🎉", min_size=1, max_size=400)


@st.composite
def turns(draw: st.DrawFn) -> tuple[str, str, int]:
    return draw(texts), draw(texts) * draw(st.integers(1, 4)), draw(st.integers(1, 3))


@given(st.lists(turns(), min_size=8, max_size=30), st.sampled_from([letters, octets, words]), st.integers(0, 30))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_requests_grow_at_their_end_unless_full_and_always_fit(
    said: list[tuple[str, str, int]], tokenizer: Callable[[str], int], restart_at: int
) -> None:
    async def have() -> None:
        before: Messages = []
        with tempfile.TemporaryDirectory() as folder:
            async with ScriptedOllama() as server:
                for part in (said[:restart_at], said[restart_at:]):
                    async with talking(Path(folder), server, num_ctx=1600) as talk:
                        for asked, reply, user in part:
                            now = await talk.ask(
                                100 + len(server.chats), asked, reply=reply, user=user, count=counting(tokenizer)
                            )
                            assert prompt_tokens(now, tokenizer) <= 1600
                            if before and not is_grown(before, now):
                                full = prompt_tokens([*before, *now[-2:]], tokenizer)
                                assert full > 1200 * 0.5  # it was no early move
                                assert now[1:-2] == [] or now[1] in before[2:]
                            before = now

    asyncio.run(have())


async def test_somebody_elses_talk_does_not_move_a_full_window(talk: Talk) -> None:
    rng = random.Random(1)
    before: Messages = []
    for index in range(14):
        before = await talk.ask(100 + index, prose(rng, 10), reply=prose(rng, 60), count=counting())
        for other in range(3):  # a channel full of what takes many tokens
            digits = "1234567890" * 30
            await talk.ask(1000 + 10 * index + other, digits, reply="Yes", channel=99, count=counting(len))
    after = await talk.ask(200, "And?", count=counting())
    assert is_grown(before, after)
    assert prompt_tokens(after) > 1100


@pytest.mark.parametrize("told", ["nothing", "what is new", "a half", "nonsense"])
async def test_counts_that_are_none_of_the_whole_never_overfill_the_window(
    tmp_path: Path, server: ScriptedOllama, told: str
) -> None:
    rng = random.Random(5)
    before: Messages = []

    def count(body: dict[str, Any]) -> int | None:
        whole = prompt_tokens(body["messages"])
        new = prompt_tokens(body["messages"][-2:])
        return {"nothing": None, "what is new": new, "a half": whole // 2 if len(before) % 3 else whole, "nonsense": 1}[
            told
        ]

    async with talking(tmp_path, server, num_ctx=2048) as talk:
        for index in range(40):
            before = await talk.ask(100 + index, prose(rng, 30), reply=prose(rng, 90), count=count)
            assert prompt_tokens(before) <= 2048


async def test_another_model_begins_a_window_and_the_first_goes_on_where_it_was(talk: Talk) -> None:
    first = await talk.ask(100, "One", count=counting())
    second = await talk.ask(101, "Two", model="qwen3:8b", count=counting())
    third = await talk.ask(102, "Three", count=counting())
    assert is_grown(first, second)
    assert is_grown(second, third)


async def test_a_reset_begins_a_window_that_grows(talk: Talk) -> None:
    await talk.ask(100, "One", count=counting())
    await talk.store.reset(CHANNEL, at_message_id=100)
    second = await talk.ask(101, "Two", count=counting())
    third = await talk.ask(102, "Three", count=counting())
    assert [m["content"] for m in second[1:]] == ["⟦Ada⟧ Two"]
    assert is_grown(second, third)


async def test_asked_again_the_same_is_sent(tmp_path: Path, server: ScriptedOllama) -> None:
    sent = await conversation(tmp_path, server, 40)
    first_after_move = moves_of(sent)[-1]
    (tmp_path / "again").mkdir()
    again = await conversation(tmp_path / "again", server, first_after_move)
    assert again == sent[:first_after_move]
    async with talking(tmp_path / "again", server, num_ctx=2048) as talk:
        prompt = talk.prompt(100 + first_after_move, "Well?")
        requests = [await talk.requests.build(prompt, MODEL) for _ in range(3)]
        assert requests[0].fitted.messages == requests[1].fitted.messages == requests[2].fitted.messages
        resumed = talk.requests.resume(requests[2], "Half an answer " * 20, has_thought=False)
        assert resumed is not None
        assert resumed.fitted.messages[:-1] == requests[2].fitted.messages
        assert (await talk.requests.build(prompt, MODEL)).fitted.messages == requests[0].fitted.messages


async def test_beginning_scale_and_ratios_stand_in_the_database(tmp_path: Path, server: ScriptedOllama) -> None:
    sent = await conversation(tmp_path, server, 40)
    oldest = sent[-1][1]["content"].partition("⟧ ")[2]
    with closing(sqlite3.connect(tmp_path / "burble.db")) as database:
        [(channel, model, begins_at, scale, counted_at)] = database.execute("SELECT * FROM context_window").fetchall()
        [(parts,)] = database.execute("SELECT parts FROM prompt WHERE message_id = ?", (begins_at,)).fetchall()
        [(ratios,)] = database.execute("SELECT value FROM setting WHERE key = 'tokens:llama3.2:latest'").fetchall()
    assert (channel, model, counted_at) == (CHANNEL, "llama3.2:latest", 139)
    assert oldest in parts
    assert 0.4 < scale < 1
    assert all(0.4 < float(ratio) <= 1.05 for ratio in ratios.split())


# What the server adds by itself


def served(added: Messages) -> Callable[[dict[str, Any]], int]:
    """Count as a server does whose model has these messages in its Modelfile."""

    def count(body: dict[str, Any]) -> int:
        own = [m for m in added if m["role"] == "system"]
        messages = body["messages"]
        first = own if messages[0]["role"] != "system" else []
        return prompt_tokens([*first, *(m for m in added if m["role"] != "system"), *messages], letters)

    return count


@pytest.mark.parametrize("guild", [7, None], ids=["server", "dm"])
@pytest.mark.parametrize("examples", [False, True], ids=["system", "system and messages"])
async def test_what_the_modelfile_adds_is_counted(
    tmp_path: Path, server: ScriptedOllama, guild: int | None, examples: bool
) -> None:
    rng = random.Random(7)
    added = [{"role": "system", "content": prose(rng, 300)}]
    if examples:
        added += [{"role": "user", "content": prose(rng, 50)}, {"role": "assistant", "content": prose(rng, 50)}]
    details = {"system": added[0]["content"], "messages": added[1:], "capabilities": ["completion"], "details": {}}
    server.details = {"persona": details, "persona:latest": details}
    server.models[0] |= {"name": "persona:latest", "model": "persona:latest"}
    before: Messages = []
    async with talking(tmp_path, server, num_ctx=4096) as talk:
        for index in range(12):
            model = ("persona", "persona:latest")[index % 2]
            now = await talk.ask(
                100 + index, prose(rng, 20), reply=prose(rng, 50), guild=guild, model=model, count=served(added)
            )
            assert is_grown(before, now)
            before = now
        assert await talk.requests._models.scale("persona:latest") < 1  # as little as the text took
        long = await talk.ask(200, prose(rng, 1500), guild=guild, model="persona", count=served(added))
        assert served(added)({"messages": long}) <= 4096
    with closing(sqlite3.connect(tmp_path / "burble.db")) as database:
        assert database.execute("SELECT model FROM context_window").fetchall() == [("persona:latest",)]


@pytest.mark.parametrize("system_prompt", ["", "Be brief."])
async def test_a_model_with_messages_of_its_own_gets_our_words_in_the_first_users_message(
    tmp_path: Path, server: ScriptedOllama, system_prompt: str
) -> None:
    server.details[MODEL] = {
        "system": "You are a pirate.",
        "messages": [{"role": "user", "content": "Ahoy"}, {"role": "assistant", "content": "Aye"}],
        "details": {},
    }
    ours = "\n\n".join(filter(None, [system_prompt, LABELS_NOTE]))
    async with talking(tmp_path, server, system_prompt=system_prompt) as talk:
        first = await talk.ask(100, "Where?")
        assert first == [{"role": "user", "content": f"{ours}\n\n⟦Ada⟧ Where?"}]
        second = await talk.ask(101, "And now?")
        assert [m["role"] for m in second] == ["user", "assistant", "user"]
        assert is_grown(first, second)
        assert second[0] == first[0]
        assert second[2]["content"] == "⟦Ada⟧ And now?"
        [alone] = await talk.ask(102, "On its own?", kind=PromptKind.ASK)
        assert [m["role"] for m in alone.get("messages", [])] in ([], ["user"])


async def test_nothing_is_learned_where_it_is_not_known_what_the_server_adds(talk: Talk) -> None:
    talk.server.override("/api/show", status(500, {"error": "no"}))
    await talk.ask(100, "x " * 300, count=lambda body: 2000)
    _, window = await talk.store.windows.read(talk.prompt(100), MODEL)
    assert window.scale is None
    assert await talk.requests._models.scale(MODEL) == 1.0


async def test_a_prompt_that_does_not_fit_moves_nothing(talk: Talk) -> None:
    first = await talk.ask(100, "One", count=counting())
    with pytest.raises(PromptTooLong):
        await talk.ask(101, "12345" * 400, count=counting())
    assert is_grown(first, await talk.ask(102, "Two", count=counting()))


@pytest.mark.parametrize("examples", [False, True], ids=["system", "system and messages"])
async def test_a_server_that_is_slow_to_tell_of_a_model_after_a_restart_changes_nothing(
    tmp_path: Path, server: ScriptedOllama, examples: bool
) -> None:
    messages = [{"role": "user", "content": "Ahoy"}, {"role": "assistant", "content": "Aye"}]
    server.details[MODEL] = {"system": "You are a pirate.", "messages": messages if examples else [], "details": {}}
    async with talking(tmp_path, server) as talk:
        first = await talk.ask(100, "One", count=counting())
    server.override("/api/show", status(500, {"error": "no"}))
    async with talking(tmp_path, server) as talk:
        second = await talk.ask(101, "Two", count=counting())
    assert is_grown(first, second)
    assert len(second) == len(first) + 2
