"""Writing on the page: commands, names, lengths, and what happens to a text that cannot be sent."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from bot.playground.loopback.seed import ADA_ID, BOT_ID, GRACE_ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

COMMANDS = [
    {"name": "model", "description": "Models", "options": [
        {"type": 1, "name": "list", "description": "Which there are"},
        {"type": 1, "name": "status", "description": "Which is used"},
    ]},
    {"name": "stop", "description": "Stop"},
    {"name": "ask", "description": "One question", "options": [
        {"type": 3, "name": "prompt", "required": True,
         "description": "Your question; I answer it without what was said before"},
        {"type": 3, "name": "model", "description": "Who answers; left out, the model of this channel"},
    ]},
    {"name": "best", "description": "Best"},
]  # fmt: skip


@pytest.fixture
def commands(playground):
    playground.world.command_rules.overwrite("", COMMANDS)
    yield
    playground.world.command_rules.overwrite("", [])


async def test_the_picker_puts_first_what_begins_as_typed(view, commands):
    await expect_commands(view)
    await view.composer.press_sequentially("/st")
    options = view.page.get_by_role("option")
    await expect(options.locator("b")).to_have_text(["/stop", "/model status", "/best", "/model list"])


async def expect_commands(view):
    """Wait until the page knows the commands."""
    await view.page.reload()
    await view.composer.fill("/")
    await expect(view.page.get_by_role("option", name="/stop")).to_be_visible()
    await view.composer.fill("")


async def test_commands_that_come_while_one_types_are_offered(view):
    await view.composer.press_sequentially("/st")
    view.playground.world.command_rules.overwrite("", COMMANDS)
    await expect(view.page.get_by_role("option", name="/stop")).to_be_visible()
    view.playground.world.command_rules.overwrite("", [])
    await expect(view.page.get_by_role("option")).to_have_count(0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/nothing of the sort", "There is no command /nothing."),
        ("/model please", "/model needs a second word: /model list or /model status."),
    ],
)
async def test_a_command_that_is_none_is_told_and_not_sent(view, commands, line, told):
    await expect_commands(view)
    await view.write(line)
    await expect(view.page.locator(".toast")).to_contain_text(told)
    await expect(view.composer).to_have_value(line)
    await expect(view.messages).to_have_count(0)


async def test_before_any_bot_came_a_command_is_told_so(view):
    await view.write("/help")
    await expect(view.page.locator(".toast")).to_contain_text("no bot has registered any yet")


@pytest.mark.parametrize("width", [1920, 1280, 390])
async def test_a_commands_form_keeps_its_buttons_beside_its_name(view, commands, width):
    await expect_commands(view)
    await view.page.set_viewport_size({"width": width, "height": 720})
    await view.composer.press_sequentially("/ask ")
    form = view.page.locator(".command-form")
    box = await form.bounding_box()
    name = await form.locator(".command-name").bounding_box()
    run = await view.page.get_by_role("button", name="Run the command").bounding_box()
    cancel = await view.page.get_by_role("button", name="Cancel the command").bounding_box()
    assert run["y"] == cancel["y"] < name["y"] + name["height"]
    assert box["x"] + box["width"] - 12 < cancel["x"] + cancel["width"] <= box["x"] + box["width"]
    if width > 720:
        cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth).map(node => node.name)"
        assert await form.locator("input").evaluate_all(cut) == []


async def test_a_path_is_no_command(view):
    await view.write("/usr/bin/env is what?")
    await expect(view.messages).to_have_count(1)


async def test_a_message_is_edited_with_names_and_saved_with_mentions(view):
    sent = view.say(f"<@{BOT_ID}> tell <@{GRACE_ID}> about <#{view.channel['id']}> and `<@{BOT_ID}>`")
    await expect(view.messages).to_have_count(1)
    await view.composer.press("ArrowUp")
    editor = view.page.get_by_role("textbox", name="Edit message")
    await expect(editor).to_have_value(f"@Burble tell @Grace about #{view.channel['name']} and `<@{BOT_ID}>`")
    await editor.press("End")
    await editor.press_sequentially(" `@Burble` now")
    await editor.press("Enter")
    await expect(view.messages.first.locator(".edited")).to_be_visible()
    saved = view.playground.world.message(view.channel["id"], sent["id"])["content"]
    assert saved == (
        f"<@{BOT_ID}> tell <@{GRACE_ID}> about <#{view.channel['id']}> and `<@{BOT_ID}>` `@Burble` now"
    )  # fmt: skip


async def test_an_edit_without_a_change_changes_nothing(view):
    view.say(f"<@{BOT_ID}> hi")
    await expect(view.messages).to_have_count(1)
    await view.composer.press("ArrowUp")
    await view.page.get_by_role("textbox", name="Edit message").press("Enter")
    await expect(view.composer).to_be_focused()
    await expect(view.messages.first.locator(".edited")).to_have_count(0)


async def test_an_edit_that_is_too_long_is_told_and_kept(view):
    view.say("short")
    await expect(view.messages).to_have_count(1)
    await view.composer.press("ArrowUp")
    editor = view.page.get_by_role("textbox", name="Edit message")
    await editor.fill("x" * 2002)
    await editor.press("Enter")
    await expect(view.page.locator(".toast")).to_have_text("2 characters too long. Nothing was saved.")
    await expect(editor).to_have_value("x" * 2002)


async def test_a_text_that_is_too_long_says_by_how_much_and_stays(view):
    await view.composer.fill("x" * 2003)
    await expect(view.page.locator("#counter")).to_have_text("3 characters too long")
    await view.composer.press("Enter")
    await expect(view.page.locator(".toast")).to_have_text("3 characters too long. Nothing was sent.")
    await expect(view.composer).to_have_value("x" * 2003)


SCROLL_AND_TYPE = """text => {
    document.getElementById('scroller').scrollTop -= 5;
    const area = document.getElementById('composer-text');
    area.value = text;
    area.dispatchEvent(new Event('input'));
}"""


async def test_a_composer_that_grows_leaves_the_reader_at_the_end(view):
    for number in range(40):
        view.say(f"line {number}\nsecond", ADA_ID)
    await expect(view.messages).to_have_count(40)
    jump = view.page.get_by_role("button", name="Jump to present")
    for text in ("x\n" * 40, "short", "y" * 3000, "z\n" * 10, ""):
        # As in the middle of an answer: the list has just followed it when the composer grows.
        await view.page.evaluate(SCROLL_AND_TYPE, text)
        await view.page.wait_for_timeout(60)
        assert not await jump.is_visible()
    distance = "(s => s.scrollHeight - s.scrollTop - s.clientHeight)(document.getElementById('scroller'))"
    assert await view.page.evaluate(distance) < 3
