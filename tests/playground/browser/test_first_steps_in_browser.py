"""The first minutes on the page: what to ask, how to mention, with keys alone, on a phone."""

from __future__ import annotations

import itertools

import pytest
from playwright.async_api import expect

from bot.playground.loopback.seed import ADA_ID, BOT_ID, GRACE_ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

MODEL = [
    {"name": "model", "description": "Models", "options": [
        {"type": 1, "name": "use", "description": "Choose", "options": [
            {"type": 3, "name": "name", "required": True, "autocomplete": True, "description": "The model's name"},
            {"type": 3, "name": "why", "autocomplete": True, "description": "A reason"},
        ]},
    ]},
]  # fmt: skip


def said(view):
    return [message["content"] for message in view.playground.world.messages(view.channel["id"], ADA_ID)]


async def test_an_empty_channel_offers_prompts_and_a_click_asks(view):
    await view.composer.fill("a draft")
    await view.page.get_by_role("button", name="What can you do?").click()
    await expect(view.messages).to_have_count(1)
    assert said(view) == [f"<@{BOT_ID}> What can you do?"]
    await expect(view.page.locator(".first-prompts")).to_be_hidden()
    await expect(view.composer).to_have_value("a draft")
    await expect(view.composer).to_be_focused()


async def test_in_a_direct_conversation_a_click_asks_without_a_mention(view):
    direct = view.playground.world.open_dm(ADA_ID)
    await view.page.goto(f"{view.playground.url}#{direct['id']}")
    await view.page.get_by_role("button", name="Show me some code").click()
    await expect(view.messages).to_have_count(1)
    assert view.playground.world.messages(direct["id"], ADA_ID)[0]["content"] == "Show me some code"


async def test_a_message_without_a_mention_gets_a_hint_with_a_click_that_adds_it(view):
    await view.write("Is anybody there?")
    nudge = view.page.locator("#nudge")
    await expect(nudge).to_contain_text("answers when it is mentioned")
    await nudge.get_by_role("button", name="Add @Burble").click()
    await expect(view.composer).to_have_value("@Burble Is anybody there?")
    await view.composer.press("Enter")
    await expect(view.messages).to_have_count(2)
    assert said(view)[-1] == f"<@{BOT_ID}> Is anybody there?"
    await expect(nudge).to_be_hidden()
    await view.write("and now without")  # who knows how to, is told no more
    await expect(view.messages).to_have_count(3)
    await expect(nudge).to_be_hidden()


async def test_who_speaks_is_each_tabs_own(view):
    other = await view.page.context.new_page()
    await other.goto(view.page.url)
    await other.get_by_role("radio", name="Grace").click()
    await expect(other.locator(f"[data-person='{GRACE_ID}']")).to_have_attribute("aria-checked", "true")
    await view.page.reload()
    await expect(view.page.locator(f"[data-person='{ADA_ID}']")).to_have_attribute("aria-checked", "true")
    await other.reload()
    await expect(other.locator(f"[data-person='{GRACE_ID}']")).to_have_attribute("aria-checked", "true")
    await other.close()


async def test_after_widening_the_page_nothing_jumps_to_a_present_that_is_in_view(view):
    await view.page.set_viewport_size({"width": 400, "height": 500})
    for number in range(6):
        view.say(f"{number} " + "many words that wrap " * 12)
    await expect(view.messages).to_have_count(6)
    jump = view.page.locator("#jump")
    await view.page.locator("#scroller").evaluate("node => { node.scrollTop = 0 }")
    await expect(jump).to_be_visible()
    await view.page.set_viewport_size({"width": 1440, "height": 1400})
    await expect(jump).to_be_hidden()


async def test_tab_reaches_the_newest_message_first_and_then_what_is_in_it(view):
    for number in range(5):
        view.say(f"line {number} https://example.org/{number}")
    await expect(view.messages).to_have_count(5)
    await view.page.locator("#toggle-panel").focus()
    await view.page.keyboard.press("Tab")
    await expect(view.messages.last).to_be_focused()
    await view.page.keyboard.press("ArrowUp")
    await expect(view.messages.nth(3)).to_be_focused()
    await view.page.keyboard.press("Tab")
    focused = await view.page.evaluate("document.activeElement.closest('.message')?.innerText ?? ''")
    assert "line 3" in focused
    await view.composer.focus()
    view.say("the newest")
    await expect(view.messages).to_have_count(6)
    await view.page.locator("#toggle-panel").focus()
    await view.page.keyboard.press("Tab")
    await expect(view.messages.last).to_be_focused()


async def test_a_field_with_nothing_to_choose_from_says_so(view):
    view.playground.world.command_rules.overwrite("", MODEL)
    try:
        await view.composer.fill("/")
        await expect(view.page.get_by_role("option", name="/model use")).to_be_visible()
        await view.composer.fill("/model use ")
        field = view.page.get_by_label("name: The model's name")
        await expect(field).to_be_focused()
        await expect(view.page.get_by_role("option")).to_be_visible()
        await field.press("ArrowDown")
        await field.press("Escape")
        await expect(view.page.get_by_role("option")).to_have_count(0)
    finally:
        view.playground.world.command_rules.overwrite("", [])


async def test_the_stop_names_the_question_as_it_reads_now(view):
    world = view.playground.world
    question = view.say(f"<@{BOT_ID}> Waht?")
    reply = world.send(BOT_ID, view.channel["id"], "Well", reply_to=question["id"])
    world.react(BOT_ID, view.channel["id"], reply["id"], "⏹️")
    stop = view.page.locator(".stop-button")
    await expect(stop).to_contain_text("Waht?")
    world.edit(ADA_ID, view.channel["id"], question["id"], f"<@{BOT_ID}> What?")
    await expect(stop).to_contain_text("What?")
    await expect(stop).to_have_attribute("title", "Stop (Ctrl+.): What?")


async def test_the_stop_of_a_further_message_names_its_own_question(view):
    world, channel = view.playground.world, view.channel["id"]
    world.send(BOT_ID, channel, "Page one", reply_to=view.say(f"<@{BOT_ID}> First?")["id"])
    waiting = world.send(BOT_ID, channel, "in line", reply_to=view.say(f"<@{BOT_ID}> Second?")["id"])
    world.react(BOT_ID, channel, waiting["id"], "⏹️")
    world.react(BOT_ID, channel, world.send(BOT_ID, channel, "Page two")["id"], "⏹️")
    stops = view.page.locator(".stop-button")
    await expect(stops).to_contain_text(["Second?", "First?"])


async def test_above_a_reply_stands_how_its_question_reads_now(view):
    world, channel = view.playground.world, view.channel["id"]
    question = view.say("Waht?")
    world.send(BOT_ID, channel, "Well", reply_to=question["id"])
    line = view.page.locator(".reply-line")
    await expect(line).to_contain_text("Waht?")
    world.edit(ADA_ID, channel, question["id"], "What?")
    await expect(line).to_contain_text("What?")
    world.delete(ADA_ID, channel, question["id"])
    await expect(line).to_have_text("Original message was deleted")


async def test_on_a_phone_suggestions_cover_nothing(view):
    await view.page.set_viewport_size({"width": 390, "height": 780})
    view.playground.world.command_rules.overwrite("", MODEL)
    try:
        view.say("the newest line")
        await expect(view.messages).to_have_count(1)
        await view.composer.fill("/")
        suggestions = view.page.locator(".completion:not([hidden])")
        await expect(suggestions).to_be_visible()
        boxes = [await each.bounding_box() for each in (view.messages.last, suggestions, view.composer)]
        for above, below in itertools.pairwise(boxes):
            assert above["y"] + above["height"] <= below["y"] + 1
    finally:
        view.playground.world.command_rules.overwrite("", [])
