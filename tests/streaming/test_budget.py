"""The budget: who goes first, how many at once, and that nobody starves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable

import pytest

from bot.streaming.bucket import Bucket, Kind, Limits, RateHeaders, Urgency
from bot.streaming.budget import EditBudget, Lane, Ticket
from bot.streaming.rate import GlobalRate
from tests.streaming.simulated import SimulatedLimiter
from tests.streaming.virtual_time import in_virtual_time

FIXED = Limits(kind=Kind.FIXED)


def edit(channel: Hashable) -> Bucket:
    return Bucket(("edit", channel))


def post(channel: Hashable) -> Bucket:
    return Bucket(("post", channel))


def now() -> float:
    return asyncio.get_running_loop().time()


async def order_of(tickets: dict[str, Ticket]) -> list[str]:
    """Return the tickets' names in the order in which they are granted."""
    order: list[str] = []

    def noting(name: str) -> Callable[[object], None]:
        return lambda _: order.append(name)

    for name, ticket in tickets.items():
        ticket.granted.add_done_callback(noting(name))
    await asyncio.wait([ticket.granted for ticket in tickets.values()])
    await asyncio.sleep(0)
    return order


async def keep_editing(budget: EditBudget, lane: Lane, bucket: Bucket, until: float, trip: float = 0.08) -> list[float]:
    """Edit as often as the budget allows; return when."""
    limiter = SimulatedLimiter("fixed")
    at: list[float] = []
    while now() < until:
        sent_at = await budget.request(lane, bucket, Urgency.EDIT).granted
        at.append(sent_at)
        await asyncio.sleep(trip)
        wait, headers = limiter.hit(sent_at + trip / 2)
        headers = headers if not wait else RateHeaders(5, 0, wait)
        budget.observe(bucket.key, headers, sent_at=sent_at, received_at=now())
    return at


@in_virtual_time
async def test_within_a_bucket_the_most_urgent_goes_first() -> None:
    budget = EditBudget(prior=FIXED)
    for _ in range(5):
        await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    tickets = {
        "edit": budget.request(Lane(), edit(1), Urgency.EDIT),
        "status": budget.request(Lane(), edit(1), Urgency.STATUS),
        "final": budget.request(Lane(), edit(1), Urgency.FINAL),
        "page": budget.request(Lane(), edit(1), Urgency.PAGE),
    }
    assert await order_of(tickets) == ["final", "page", "edit", "status"]


@in_virtual_time
async def test_a_ticket_that_becomes_urgent_overtakes() -> None:
    budget = EditBudget(prior=FIXED)
    for _ in range(4):
        await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    first = budget.request(Lane(), edit(1), Urgency.EDIT)
    second = budget.request(Lane(), edit(1), Urgency.EDIT)
    budget.change_urgency(second, Urgency.FINAL)
    assert second.granted.done(), "the last token of a window is the ending's"
    assert not first.granted.done()


@in_virtual_time
async def test_an_edit_that_would_show_no_more_later_goes_now() -> None:
    budget = EditBudget(prior=FIXED)
    lane = Lane()
    for _ in range(2):
        await budget.request(lane, edit(1), Urgency.EDIT).granted
    ticket = budget.request(lane, edit(1), Urgency.EDIT)
    other = budget.request(Lane(last=now()), edit(1), Urgency.EDIT)
    await asyncio.sleep(ticket.due - now() - 0.2)
    budget.advance(ticket, 0.1)
    assert not ticket.granted.done(), "more text comes before it is due"
    budget.advance(other, 0.3)
    assert not other.granted.done(), "the other reply's turn"
    budget.advance(ticket, 0.3)
    assert ticket.granted.done()
    assert budget.bucket(edit(1).key).in_flight == 3, "one token for one turn"


@in_virtual_time
async def test_a_withdrawn_ticket_spends_nothing() -> None:
    budget = EditBudget(prior=FIXED)
    for _ in range(5):
        await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    gone = budget.request(Lane(), edit(1), Urgency.FINAL)
    other = budget.request(Lane(), edit(1), Urgency.EDIT)
    budget.withdraw(gone)
    assert await other.granted == pytest.approx(5.0, abs=0.6)
    assert budget.bucket(edit(1).key).tokens(now()) == 4


@in_virtual_time
async def test_a_turn_given_back_costs_neither_token_nor_place() -> None:
    budget = EditBudget(prior=FIXED, rate=GlobalRate(limit=1, period=1.0))
    lane = Lane()
    ticket = budget.request(lane, edit(1), Urgency.FINAL)
    await ticket.granted
    budget.give_back(ticket)
    assert (lane.edits, lane.last) == (0, float("-inf"))
    assert budget.bucket(edit(1).key).tokens(now()) == 5
    assert budget.request(Lane(), edit(2), Urgency.FINAL).granted.done()


@in_virtual_time
async def test_two_replies_in_one_channel_share_its_edits_equally() -> None:
    budget = EditBudget(prior=FIXED)
    one, two = await asyncio.gather(
        keep_editing(budget, Lane(), edit(1), 60.0), keep_editing(budget, Lane(), edit(1), 60.0)
    )
    assert abs(len(one) - len(two)) <= 1


@in_virtual_time
async def test_a_reply_that_joins_late_gets_its_share_and_no_more() -> None:
    budget = EditBudget(prior=FIXED)

    async def late() -> list[float]:
        await asyncio.sleep(20.3)
        return await keep_editing(budget, Lane(), edit(1), 60.0)

    one, two = await asyncio.gather(keep_editing(budget, Lane(), edit(1), 60.0), late())
    together = [at for at in one if at > 21]
    assert len(together) == pytest.approx(len(two), rel=0.2)


@in_virtual_time
async def test_two_hundred_channels_share_the_global_rate_equally() -> None:
    budget = EditBudget(prior=FIXED)
    rng = random.Random(3)

    async def one(channel: int) -> list[float]:
        await asyncio.sleep(rng.uniform(0, 2))
        return await keep_editing(budget, Lane(), edit(channel), 40.0)

    counts = [len([at for at in edits if at > 5]) for edits in await asyncio.gather(*(one(i) for i in range(200)))]
    assert max(counts) - min(counts) <= 2
    assert sum(counts) > 35 * 38


@in_virtual_time
async def test_the_global_rate_holds_in_every_second_whatever_is_asked() -> None:
    budget = EditBudget(prior=FIXED)
    rng = random.Random(4)
    went: list[float] = []

    async def ask(urgency: Urgency, channel: int) -> None:
        await asyncio.sleep(rng.uniform(0, 4))
        ticket = budget.request(Lane(), edit(channel), urgency)
        went.append(await ticket.granted)

    async def other() -> None:
        await asyncio.sleep(rng.uniform(0, 4))
        await budget.others_turn()
        went.append(now())

    await asyncio.gather(*(ask(Urgency(i % 6), i) for i in range(400)), *(other() for _ in range(60)))
    went.sort()
    assert len(went) == 460
    # a second at the server, to which some travelled 40 ms faster than others
    assert all(after - at > 1.03 - 1e-6 for at, after in zip(went, went[48:], strict=False))


@in_virtual_time
async def test_requests_that_travel_unevenly_stretch_the_second_and_it_recovers() -> None:
    rate = GlobalRate()
    for seconds in (0.08, 0.21, 0.08):
        rate.note_travel(seconds)
    assert rate.period == pytest.approx(1.13, abs=0.01)
    for _ in range(300):
        rate.note_travel(0.085)
    assert rate.period == pytest.approx(1.03)
    rate.note_travel(9.0)
    assert rate.period == pytest.approx(1.25)


@in_virtual_time
async def test_turns_that_were_held_up_do_not_leave_together() -> None:
    budget = EditBudget(prior=FIXED)
    left: list[float] = []

    async def send(channel: int) -> None:
        await budget.request(Lane(), edit(channel), Urgency.FIRST).granted
        await asyncio.sleep(max(0.0, 3.0 - now()))  # the disk is back after three seconds
        await budget.departure()
        left.append(now())

    await asyncio.gather(*(send(i) for i in range(200)))
    assert len([at for at in left if at <= 4.0]) <= 50
    assert all(after - at > 1.0 for at, after in zip(left, left[50:], strict=False))


@in_virtual_time
async def test_a_request_in_its_turn_leaves_at_once() -> None:
    budget = EditBudget(prior=FIXED)
    for channel in range(300):
        at = await budget.request(Lane(), edit(channel), Urgency.FIRST).granted
        await asyncio.sleep(0.004)
        await budget.departure()
        assert now() - at == pytest.approx(0.004)


@in_virtual_time
async def test_endings_and_first_texts_do_not_wait_for_the_edits_of_others() -> None:
    budget = EditBudget(prior=FIXED)
    crowd = [asyncio.create_task(keep_editing(budget, Lane(), edit(i), 12.0)) for i in range(150)]
    waits = []
    for i in range(100):
        await asyncio.sleep(0.1)
        asked = now()
        urgency = Urgency.FINAL if i % 2 else Urgency.FIRST
        waits.append(await budget.request(Lane(), post(i), urgency).granted - asked)
    assert max(waits) < 0.3
    await asyncio.gather(*crowd)


@in_virtual_time
async def test_requests_outside_replies_yield_but_do_not_starve() -> None:
    budget = EditBudget(prior=FIXED)
    crowd = [asyncio.create_task(keep_editing(budget, Lane(), edit(i), 20.0)) for i in range(150)]
    await asyncio.sleep(5)
    asked = now()
    await asyncio.gather(*(budget.others_turn() for _ in range(12)))
    assert 1.0 < now() - asked < 5.0
    await asyncio.gather(*crowd)


@in_virtual_time
async def test_interaction_routes_are_not_bound_globally() -> None:
    budget = EditBudget(prior=FIXED, rate=GlobalRate(limit=1, period=1.0))
    await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    held = budget.request(Lane(), edit(2), Urgency.FINAL)
    free = budget.request(Lane(), Bucket(("token", "t"), bound_globally=False), Urgency.FINAL)
    assert free.granted.done()
    assert not held.granted.done()


@in_virtual_time
async def test_a_global_refusal_holds_everything_and_then_lets_it_go() -> None:
    budget = EditBudget(prior=FIXED)
    await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    budget.refused(edit(1).key, 3.0, everywhere=True)
    tickets = [budget.request(Lane(), edit(i), Urgency.FIRST) for i in range(5)]
    others = asyncio.create_task(budget.others_turn())
    assert [await ticket.granted for ticket in tickets] == [3.0] * 5
    await others


@in_virtual_time
async def test_a_refused_bucket_waits_alone() -> None:
    budget = EditBudget(prior=FIXED)
    await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    budget.refused(edit(1).key, 2.0)
    assert budget.request(Lane(), edit(2), Urgency.FINAL).granted.done()
    assert await budget.request(Lane(), edit(1), Urgency.FINAL).granted == pytest.approx(2.0)


@in_virtual_time
async def test_a_cancelled_wait_leaves_no_trace() -> None:
    budget = EditBudget(prior=FIXED)
    for _ in range(5):
        await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    waiting = budget.request(Lane(), edit(1), Urgency.FINAL)
    waiting.granted.cancel()
    other = asyncio.create_task(budget.others_turn())
    await asyncio.sleep(0)
    other.cancel()
    behind = budget.request(Lane(), edit(1), Urgency.FINAL)
    assert await behind.granted == pytest.approx(5.0)


@in_virtual_time
async def test_new_channels_start_with_what_their_siblings_taught() -> None:
    budget = EditBudget()
    await budget.request(Lane(), edit(1), Urgency.FINAL).granted
    budget.observe(edit(1).key, RateHeaders(5, 4, 1.0), sent_at=0.0, received_at=0.08)
    assert budget.bucket(edit(2).key).kind is Kind.LEAKY
    assert budget.bucket(post(2).key).kind is Kind.UNKNOWN, "posts are another family"


@in_virtual_time
async def test_idle_buckets_are_forgotten() -> None:
    budget = EditBudget()
    for i in range(600):
        await budget.request(Lane(), edit(i), Urgency.FINAL).granted
        await asyncio.sleep(10)
    assert len(budget._buckets) < 400


@pytest.mark.parametrize(("seconds", "early"), [(0.5, 2), (20.0, 1)])
@in_virtual_time
async def test_the_opening_follows_how_long_answers_took_of_late(seconds: float, early: int) -> None:
    """A second early edit is missed later: it goes where answers are over by then."""
    budget = EditBudget(prior=FIXED)
    for channel in range(6):
        lane = Lane()
        lane.begin(now())
        await asyncio.sleep(seconds)
        await budget.request(lane, edit(channel), Urgency.FINAL).granted
    lane, began = Lane(last=now()), now()
    lane.begin(began)
    at = await keep_editing(budget, lane, edit("next"), began + 10.0)
    assert sum(moment - began < 0.8 for moment in at) == early
