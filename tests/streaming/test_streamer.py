"""The streamer against a simulated Discord: everything shown, in order, never refused, whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean

import pytest

from bot.errors import DeliveryForbidden, DeliveryRateLimited, DeliveryRetry, MessageGone
from bot.streaming.backoff import Backoff
from bot.streaming.bucket import Bucket, RateHeaders
from bot.streaming.budget import EditBudget
from bot.streaming.rate import GlobalRate
from bot.streaming.streamer import ReplyStreamer
from tests.streaming.simulated import LimiterKind, PlainPages, Request, Sent, SimulatedDiscord, SimulatedSink, words
from tests.streaming.virtual_time import in_virtual_time

KINDS = pytest.mark.parametrize("kind", ["fixed", "leaky"])


def now() -> float:
    return asyncio.get_running_loop().time()


class Play:
    """One reply in one channel: feed it, end it, look at it."""

    def __init__(
        self,
        discord: SimulatedDiscord | None = None,
        *,
        budget: EditBudget | None = None,
        channel: int = 1,
        page: int = 2000,
        max_messages: int = 50,
        give_up_after: float = 300.0,
    ) -> None:
        self.discord = discord or SimulatedDiscord()
        self.sink = SimulatedSink(self.discord, channel)
        self.streamer = ReplyStreamer(
            self.sink,
            PlainPages(page),
            budget or EditBudget(),
            max_messages=max_messages,
            give_up_after=give_up_after,
            backoff=Backoff(rng=random.Random(1)),
        )
        self.writer = asyncio.create_task(self.streamer.run())
        self.fed = 0

    async def talk(self, count: int, rate: float) -> None:
        """Feed *count* numbered words at *rate* per second."""
        for _ in range(count):
            self.streamer.feed(f"w{self.fed} ")
            self.fed += 1
            await asyncio.sleep(1 / rate)

    async def end(self, footer: str = "") -> float:
        """End the reply; return how many seconds it took until everything was shown."""
        ended_at = now()
        self.streamer.end(footer)
        await self.writer
        return now() - ended_at

    @property
    def everything(self) -> str:
        return " ".join(f"w{i}" for i in range(self.fed))

    def assert_all_shown(self) -> None:
        assert words(self.sink.messages) == self.everything
        assert not any("▌" in message for message in self.sink.messages)
        assert self.sink.most_under_way == 1, "one request in flight per reply"


def failing(times: int, make: Callable[[], Exception], *, which: str = "edit") -> Callable[[Request], Exception | None]:
    """Return a fault that hits the first *times* requests of a bucket."""
    left = [times]

    def fault(request: Request) -> Exception | None:
        if request.key[0] != which or not left[0]:  # type: ignore[index]
            return None
        left[0] -= 1
        return make()

    return fault


# ---------------------------------------------------------------- in normal operation


@KINDS
@pytest.mark.parametrize(("count", "rate"), [(1, 40), (20, 40), (600, 40), (60, 3), (4000, 150), (12, 0.5)])
@in_virtual_time
async def test_everything_is_shown_in_order_without_a_refusal(kind: LimiterKind, count: int, rate: float) -> None:
    play = Play(SimulatedDiscord(kind, jitter=0.03))
    await play.talk(count, rate)
    await play.end()
    play.assert_all_shown()
    assert play.discord.refused == 0


@KINDS
@in_virtual_time
async def test_fifty_channels_at_once_are_never_refused(kind: LimiterKind) -> None:
    discord, budget = SimulatedDiscord(kind, jitter=0.015), EditBudget()
    plays = [Play(discord, budget=budget, channel=i) for i in range(50)]

    async def run(play: Play) -> None:
        await play.talk(150, 30)
        assert await play.end() < 3.0
        play.assert_all_shown()

    await asyncio.gather(*(run(play) for play in plays))
    assert discord.refused == 0


@KINDS
@in_virtual_time
async def test_replies_after_each_other_in_one_channel_are_never_refused(kind: LimiterKind) -> None:
    discord, budget = SimulatedDiscord(kind), EditBudget()
    rng = random.Random(9)
    for _ in range(40):
        play = Play(discord, budget=budget)
        await play.talk(rng.randint(1, 120), 40)
        await play.end()
        play.assert_all_shown()
        await asyncio.sleep(rng.uniform(0, 3))
    assert discord.refused == 0


@KINDS
@in_virtual_time
async def test_the_first_text_is_posted_at_once(kind: LimiterKind) -> None:
    play = Play(SimulatedDiscord(kind))
    await asyncio.sleep(5)
    play.streamer.feed("Hello")
    await asyncio.sleep(0.05)
    assert play.sink.seen == [(5.04, 0, "Hello▌")]
    await play.end()


@in_virtual_time
async def test_a_slow_model_is_shown_word_by_word() -> None:
    play = Play(SimulatedDiscord("leaky"))
    await play.talk(8, 1.5)
    await play.end()
    assert len(play.sink.seen) >= 8


@KINDS
@pytest.mark.parametrize("rate", [3.0, 5.0, 7.0])
@in_virtual_time
async def test_the_edits_of_a_slow_model_go_when_a_word_has_come(kind: LimiterKind, rate: float) -> None:
    play = Play(SimulatedDiscord(kind))
    await play.talk(60, rate)
    await play.end()
    edits = [(at, text.count("w") - 1) for at, _, text in play.sink.seen]
    ages = [at - newest / rate for at, newest in edits[8:-1]]
    assert fmean(ages) < 0.04 + 0.1 / rate, "words that were there before the edit waited to no purpose"


@in_virtual_time
async def test_nothing_new_costs_no_edit() -> None:
    play = Play()
    play.streamer.feed("Hello")
    await asyncio.sleep(30)
    play.streamer.feed("   ")
    await asyncio.sleep(30)
    assert len(play.discord.requests) == 1
    await play.end()
    assert play.sink.messages == ["Hello"]


@in_virtual_time
async def test_a_burst_goes_in_one_edit() -> None:
    play = Play()
    for i in range(300):
        play.streamer.feed(f"w{i} ")
    play.fed = 300
    await play.end()
    play.assert_all_shown()
    assert len(play.discord.requests) <= 2


@in_virtual_time
async def test_a_further_message_does_not_wait_behind_edits() -> None:
    play = Play(SimulatedDiscord("fixed"), page=400)
    await play.talk(400, 100)
    posts = [request for request in play.discord.requests if request.key == ("post", 1)]
    await play.end()
    # a page holds some 80 words, 0.8 s of them
    gaps = [b.at - a.at for a, b in pairwise(posts)]
    assert len(posts) >= 4
    assert max(gaps) < 1.8


@in_virtual_time
async def test_no_edit_goes_just_before_a_page_ends() -> None:
    """It would be followed at once by one that shows the page's last words."""
    play = Play(SimulatedDiscord("fixed"))
    await play.talk(6000, 250)
    growing = [text for _, _, text in play.sink.seen if text.endswith("▌")]
    assert len(growing) >= 18
    assert not [text for text in growing if len(text) > 0.87 * 2000]
    await play.end()
    play.assert_all_shown()


@in_virtual_time
async def test_pages_are_complete_before_the_reply_ends() -> None:
    play = Play(SimulatedDiscord("leaky"), page=300)
    await play.talk(250, 20)
    first = [text for _, ordinal, text in play.sink.seen if ordinal == 0]
    assert not first[-1].endswith("▌")
    await play.end()
    play.assert_all_shown()


# ---------------------------------------------------------------- status, ending


@in_virtual_time
async def test_a_status_becomes_the_answer() -> None:
    play = Play()
    play.streamer.status("-# thinking")
    await asyncio.sleep(3)
    assert play.sink.messages == ["-# thinking"]
    play.streamer.status("-# still thinking")
    await asyncio.sleep(3)
    assert play.sink.messages == ["-# still thinking"]
    play.streamer.feed("The answer")
    await asyncio.sleep(0.1)
    assert play.sink.messages == ["The answer▌"], "the first text replaces it at once"
    await play.end()
    assert play.sink.messages == ["The answer"]


@in_virtual_time
async def test_a_notice_stands_below_the_growing_text_until_more_comes() -> None:
    play = Play()
    play.streamer.feed("w0 ")
    await asyncio.sleep(2)
    play.streamer.notice("-# ⏳ quiet")
    await asyncio.sleep(5)
    assert play.sink.messages == ["w0▌\n-# ⏳ quiet"]
    play.streamer.feed("w1 ")
    await asyncio.sleep(5)
    assert play.sink.messages == ["w0 w1▌"]
    play.streamer.notice("-# ⏳ quiet")
    await play.end()
    play.streamer.notice("-# ⏳ too late")
    assert play.sink.messages == ["w0 w1"]


@in_virtual_time
async def test_text_before_the_status_went_out_leaves_no_status() -> None:
    play = Play()
    play.streamer.status("-# waiting")
    play.streamer.feed("Hello")
    await play.end()
    assert [text for _, _, text in play.sink.seen] == ["Hello"]


@in_virtual_time
async def test_a_status_is_replaced_by_the_closing_line_when_no_text_came() -> None:
    play = Play()
    play.streamer.status("-# waiting")
    await asyncio.sleep(2)
    await play.end("-# stopped by Ada")
    assert play.sink.messages == ["-# stopped by Ada"]


@in_virtual_time
async def test_an_ending_before_the_first_text_shows_its_footer() -> None:
    play = Play()
    await play.end("-# the model had nothing to say")
    assert play.sink.messages == ["-# the model had nothing to say"]


@in_virtual_time
async def test_a_quiet_ending_before_anything_was_shown_posts_nothing() -> None:
    play = Play()
    play.streamer.end("-# stopped", quiet=True)
    await play.writer
    assert play.sink.messages == []


@in_virtual_time
async def test_an_ending_while_the_first_post_is_under_way_still_ends_in_the_whole_text() -> None:
    play = Play()
    play.streamer.feed("w0 ")
    await asyncio.sleep(0.01)
    play.streamer.feed("w1 ")
    play.fed = 2
    await play.end("-# footer")
    assert play.sink.messages == ["w0 w1\n-# footer"]


@in_virtual_time
async def test_text_after_the_end_is_not_taken() -> None:
    play = Play()
    play.streamer.feed("w0")
    play.streamer.end()
    play.streamer.feed("late")
    play.streamer.end("-# again")
    await play.writer
    assert play.sink.messages == ["w0"]


# ---------------------------------------------------------------- failures


@in_virtual_time
async def test_the_reader_does_not_wait_for_an_edit_that_hangs() -> None:
    discord = SimulatedDiscord()
    discord.hang[2] = 30.0
    play = Play(discord)
    await play.talk(400, 40)
    assert now() == pytest.approx(10.0, abs=0.01)
    assert len(discord.requests) == 3
    await play.end()
    play.assert_all_shown()


@pytest.mark.parametrize("scope", ["user", "shared", "global"])
@in_virtual_time
async def test_after_a_429_the_newest_text_is_sent_and_nothing_before_the_wait_is_over(scope: str) -> None:
    discord = SimulatedDiscord()
    discord.faults.append(failing(1, lambda: DeliveryRateLimited(2.0, scope)))
    play = Play(discord)
    await play.talk(200, 40)
    await play.end()
    play.assert_all_shown()
    edits = [request for request in discord.requests if request.key == ("edit", 1)]
    assert edits[1].at - edits[0].at >= 2.0
    assert len(edits[1].text) > len(edits[0].text) + 100


@in_virtual_time
async def test_a_global_429_holds_every_reply() -> None:
    discord, budget = SimulatedDiscord(), EditBudget()
    one, two = Play(discord, budget=budget, channel=1), Play(discord, budget=budget, channel=2)
    await asyncio.gather(one.talk(20, 40), two.talk(20, 40))
    refused_at = now()
    discord.faults.append(failing(1, lambda: DeliveryRateLimited(3.0, "global")))
    await asyncio.gather(one.talk(200, 40), two.talk(200, 40))
    await asyncio.gather(one.end(), two.end())
    one.assert_all_shown()
    two.assert_all_shown()
    after = [request.at for request in discord.requests if request.at > refused_at]
    assert max(b - a for a, b in pairwise(after)) >= 2.9


@in_virtual_time
async def test_failures_are_tried_again_with_the_newest_text() -> None:
    discord = SimulatedDiscord()
    discord.faults.append(failing(3, lambda: DeliveryRetry(502)))
    play = Play(discord)
    await play.talk(600, 40)
    await play.end()
    play.assert_all_shown()


@in_virtual_time
async def test_a_first_post_that_fails_is_tried_again() -> None:
    discord = SimulatedDiscord()
    discord.faults.append(failing(2, lambda: DeliveryRetry(503), which="post"))
    play = Play(discord)
    await play.talk(100, 40)
    await play.end()
    play.assert_all_shown()


@in_virtual_time
async def test_the_last_words_are_tried_until_patience_ends() -> None:
    discord = SimulatedDiscord()
    play = Play(discord, give_up_after=60.0)
    await play.talk(10, 40)
    discord.faults.append(failing(10_000, lambda: DeliveryRetry(503)))
    play.streamer.end()
    with pytest.raises(DeliveryRetry):
        await play.writer
    assert 60 < now() < 80


@in_virtual_time
async def test_one_deleted_message_does_not_stop_the_others() -> None:
    play = Play(page=300)
    await play.talk(100, 20)
    play.sink.gone.add(len(play.sink.messages) - 1)
    gone = len(play.sink.messages) - 1
    await play.talk(150, 20)
    await play.end()
    kept = [message for ordinal, message in enumerate(play.sink.messages) if ordinal != gone]
    assert all(message in play.everything for message in kept)
    assert play.sink.messages[-1].endswith(f"w{play.fed - 1}")
    to_gone = [request for request in play.discord.requests if request.ordinal == gone and request.at > 5]
    assert len(to_gone) == 1, "it is not edited again"


@pytest.mark.parametrize(
    "error", [MessageGone(404, 10003, "Unknown Channel"), DeliveryForbidden(403, 50001, "Missing Access")]
)
@in_virtual_time
async def test_a_channel_that_is_gone_ends_the_writer(error: Exception) -> None:
    discord = SimulatedDiscord()
    play = Play(discord)
    await play.talk(5, 40)
    discord.faults += [failing(99, lambda: error), failing(99, lambda: error, which="post")]
    await play.talk(50, 40)
    with pytest.raises(type(error)):
        await play.writer


@in_virtual_time
async def test_a_cancelled_wait_leaves_the_channel_to_others() -> None:
    discord, budget = SimulatedDiscord(), EditBudget()
    one = Play(discord, budget=budget)
    await one.talk(100, 40)
    while one.sink.under_way:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.01)
    one.writer.cancel()
    await asyncio.wait([one.writer])
    two = Play(discord, budget=budget)
    await two.talk(200, 40)
    await two.end()
    two.assert_all_shown()


@in_virtual_time
async def test_a_turn_that_comes_just_as_its_writer_is_cancelled_is_given_back() -> None:
    budget = EditBudget()
    play = Play(budget=budget)
    await play.talk(100, 40)
    while play.sink.under_way:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.01)
    (ticket,) = play.streamer._tickets.values()
    ticket.granted.add_done_callback(lambda _: play.writer.cancel())
    before = budget.bucket(ticket.bucket.key).in_flight
    await asyncio.wait([play.writer])
    assert ticket.granted.done()
    assert budget.bucket(ticket.bucket.key).in_flight == before == 0


# ---------------------------------------------------------------- limits that change


@KINDS
@in_virtual_time
async def test_a_limit_that_changes_mid_reply_costs_no_text(kind: LimiterKind) -> None:
    discord = SimulatedDiscord(kind)
    play = Play(discord)
    await play.talk(200, 40)
    discord.limiters.clear()
    discord.limit, discord.period = 3, 10.0
    await play.talk(1600, 40)
    await play.end()
    play.assert_all_shown()
    assert discord.refused <= 1


@in_virtual_time
async def test_headers_may_be_missing() -> None:
    class Bare(SimulatedSink):
        async def _ask(self, *args: object) -> Sent:  # type: ignore[override]
            sent = await super()._ask(*args)  # type: ignore[arg-type]
            return Sent(sent.text)

    discord = SimulatedDiscord()
    sink = Bare(discord)
    streamer = ReplyStreamer(sink, PlainPages(), EditBudget())
    writer = asyncio.create_task(streamer.run())
    for i in range(600):
        streamer.feed(f"w{i} ")
        await asyncio.sleep(0.025)
    streamer.end()
    await writer
    assert words(sink.messages) == " ".join(f"w{i}" for i in range(600))


# ---------------------------------------------------------------- more than fits


@in_virtual_time
async def test_past_the_most_messages_characters_are_counted_and_a_file_follows() -> None:
    play = Play(page=200, max_messages=3)
    await play.talk(400, 100)
    assert "characters so far" in play.sink.messages[-1]
    await play.end("-# done")
    assert len(play.sink.messages) == 3
    assert play.sink.messages[-1].endswith("-# done")
    (file,) = play.sink.files
    assert file.data.decode().strip() == play.everything
    assert play.everything.startswith(words(play.sink.messages[:2]))
    assert play.discord.refused == 0


@in_virtual_time
async def test_just_the_most_messages_need_no_file() -> None:
    play = Play(page=200, max_messages=3)
    await play.talk(120, 100)
    await play.end()
    assert len(play.sink.messages) == 3
    play.assert_all_shown()
    assert play.sink.files == []


@in_virtual_time
async def test_posts_and_edits_in_one_bucket_are_paced_together() -> None:
    class Interaction(SimulatedSink):
        def post_bucket(self) -> Bucket:
            return Bucket(("token", self.channel), bound_globally=False)

        edit_bucket = post_bucket

        async def _ask(self, key: object, *args: object) -> Sent:  # type: ignore[override]
            return await super()._ask(("token", self.channel), *args)  # type: ignore[arg-type]

    discord = SimulatedDiscord("fixed", period=2.0)
    sink = Interaction(discord)
    streamer = ReplyStreamer(sink, PlainPages(500), EditBudget(rate=GlobalRate(limit=1)), max_messages=50)
    writer = asyncio.create_task(streamer.run())
    for i in range(900):
        streamer.feed(f"w{i} ")
        await asyncio.sleep(0.02)
    streamer.end()
    await writer
    assert words(sink.messages) == " ".join(f"w{i}" for i in range(900))
    assert discord.refused == 0


@in_virtual_time
async def test_a_message_that_an_earlier_try_created_is_brought_up_to_date() -> None:
    """Discord recognises the nonce and returns the message with the older text."""

    class Remembering(SimulatedSink):
        async def post(self, text: str) -> Sent:
            await super().post("w0▌")
            return Sent("w0▌", RateHeaders(5, 4, 5.0))

    sink = Remembering(SimulatedDiscord())
    streamer = ReplyStreamer(sink, PlainPages(), EditBudget())
    streamer.feed("w0 w1")
    streamer.end()
    await streamer.run()
    assert sink.messages == ["w0 w1"]
