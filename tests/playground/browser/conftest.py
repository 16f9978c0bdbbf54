"""Chromium, and a playground with the real bot in its own process; one of each per module."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest_asyncio
from playwright.async_api import async_playwright, expect

from bot.playground.app import PlaygroundOptions, open_playground
from bot.playground.loopback.seed import ADA_ID

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_names = itertools.count(1)


class View:
    """One tab: the page, and what people do in it."""

    def __init__(self, page, playground, channel):
        self.page = page
        self.playground = playground
        self.channel = channel
        self.errors = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)

    @property
    def composer(self):
        return self.page.get_by_role("combobox", name="Message")

    @property
    def messages(self):
        return self.page.locator("li.message")

    @property
    def replies(self):
        return self.messages.filter(has=self.page.locator(".app-tag, .avatar.bot"))

    async def open(self):
        await self.page.goto(f"{self.playground.url}#{self.channel['id']}")
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(self.channel["name"])

    async def write(self, text):
        await self.composer.fill(text)
        await self.composer.press("Enter")

    async def ask(self, text):
        await self.composer.press_sequentially("@b")
        await self.composer.press("Tab")
        await self.composer.press_sequentially(text)
        await self.composer.press("Enter")

    def say(self, text, user=ADA_ID):
        """Write as somebody at another client."""
        return self.playground.world.send(user, self.channel["id"], text)


@contextlib.asynccontextmanager
async def opened(tmp_path_factory, *, with_bot, ollama=None):
    options = PlaygroundOptions(
        port=0,
        data_dir=tmp_path_factory.mktemp("playground"),
        no_browser=True,
        no_bot=not with_bot,
        stand_in=ollama is None,
        ollama_host=ollama,
        speed=60,
    )
    async with open_playground(options) as playground:
        running = asyncio.create_task(playground.bot.run()) if playground.bot else None
        if running:
            await playground.discord.wait_online(20)
            async with asyncio.timeout(20):
                while not playground.world.commands:  # noqa: ASYNC110 - another process's doing
                    await asyncio.sleep(0.02)
        yield playground
        if running:
            playground.bot.stop()
            await running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium):
    async with async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playground(request, tmp_path_factory):
    async with opened(tmp_path_factory, with_bot=getattr(request.module, "WITH_BOT", False)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def view(browser, playground):
    """A tab in a channel of its own; whatever the page logs as an error fails the test."""
    channel = playground.world.create_channel(f"room-{next(_names)}")
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    context.set_default_timeout(8000)
    tab = View(await context.new_page(), playground, channel)
    await tab.open()
    yield tab
    await context.close()
    assert tab.errors == []
