"""What people do on the page, with mouse and keyboard, without a bot."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import expect

from bot.playground.loopback.seed import ADA_ID, BOT_ID, GRACE_ID, LINUS_ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


async def test_write_edit_and_delete(view):
    await view.write("hello **world**")
    message = view.messages.first
    await expect(message.locator("strong")).to_have_text("world")
    await view.composer.press("ArrowUp")
    editor = view.page.get_by_role("textbox", name="Edit message")
    await expect(editor).to_have_value("hello **world**")
    await editor.fill("goodbye")
    await editor.press("Enter")
    await expect(message.locator(".content")).to_contain_text("goodbye")
    await expect(message.locator(".edited")).to_have_text("(edited)")
    await message.hover()
    await message.get_by_role("button", name="Delete").click()
    await view.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(view.messages).to_have_count(0)


async def test_reply_and_jump_to_what_it_answers(view):
    original = view.say("the question", LINUS_ID)
    message = view.page.locator(f"#message-{original['id']}")
    await message.hover()
    await message.get_by_role("button", name="Reply").click()
    await expect(view.page.locator("#reply-bar")).to_contain_text("Replying to Linus")
    await view.write("the answer")
    answer = view.messages.last
    await expect(answer.locator(".reply-line")).to_contain_text("the question")
    await answer.get_by_role("button", name="In reply to Linus").click()
    await expect(message).to_be_focused()


async def test_a_message_is_forwarded_to_another_channel(view):
    original = view.say("the news", LINUS_ID)
    message = view.page.locator(f"#message-{original['id']}")
    await message.hover()
    await message.get_by_role("button", name="More").click()
    await view.page.get_by_role("menuitem", name="Forward").click()
    await view.page.get_by_role("menuitem", name=f"#{view.channel['name']}").click()
    await expect(view.messages.last.locator(".forwarded")).to_contain_text("the news")
    await expect(view.page.locator(".toast")).to_have_text(f"Forwarded to #{view.channel['name']}.")


async def test_a_post_is_begun_in_the_forum(view):
    await view.page.get_by_role("button", name="New post in help").click()
    await view.page.get_by_label("Title").fill("It does not start")
    await view.page.get_by_role("button", name="Create").click()
    await view.page.get_by_label("Message", exact=True).fill("What can I do?")
    await view.page.get_by_role("button", name="Create").click()
    await expect(view.page.get_by_role("heading", level=1)).to_have_text("It does not start")
    await expect(view.messages).to_have_count(1)
    await expect(view.messages.first).to_contain_text("What can I do?")


async def test_reactions_can_be_picked_and_clicked(view):
    sent = view.say("react to me", LINUS_ID)
    view.playground.world.react(GRACE_ID, view.channel["id"], sent["id"], "👍")
    message = view.messages.first
    thumb = message.get_by_role("button", name="Thumbs up, 1 reaction")
    await thumb.click()
    await expect(message.get_by_role("button", name="Thumbs up, 2 reactions")).to_have_attribute("aria-pressed", "true")
    await message.get_by_role("button", name="Thumbs up, 2 reactions").click()
    await expect(thumb).to_have_attribute("aria-pressed", "false")
    await message.hover()
    await message.get_by_role("button", name="Add reaction").click()
    await view.page.get_by_role("menuitem", name="Party").click()
    await expect(message.get_by_role("button", name="Party, 1 reaction")).to_be_visible()


ATTACKS = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "[click](javascript:window.hacked=1)",
    "[click](data:text/html,<script>window.hacked=1</script>)",
    "<javascript:window.hacked=1>",
    "**<svg onload=window.hacked=1>**",
    "```html\n<script>window.hacked = 1</script>\n```",
    '[a](https://example.com/"onmouseover="window.hacked=1)',
    "||<iframe srcdoc='<script>parent.hacked=1</script>'>||",
    "<t:99999999999999:R> <t:-9999999999999:F>",
    "> " * 40 + "deep",
    "*" * 500 + "a" + "_" * 500,
]


async def test_nothing_written_becomes_more_than_text(view):
    for text in ATTACKS:
        view.say(text, LINUS_ID)
    await expect(view.messages).to_have_count(len(ATTACKS))
    found = await view.page.locator("#messages").evaluate(
        """root => ({
            tags: root.querySelectorAll('script, img, iframe, object, style, link, .content svg').length,
            handlers: [...root.querySelectorAll('*')].flatMap(n => [...n.attributes])
                .filter(a => a.name.startsWith('on')).length,
            links: [...root.querySelectorAll('.content a')].map(a => a.protocol),
            hacked: window.hacked ?? null,
        })"""
    )
    assert (found["tags"], found["handlers"], found["hacked"]) == (0, 0, None)
    assert set(found["links"]) <= {"http:", "https:"}


MARKDOWN = [
    ("**b** *i* __u__ ~~s~~ ***bi***", "strong, em, u, s", 6),
    ("# one\n## two\n### three\n#### four", ".md-h1, .md-h2, .md-h3", 3),
    ("-# small print", "small.md-sub", 1),
    ("- a\n  - b\n    - c\n- d", "ul", 3),
    ("3. three\n4. four", "ol[start='3'] > li", 2),
    ("> one\n> two", "blockquote", 1),
    ("`a **b**` and ``c ` d``", "code.inline", 2),
    ("```py\nx = 1\n```", "pre code[data-language=py]", 1),
    ("text ```no fence", "pre", 0),
    ("~~~\nno fence\n~~~", "pre", 0),
    ("<https://example.com> https://example.com/a_b_c.", "a[rel~=noopener]", 2),
    ("[name](https://example.com/x_(y))", "a[href='https://example.com/x_(y)']", 1),
    ("snake_case_name and 2 * 3 * 4", "em", 0),
    ("\\*not\\* \\`code\\`", "em, code", 0),
    (f"<@{BOT_ID}> <#123> @everyone", ".mention", 3),
    ("- item\n  ```js\n  let a;\n  ```\n- next", "ul > li pre", 1),
    ("||hidden **bold**||", ".spoiler strong", 1),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "table", 0),
]


async def test_markdown_looks_as_discord_shows_it(view):
    for text, _, _ in MARKDOWN:
        view.say(text)
    await expect(view.messages).to_have_count(len(MARKDOWN))
    contents = view.messages.locator(".content")
    found = [
        (text, selector, await contents.nth(number).locator(selector).count())
        for number, (text, selector, _) in enumerate(MARKDOWN)
    ]
    assert found == MARKDOWN


async def test_a_spoiler_opens_by_keyboard_and_stays_open_over_an_edit(view):
    sent = view.say("||secret|| one", LINUS_ID)
    spoiler = view.messages.first.locator(".spoiler")
    await spoiler.focus()
    await spoiler.press("Enter")
    await expect(spoiler).to_have_attribute("aria-expanded", "true")
    view.playground.world.edit(LINUS_ID, view.channel["id"], sent["id"], "||secret|| one two")
    await expect(view.messages.first).to_contain_text("one two")
    await expect(spoiler).to_have_attribute("aria-expanded", "true")


async def test_a_relative_time_counts_by_itself(view):
    view.say(f"<t:{int(time.time()) + 3}:R>")
    stamp = view.messages.first.locator("time.timestamp")
    await expect(stamp).to_contain_text("in ")
    await expect(stamp).to_contain_text("ago", timeout=8000)


async def test_a_live_edit_touches_only_what_changed(view):
    sent = view.say("first paragraph\n```py\nx = 1\n```\ntail", LINUS_ID)
    await expect(view.messages).to_have_count(1)
    await view.page.evaluate("document.querySelector('.message pre').marked = true")
    for number in range(5):
        view.playground.world.edit(
            LINUS_ID, view.channel["id"], sent["id"], f"first paragraph\n```py\nx = 1\n```\ntail {number}"
        )
    await expect(view.messages.first).to_contain_text("tail 4")
    assert await view.page.evaluate("document.querySelector('.message pre').marked") is True


DISTANCE = """() => {
    const scroller = document.getElementById('scroller');
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
}"""


async def test_the_end_stays_in_view_unless_someone_reads_above(view):
    for number in range(40):
        view.say(f"line {number}\nsecond", LINUS_ID)
    sent = view.say("growing", LINUS_ID)
    await expect(view.messages).to_have_count(41)
    for lines in range(1, 8):
        view.playground.world.edit(LINUS_ID, view.channel["id"], sent["id"], "growing\n" * lines)
        await view.page.wait_for_timeout(40)
    assert await view.page.evaluate(DISTANCE) < 3
    await view.page.evaluate("document.getElementById('scroller').scrollTop = 100")
    await expect(view.page.get_by_role("button", name="Jump to present")).to_be_visible()
    view.playground.world.edit(LINUS_ID, view.channel["id"], sent["id"], "growing\n" * 30)
    await expect(view.messages.last).to_contain_text("growing\n" * 29)
    assert await view.page.evaluate("document.getElementById('scroller').scrollTop") == 100
    await view.page.get_by_role("button", name="Jump to present").click()
    assert await view.page.evaluate(DISTANCE) < 3


async def test_the_keyboard_alone_reaches_everything(view):
    view.say("from Linus", LINUS_ID)
    page = view.page
    await page.reload()
    await expect(view.messages).to_have_count(1)
    await page.keyboard.type("@b")
    await page.keyboard.press("Tab")
    await expect(view.composer).to_have_value("@Burble ")
    await page.keyboard.type("hi")
    await page.keyboard.press("Enter")
    await expect(view.messages).to_have_count(2)
    await page.keyboard.press("Shift+ArrowUp")
    await expect(view.messages.last).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(view.messages.first).to_be_focused()
    await page.keyboard.press("+")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Enter")
    await expect(view.messages.first.get_by_role("button", name="Thumbs up, 1 reaction")).to_be_visible()
    await view.messages.first.focus()
    await page.keyboard.press("r")
    await page.keyboard.type("an answer")
    await page.keyboard.press("Enter")
    await expect(view.messages.last.locator(".reply-line")).to_contain_text("from Linus")
    await page.keyboard.press("Alt+ArrowUp")
    await expect(page.get_by_role("heading", level=1)).not_to_have_text(view.channel["name"])


async def test_speaking_as_someone_else(view):
    await view.page.get_by_role("radio", name="Grace").click()
    await expect(view.page.get_by_role("radio", name="Grace")).to_have_attribute("aria-checked", "true")
    await view.write("I am Grace")
    await expect(view.messages.last.locator(".author")).to_have_text("Grace")
    await view.page.reload()
    await expect(view.page.get_by_role("radio", name="Grace")).to_have_attribute("aria-checked", "true")


async def test_the_counter_counts_code_points(view):
    counter = view.page.locator("#counter")
    await view.composer.fill("🎉" * 1799)
    await expect(counter).to_be_hidden()
    await view.composer.fill("🎉" * 1990)
    await expect(counter).to_have_text("10")
    await view.composer.fill("🎉" * 2001)
    await expect(counter).to_have_text("1 character too long")
    await expect(view.page.get_by_role("button", name="Send")).to_be_disabled()


async def test_ephemeral_answers_can_be_dismissed(view):
    extra = {"flags": 64, "viewer_id": ADA_ID}
    view.playground.world.message_rules.create_response(view.channel["id"], {"content": "just you"}, extra)
    await expect(view.messages.first).to_contain_text("Only you can see this")
    await view.page.get_by_role("button", name="Dismiss message").click()
    await expect(view.messages).to_have_count(0)


async def test_typing_threads_and_unread(view):
    world = view.playground.world
    world.typing(GRACE_ID, view.channel["id"])
    await expect(view.page.locator("#typing")).to_have_text("Grace is typing…")
    world.send(GRACE_ID, view.channel["id"], "done")
    await expect(view.page.locator("#typing")).to_have_text("")
    await view.messages.first.hover()
    await view.messages.first.get_by_role("button", name="More").click()
    await view.page.get_by_role("menuitem", name="Create thread").click()
    await view.page.get_by_label("Name").fill("a side talk")
    await view.page.get_by_role("button", name="Create").click()
    await expect(view.page.get_by_role("heading", level=1)).to_have_text("a side talk")
    world.send(GRACE_ID, view.channel["id"], "back here")
    link = view.page.get_by_role("link", name=f"{view.channel['name']}, channel, 1 unread")
    await expect(link).to_be_visible()
    await link.click()
    await expect(view.messages.last).to_contain_text("back here")


async def test_narrow_screens_hide_the_sides(view):
    await view.page.set_viewport_size({"width": 390, "height": 780})
    await expect(view.page.locator(".sidebar")).to_be_hidden()
    await view.page.get_by_role("button", name="Channels").click()
    await view.page.get_by_role("link", name="general, channel").click()
    await expect(view.page.get_by_role("heading", level=1)).to_have_text("general")
    await expect(view.page.locator(".sidebar")).to_be_hidden()
    assert await view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_drawer_takes_the_focus_and_gives_it_back(view):
    await view.page.set_viewport_size({"width": 390, "height": 780})
    toggle = view.page.get_by_role("button", name="Behind the scenes")
    await toggle.press("Enter")
    await expect(view.page.get_by_role("button", name="Close")).to_be_focused()
    await view.page.keyboard.press("Escape")
    await expect(toggle).to_be_focused()
    await expect(toggle).to_have_attribute("aria-expanded", "false")
    await expect(view.page.locator(".panel")).to_be_hidden()


async def test_light_and_dark(view):
    background = "() => getComputedStyle(document.querySelector('.chat')).backgroundColor"
    dark = await view.page.evaluate(background)
    await view.page.get_by_role("button", name="Switch to light").click()
    assert await view.page.evaluate(background) != dark
    await view.page.reload()
    await expect(view.page.get_by_role("button", name="Switch to dark")).to_be_visible()


async def test_everything_that_can_be_used_has_a_name(view):
    view.say("something", LINUS_ID)
    await expect(view.messages).to_have_count(1)
    unnamed = await view.page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, a')]
            .filter(n => n.offsetParent && !(n.getAttribute('aria-label') || n.textContent.trim() || n.labels?.length))
            .map(n => n.outerHTML)"""
    )
    assert unnamed == []
