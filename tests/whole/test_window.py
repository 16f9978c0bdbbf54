"""The window's beginning: nothing but the conversation itself moves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.playground.loopback.seed import ADA_ID, GENERAL_ID, GRACE_ID, LINUS_ID
from tests.scripted_ollama import Reply, Step, cut, say, status, token
from tests.whole.stack import Stack, servers
from tests.whole.test_abuse import renamed

PERSONA = {
    "system": "You are a pirate.",
    "messages": [{"role": "user", "content": "Ahoy"}, {"role": "assistant", "content": "Aye"}],
    "model_info": {},
    "details": {},
}
REFUSED = '{"error":{"code":400,"message":"System message must be at the beginning.","type":"invalid_request_error"}}'


def strict(text: str) -> Step:
    """Answer as a template does that takes a system message at the very beginning only, behind the Modelfile's own."""

    async def play(reply: Reply) -> None:
        if any(message["role"] == "system" for message in reply.request.json["messages"]):
            await status(400, {"error": REFUSED}).play(reply)
            return
        await reply.line(reply.value(text, done=True, done_reason="stop"))
        await reply.wire(b"0\r\n\r\n")

    return Step(play, ends=True)


async def asked(stack: Stack, text: str, answer: str = "Yes.", **options: Any) -> list[dict[str, Any]]:
    """Ask and wait for the answer; return what the model got."""
    count = len(stack.ollama.chats)
    stack.ollama.enqueue(say(answer))
    stack.ask(text, **options)
    await stack.ollama.arrived(count + 1)
    await stack.idle()
    messages: list[dict[str, Any]] = stack.ollama.chats[count].json["messages"]
    return messages


def grows(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> bool:
    return after[: len(before)] == before


async def test_commands_restarts_and_namesakes_change_nothing_before_the_end(tmp_path: Path):
    async with servers(tmp_path) as stack:
        async with stack.running_bot():
            first = await asked(stack, "One")
            for path in (["help"], ["model", "list"], ["model", "show"]):
                stack.world.run_command(ADA_ID, GENERAL_ID, path, {})
            second = await asked(stack, "Two", user=LINUS_ID)
        async with stack.running_bot():
            with renamed(stack.world.state.members[GRACE_ID], "nick", "Ada"):
                third = await asked(stack, "Three", user=GRACE_ID)
            fourth = await asked(stack, "Four")
    assert grows(first, second)
    assert grows(second, third)
    assert grows(third, fourth)
    assert third[-1]["content"] == "⟦Ada (2)⟧ Three"
    assert fourth[-1]["content"] == "⟦Ada⟧ Four"


async def test_an_answer_that_was_resumed_or_asked_for_twice_moves_nothing(tmp_path: Path):
    async with servers(tmp_path) as stack, stack.running_bot():
        first = await asked(stack, "One")
        stack.ollama.enqueue([token("Half an "), cut()])
        stack.ollama.enqueue(say("answer."))
        stack.ask("Two")
        await stack.ollama.arrived(3)
        await stack.idle()
        second, resumed = (chat.json["messages"] for chat in stack.ollama.chats[1:])
        stack.ollama.enqueue(status(503, {"error": "server busy, please try again."}))
        third = await asked(stack, "Three")
        await stack.ollama.arrived(5)
        await stack.idle()
        again = stack.ollama.chats[4].json["messages"]
    assert grows(first, second)
    assert grows(second, resumed)
    assert grows(second, third)
    assert again == third


async def test_a_strict_template_behind_messages_of_a_modelfile_is_never_given_a_system_message(tmp_path: Path):
    async with servers(tmp_path, system_prompt="Be brief.") as stack, stack.running_bot():
        stack.ollama.details["llama3.2"] = PERSONA
        for count in (1, 2):
            stack.ollama.enqueue(strict("Aye."))
            stack.ask("Where to?")
            assert await stack.answered(count) == ["Aye."] * count
        first, second = (chat.json["messages"] for chat in stack.ollama.chats)
    assert grows(first, second)
    assert first[0]["content"].startswith("Be brief.\n\n")
    assert first[0]["content"].endswith("\n\n⟦Ada⟧ Where to?")
    assert second[2]["content"] == "⟦Ada⟧ Where to?"
