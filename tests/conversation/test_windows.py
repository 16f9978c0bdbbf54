from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.conversation.records import ContextWindow
from bot.parts import Quote, QuoteKind, Text
from tests.conversation.builders import CHANNEL, a_prompt

if TYPE_CHECKING:
    from bot.conversation.records import PromptRecord
    from bot.conversation.store import Store

MODEL = "m:latest"


async def window(store: Store, prompt: PromptRecord, model: str = MODEL) -> ContextWindow:
    return (await store.windows.read(prompt, model))[1]


async def test_a_window_is_kept_for_each_channel_and_model(store: Store) -> None:
    here, elsewhere = a_prompt(10, label="Ada"), a_prompt(11, channel_id=CHANNEL + 1, label="Ada")
    assert await window(store, here) == ContextWindow()
    await store.windows.fix(here, model=MODEL, begins_at=5)
    await store.windows.fix(here, model="other:latest", begins_at=6)
    await store.windows.learn(here, model=MODEL, scale=0.7)
    assert await window(store, here) == ContextWindow(5, 0.7, 10)
    assert await window(store, here, "other:latest") == ContextWindow(6)
    assert await window(store, elsewhere) == ContextWindow()


async def test_a_beginning_moves_forward_only_and_an_older_count_changes_nothing(store: Store) -> None:
    for message_id, begins_at in ((20, 15), (10, 5)):
        await store.windows.fix(a_prompt(message_id, label="Ada"), model=MODEL, begins_at=begins_at)
        await store.windows.learn(a_prompt(message_id), model=MODEL, scale=message_id / 10)
    assert await window(store, a_prompt(30)) == ContextWindow(15, 2.0, 20)


async def test_a_prompt_comes_back_as_it_was_sent(store: Store) -> None:
    quote = Quote(QuoteKind.REPLY, "Grace", "It rains.", 3)
    asked = a_prompt(10, parts=(quote, Text("Where?")))
    await store.add_prompt(asked)
    assert (await store.windows.read(asked, MODEL))[0] == asked
    sent = replace(asked, label="Ada (2)", parts=(replace(quote, text="It", is_cut=True), Text("Where?")))
    await store.windows.fix(sent, model=MODEL, begins_at=10)
    assert (await store.windows.read(asked, MODEL))[0] == sent
    store.erasure.note_deleted([3])
    await store.erasure.settle()
    await store.windows.fix(sent, model=MODEL, begins_at=10)  # as by a request that was being built meanwhile
    kept, _ = await store.windows.read(asked, MODEL)
    assert "It" not in str(kept.parts)
    assert kept.parts[1] == Text("Where?")
