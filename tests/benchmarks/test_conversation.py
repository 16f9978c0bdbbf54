from __future__ import annotations

from tests.benchmarks.conversation import NUM_CTX, Outcome, WarmModel, played


async def test_the_whole_bot_reads_a_fifth_anew_at_most_and_uses_its_room() -> None:
    outcome = await played(70)
    assert outcome.moves >= 5
    assert outcome.share_anew <= 0.2
    assert outcome.room_used >= 0.7
    assert outcome.most_tokens <= NUM_CTX - NUM_CTX // 4


def test_what_is_read_anew_is_counted_from_the_first_move_on() -> None:
    model = WarmModel()
    model.prompts = [(100, 100), (200, 50), (150, 150), (200, 50)]
    model.is_move = [True, False, True, False]
    outcome = Outcome.of(model, 250)
    assert (outcome.requests, outcome.moves, outcome.most_tokens, outcome.most_anew) == (2, 1, 200, 150)
    assert (outcome.share_anew, outcome.room_used) == (200 / 350, 0.7)
    assert "at 500 tokens/s 0.20 s a question, 0.3 s at a move (all anew: 0.4 s)" in outcome.told()
