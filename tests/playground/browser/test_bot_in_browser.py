"""The main job on the page: ask, watch, stop, choose a model, restart, go on; with the bot in its own process."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.async_api import expect

from bot.playground.standin.server import StandIn
from tests.playground.browser.conftest import View, opened

WITH_BOT = True

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


def reply_text(view):
    return view.replies.last.locator(".content")


async def test_an_answer_grows_and_ends(view):
    await view.ask("code")
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_be_visible()
    early = len(await reply_text(view).inner_text())
    await expect(view.replies.last).to_contain_text("stays as it is", timeout=20_000)
    assert early < len(await reply_text(view).inner_text())
    await expect(view.replies.last.locator("pre code[data-language=python]")).to_have_count(1)
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_have_count(0)
    await expect(view.replies.last).not_to_contain_text("▌")
    await expect(view.page.locator("#lag")).to_have_text(re.compile(r"^\d"))
    await expect(view.page.locator("#refused")).to_have_text("0")


async def test_clicking_the_stop_sign_stops(view):
    await view.ask("long 3000")
    stop = view.messages.get_by_role("button", name="Stop this reply")
    await stop.click()
    await expect(view.replies.last).to_contain_text("stopped by Ada")
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_have_count(0)
    text = await reply_text(view).inner_text()
    await view.page.wait_for_timeout(1500)
    assert await reply_text(view).inner_text() == text
    assert "I am a stand-in" in text


async def test_the_keyboard_stops_as_well(view):
    await view.ask("long 3000")
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_be_visible()
    await view.page.keyboard.press("Control+.")
    await expect(view.replies.last).to_contain_text("stopped by Ada")


async def test_a_model_is_chosen_with_the_slash_picker(view):
    await view.composer.press_sequentially("/model us")
    await expect(view.page.get_by_role("option", name="/model use")).to_be_visible()
    await view.composer.press("Enter")
    field = view.page.get_by_role("combobox", name="name")
    await field.press_sequentially("think")
    await view.page.get_by_role("option", name="stand-in-thinking").click()
    await view.page.keyboard.press("Enter")
    await expect(view.replies.last).to_contain_text("stand-in-thinking")
    await view.ask("hello")
    await expect(view.replies.last).to_contain_text("thinking")
    await expect(view.replies.last).to_contain_text("I heard you", timeout=20_000)


async def test_the_answer_to_a_command_counts_in_the_lag(view):
    def counted():
        return view.playground.control_panel.metrics()["lag"]["characters"]

    before = counted()
    await view.write("/ask a question with several words")
    await expect(view.replies.last).to_contain_text("every one of them arrived", timeout=20_000)
    assert counted() - before > 100
    await expect(view.page.locator("#legend")).to_contain_text(f"/ask in #{view.channel['name']}")


async def test_help_is_for_oneself_alone(view):
    await view.write("/help")
    await expect(view.replies.last).to_contain_text("Only you can see this")


async def test_a_reload_keeps_the_conversation_and_the_bot_remembers(view):
    await view.ask("my cat is called Schrödinger")
    await expect(view.replies.last).to_contain_text("every one of them arrived", timeout=20_000)
    await view.page.reload()
    await expect(view.messages).to_have_count(2)
    await view.ask("what did I say first?")
    await expect(view.replies.last).to_contain_text("I do remember", timeout=20_000)
    await expect(view.replies.last.locator("blockquote").first).to_contain_text("Schrödinger")


async def test_a_restart_in_the_middle_is_told_and_survived(view):
    await view.ask("long 3000")
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_be_visible()
    await view.page.get_by_role("button", name="Restart the bot").click()
    await expect(view.page.locator("#bot-state")).to_have_text("Restarting…")
    await expect(view.page.locator("#bot-detail")).to_have_text("Waiting up to 8 s for running replies.")
    await expect(view.messages.last).to_contain_text("shut down", timeout=20_000)
    await expect(view.page.locator("#bot-state")).to_have_text("Online", timeout=30_000)
    await expect(view.page.get_by_role("button", name="Stop the reply")).to_have_count(0)
    await view.ask("what did I say first?")
    await expect(view.replies.last).to_contain_text("I do remember", timeout=20_000)
    await expect(view.replies.last.locator("blockquote").first).to_contain_text("long 3000")


async def test_an_ollama_that_goes_away_is_missed_under_its_own_address(browser, tmp_path_factory):
    async with contextlib.AsyncExitStack() as ollama_side:
        ollama = await ollama_side.enter_async_context(StandIn(speed=5000))
        async with opened(tmp_path_factory, with_bot=True, ollama=ollama.url) as playground:
            page = await (await browser.new_context(viewport={"width": 1440, "height": 900})).new_page()
            view = View(page, playground, playground.world.create_channel("alone"))
            await view.open()
            await expect(page.locator("#model-note")).to_have_text(f"Ollama 0.32.9 at {ollama.url}")
            await view.composer.fill("/")
            await expect(page.get_by_role("option", name="/help")).to_be_visible()
            await view.write("/help")
            await expect(view.replies.last).to_contain_text("answers.")
            await ollama_side.aclose()
            await view.ask("anybody there?")
            sentence = "I cannot reach Ollama. Is it running?"
            await expect(view.replies.last).to_contain_text(sentence, timeout=30_000)
            await expect(page.locator("#model-source")).to_have_text("Ollama is not reachable")
            await expect(page.locator("#model-note")).to_contain_text(f"Nobody answered at {ollama.url}")
            await view.write("/help")
            await expect(view.replies.last).to_contain_text("Ollama is out of reach right now")
            await page.context.close()
