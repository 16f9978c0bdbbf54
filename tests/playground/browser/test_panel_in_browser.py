"""The side panel, and what the page says when the playground goes away."""

from __future__ import annotations

import dataclasses
import time

import pytest
from playwright.async_api import expect

from bot.playground.app import PlaygroundOptions, open_playground
from bot.playground.loopback.rest import RequestRecord

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


async def test_without_a_bot_the_panel_says_what_ones_own_needs(view):
    await expect(view.page.locator("#bot-state")).to_have_text("Waiting for your bot")
    await expect(view.page.locator("#model-note")).to_contain_text("OLLAMA_HOST=http://127.0.0.1:")


async def test_an_open_log_is_in_view_and_its_lines_wrap(view):
    await view.page.set_viewport_size({"width": 1280, "height": 640})
    await view.page.locator("#log summary").click()
    log = view.page.locator("#bot-log")
    await expect(log).to_be_in_viewport(ratio=0.95)
    await log.evaluate("node => { node.textContent = 'a word '.repeat(90) + 'x'.repeat(900) }")
    assert await log.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert (await log.bounding_box())["width"] > 450


async def test_a_refusal_alarms_while_it_is_recent(view):
    tile, figure = view.page.locator(".tile", has=view.page.locator("#refused")), view.page.locator("#refused")
    await expect(figure).to_have_text("0")
    discord = view.playground.discord
    discord.log.append(RequestRecord(time.monotonic(), "PATCH", "/x", "/x", 429))
    discord.rest._limiter.refused += 1
    await expect(figure).to_have_text("1 / 1")
    await expect(tile).to_have_class("tile bad")


async def test_the_page_tells_a_stopped_playground_and_comes_back(browser, tmp_path):
    options = PlaygroundOptions(port=0, data_dir=tmp_path, no_browser=True, no_bot=True, stand_in=True)
    page = await (await browser.new_context()).new_page()
    async with open_playground(options) as playground:
        port = playground.discord.port
        await page.goto(playground.url)
        await expect(page.locator("#bot-state")).to_have_text("Waiting for your bot")
        await expect(page.locator("#connection-lost")).to_be_hidden()
    await expect(page.locator("#bot-state")).to_have_text("Playground stopped")
    await expect(page.locator("#connection-lost")).to_contain_text("The playground was stopped.")
    async with open_playground(dataclasses.replace(options, port=port)):
        await expect(page.locator("#bot-state")).to_have_text("Waiting for your bot", timeout=10_000)
        await expect(page.locator("#connection-lost")).to_be_hidden()
    await page.context.close()


FOCUS_ALL = """() => {
    const moved = [];
    for (const node of document.querySelectorAll('a, button, input, textarea, summary, [tabindex]')) {
        node.focus();
        node.scrollIntoView({ block: 'start' });
        if (document.scrollingElement.scrollTop) moved.push(node.outerHTML);
        document.scrollingElement.scrollTop = 0;
    }
    return moved;
}"""


async def test_no_click_and_no_focus_moves_the_page_from_under_its_header(view):
    await view.page.set_viewport_size({"width": 1280, "height": 720})
    for number in range(30):
        view.say(f"line {number}")
    await expect(view.messages).to_have_count(30)
    head = view.page.locator(".chat-head")
    await view.page.locator(".panel-body").evaluate("node => { node.scrollTop = node.scrollHeight }")
    leaking = view.page.get_by_text("Leaking")
    before = None
    while before != (before := await leaking.bounding_box()):  # the panel tells what the bot does at its start
        await view.page.wait_for_timeout(100)
    await leaking.click()
    assert await head.evaluate("node => node.getBoundingClientRect().top") == 0
    assert await leaking.bounding_box() == before
    await view.page.get_by_text("Fixed window").click()
    await view.page.locator("#log summary").click()
    assert await view.page.evaluate(FOCUS_ALL) == []
    await view.page.locator(".skip").focus()
    await view.page.keyboard.press("Enter")
    assert await head.evaluate("node => node.getBoundingClientRect().top") == 0


async def test_a_long_name_stays_off_the_buttons_and_within_the_legend(view):
    name = "long-name-" * 10
    channel = view.playground.world.create_channel(name.strip("-"))
    await view.page.set_viewport_size({"width": 1280, "height": 720})
    await view.page.goto(f"{view.playground.url}#{channel['id']}")
    title = view.page.get_by_role("heading", level=1)
    await expect(title).to_have_text(channel["name"])
    assert await right_end(title) <= (await view.page.locator("#toggle-theme").bounding_box())["x"]
    await expect(title).to_have_attribute("title", channel["name"])
    now = time.monotonic()
    route = "/channels/{channel_id}/messages/{message_id}"
    edit = RequestRecord(now, "PATCH", route, route, 200, channel_id=channel["id"])
    view.playground.discord.log.append(edit)
    entry = view.page.locator("#legend li", has_text=channel["name"])
    await expect(entry).to_be_visible()
    legend = view.page.locator("#legend")
    assert await legend.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert (await entry.locator("i").bounding_box())["width"] == 9


async def right_end(locator):
    box = await locator.bounding_box()
    return box["x"] + box["width"]


async def test_beside_an_open_log_the_figures_use_the_whole_panel(view):
    await view.page.set_viewport_size({"width": 1280, "height": 720})
    await view.page.locator("#log summary").click()
    await view.page.evaluate("Promise.all(document.getAnimations().map(each => each.finished))")
    end = await right_end(view.page.locator("#bot-log"))
    for last_of_its_row in (".tiles", "#limiter"):
        assert await right_end(view.page.locator(last_of_its_row)) == pytest.approx(end, abs=1)
    chart, tiles = await view.page.locator("#chart").bounding_box(), await view.page.locator(".tiles").bounding_box()
    assert chart["x"] + chart["width"] < tiles["x"]


async def test_a_channel_keeps_its_colour_while_others_come_and_go(view):
    earlier = view.playground.world.create_channel("earlier-here")
    later = view.playground.world.create_channel("later-here")
    route = "/channels/{channel_id}/messages/{message_id}"

    async def colour_of(channel):
        edit = RequestRecord(time.monotonic(), "PATCH", route, route, 200, channel_id=channel["id"])
        view.playground.discord.log.append(edit)
        mark = view.page.locator("#legend li", has_text=channel["name"]).locator("i")
        await expect(mark).to_be_visible()
        return await mark.get_attribute("class")

    before = await colour_of(later)
    assert await colour_of(earlier) != before
    assert await colour_of(later) == before
