"""The bot's replies, threads and conversations on the page: who may stop what, how it is named and previewed."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from bot.playground.loopback.seed import ADA_ID, BOT_ID, GRACE_ID, LINUS_ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


def running(view, prompt, user=ADA_ID, text="so far"):
    """Put a reply there as the bot does while it writes; return (prompt's id, reply's id)."""
    asked = view.say(f"<@{BOT_ID}> {prompt}", user)
    body = {"content": text, "message_reference": {"message_id": asked["id"]}}
    reply = view.playground.world.message_rules.create(BOT_ID, view.channel["id"], body)
    view.playground.world.react(BOT_ID, view.channel["id"], reply["id"], "⏹️")
    return asked["id"], reply["id"]


SCROLLABLE = """() => [document.documentElement, document.getElementById('stops')]
    .filter(node => node.scrollWidth > node.clientWidth || node.scrollHeight > node.clientHeight)
    .map(node => node.id)"""


def stops(view):
    return view.page.get_by_role("button", name="Stop the reply")


async def speak_as(view, name):
    await view.page.get_by_role("radio", name=name).click()
    await expect(view.page.get_by_role("radio", name=name)).to_have_attribute("aria-checked", "true")


async def test_replies_to_one_person_are_told_apart_and_no_stop_is_cut(view):
    for number in range(6):
        running(view, f"question number {number}, which is quite a long one")
    await expect(stops(view)).to_have_count(6)
    await expect(stops(view).nth(1)).to_have_text("Stop the reply to Adaquestion number 1, which is…")
    for width in (1440, 1280, 390):
        await view.page.set_viewport_size({"width": width, "height": 900})
        for number in range(6):
            await expect(stops(view).nth(number)).to_be_in_viewport(ratio=1)
        assert await view.page.evaluate(SCROLLABLE) == []


async def test_a_stop_is_offered_to_who_may_stop(view):
    running(view, "for Ada")
    mine = running(view, "for Linus", LINUS_ID)
    await speak_as(view, "Linus")
    await expect(stops(view)).to_have_count(1)
    await expect(stops(view)).to_contain_text("to Linus")
    await speak_as(view, "Grace")
    await expect(stops(view)).to_have_count(2)
    view.playground.world.unreact(BOT_ID, view.channel["id"], mine[1], "⏹️")
    await expect(stops(view)).to_have_count(1)


async def test_a_further_message_of_a_reply_belongs_to_its_asker(view):
    _, first = running(view, "something long")
    world = view.playground.world
    world.unreact(BOT_ID, view.channel["id"], first, "⏹️")
    further = world.message_rules.create(BOT_ID, view.channel["id"], {"content": "the second page"})
    world.react(BOT_ID, view.channel["id"], further["id"], "⏹️")
    await expect(stops(view)).to_contain_text("something long")
    await speak_as(view, "Linus")
    await expect(stops(view)).to_have_count(0)


async def test_who_may_not_stop_is_told_who_may(view):
    running(view, "for Ada")
    await speak_as(view, "Linus")
    await view.messages.last.get_by_role("button", name="Stop this reply").click()
    await expect(view.page.locator(".toast")).to_contain_text("Only Ada, or who can manage messages here")


async def test_the_keyboard_reaches_the_stop_from_the_composer(view):
    _, reply = running(view, "hello")
    await expect(stops(view)).to_be_visible()
    await view.composer.focus()
    await view.page.keyboard.press("Shift+Tab")
    await expect(stops(view)).to_be_focused()
    await view.page.keyboard.press("Enter")
    await expect(view.messages.last.get_by_role("button", name="Stop this reply (2 reactions)")).to_be_visible()
    assert ADA_ID in view.playground.world.message(view.channel["id"], reply)["reactions"][0]["user_ids"]


async def test_the_shortcut_stops_ones_own_reply_first(view):
    _, theirs = running(view, "for Grace", GRACE_ID)
    running(view, "for Ada")
    await expect(stops(view)).to_have_count(2)
    await view.page.keyboard.press("Control+.")
    await expect(view.messages.last.get_by_role("button", name="Stop this reply (2 reactions)")).to_be_visible()
    reactions = view.playground.world.message(view.channel["id"], theirs)["reactions"]
    assert reactions[0]["user_ids"] == [BOT_ID]


async def test_a_preview_shows_no_marks_and_no_secrets(view):
    said = view.say(
        "**there** is `code`, ||a secret|| and [a link](https://example.com)\n-# ⏹️ stopped by Ada", LINUS_ID
    )
    world = view.playground.world
    world.send(ADA_ID, view.channel["id"], "why?", reply_to=said["id"])
    preview = view.messages.last.locator(".reply-text")
    await expect(preview).to_have_text("there is code, (spoiler) and a link  stopped by Ada")
    await expect(preview.get_by_role("img", name="stop")).to_have_count(1)


async def test_a_thread_is_named_by_words_and_shows_what_it_began_with(view):
    view.say(f"<@{BOT_ID}> what are the **limits** that Discord sets for editing messages?")
    message = view.messages.first
    await message.hover()
    await message.get_by_role("button", name="More").click()
    await view.page.get_by_role("menuitem", name="Create thread").click()
    name = view.page.get_by_label("Name")
    await expect(name).to_have_value("what are the limits that Discord sets")
    assert await name.evaluate("node => node.value.slice(node.selectionStart, node.selectionEnd)") == (
        "what are the limits that Discord sets"
    )  # fmt: skip
    await view.page.keyboard.type("Limits")
    await view.page.keyboard.press("Enter")
    await expect(view.page.locator(".intro h2")).to_have_text("Limits")
    await expect(view.page.locator(".intro")).not_to_contain_text("Welcome")
    await expect(view.composer).to_be_focused()
    starter = view.messages.first
    await expect(starter.locator("strong")).to_have_text("limits")
    await expect(starter.locator(".author")).to_have_text("Ada")
    await starter.hover()
    await expect(starter.get_by_role("button", name="Edit")).to_have_count(0)


async def test_the_first_message_of_a_thread_follows_its_original(view):
    world = view.playground.world
    said = view.say("befroe", LINUS_ID)
    thread = world.create_thread(GRACE_ID, view.channel["id"], "typo", message_id=said["id"])
    await view.page.get_by_role("link", name="typo, thread").click()
    await expect(view.messages.first).to_contain_text("befroe")
    await expect(view.messages.first.locator(".author")).to_have_text("Linus")
    world.edit(LINUS_ID, view.channel["id"], said["id"], "before")
    await expect(view.messages.first).to_contain_text("before")
    world.delete_channel(thread["id"])


async def test_another_speaker_goes_on_in_their_own_conversation(view):
    world = view.playground.world
    world.send(GRACE_ID, world.open_dm(GRACE_ID)["id"], "Grace was here")
    await view.page.get_by_role("link", name="Burble, direct message").click()
    await expect(view.page.get_by_role("heading", level=1)).to_have_text("Burble")
    await speak_as(view, "Grace")
    await expect(view.page.get_by_role("heading", level=1)).to_have_text("Burble")
    await expect(view.messages.last).to_contain_text("Grace was here")


async def test_a_wide_block_of_code_scrolls_on_a_narrow_screen(view):
    await view.page.set_viewport_size({"width": 400, "height": 780})
    view.say("```\n" + "│".join(["column"] * 20) + "\nsecond\n```", LINUS_ID)
    block = view.messages.first.locator("pre")
    await expect(block).to_be_visible()
    height, wide = await block.evaluate("node => [node.clientHeight, node.scrollWidth > node.clientWidth]")
    assert wide
    assert height < 3.5 * 20
    assert await view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
