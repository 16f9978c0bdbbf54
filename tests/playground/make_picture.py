"""The README's moving picture: an answer that grows on the playground's page, and is stopped.

    python -m tests.playground.make_picture docs/answer.webp

Needs Chromium (named in CHROMIUM, or found) and Pillow (``pip install pillow``).
"""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
import tempfile
from os import environ
from pathlib import Path

from PIL import Image
from playwright.async_api import Page, async_playwright

from bot.playground.app import PlaygroundOptions, open_playground
from bot.playground.loopback.seed import ADA_ID, BOT_ID
from tests.playground.browser.conftest import ARGUMENTS

SIZE = {"width": 860, "height": 520}
FRAME_SECONDS = 0.2
MOST_BYTES = 2 * 2**20


async def film(page: Page, seconds: float, frames: list[bytes]) -> None:
    """Take a picture every `FRAME_SECONDS`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (now := loop.time()) < until:
        frames.append(await page.screenshot(type="png"))
        await asyncio.sleep(max(0.0, FRAME_SECONDS - (loop.time() - now)))


async def play() -> list[bytes]:
    """Ask for a list, watch it, ask for something long, and stop that."""
    frames: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder:
        options = PlaygroundOptions(port=0, data_dir=Path(folder), no_browser=True, stand_in=True, speed=45)
        async with open_playground(options) as playground, async_playwright() as driver:
            assert playground.bot is not None
            running = asyncio.create_task(playground.bot.run())
            await playground.discord.wait_online(20)
            channel = playground.world.create_channel("kitchen")
            program = environ.get("CHROMIUM") or shutil.which("chromium")
            browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
            page = await browser.new_page(viewport=SIZE, color_scheme="dark")
            await page.goto(f"{playground.url}#{channel['id']}")
            await page.wait_for_timeout(1500)
            playground.world.send(ADA_ID, channel["id"], f"<@{BOT_ID}> show me some code")
            await film(page, 9.5, frames)
            playground.world.send(ADA_ID, channel["id"], f"<@{BOT_ID}> and now something long, please")
            await film(page, 5.0, frames)
            last = playground.world.messages(channel["id"], ADA_ID)[-1]
            playground.world.react(ADA_ID, channel["id"], last["id"], "⏹️")
            await film(page, 2.5, frames)
            await browser.close()
            playground.bot.stop()
            await running
    return frames


def main(path: Path) -> None:
    """Write the picture to *path*; its ending names the format."""
    pictures = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in asyncio.run(play())]
    for quality in (80, 60, 45, 30):
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=int(FRAME_SECONDS * 1000), loop=0, quality=quality
        )
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {len(pictures)} frames, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
