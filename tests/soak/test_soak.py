"""Seconds of what `python -m tests.soak` does for half an hour, and how its judgement of memory comes about."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.memory import Memory
from tests.soak.soaking import Plan, Soak

# Too short to see the last third grow by 2 %; a leak of each token's text and then some would show.
BRIEF = Plan(15, 4000, 12, seed=4, scale=0.2, growth=0.1, request_fault=3, gateway_fault=20, hangs=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_under_load_and_faults_nothing_is_lost_left_over_or_grows(tmp_path: Path):
    soak = Soak(tmp_path, BRIEF)
    await soak.play()
    assert soak.problems == []
    assert soak.model.emitted >= BRIEF.tokens
    assert soak.model.faults
    assert soak.weather.counts.total() > 10


def samples(base: float, per_sample: float) -> Memory:
    """A warm-up, then a steady growth under the noise that a running process shows."""
    chance = random.Random(1)
    return Memory([base - 20 / (1 + n) + per_sample * n + chance.gauss(0, 0.3) for n in range(1800)])


def test_memory_that_is_flat_but_for_warm_up_and_noise_is_told_flat():
    assert abs(samples(90, 0).growth()) < 0.01


def test_a_leak_of_six_kibibytes_a_second_is_seen():
    assert samples(90, 6 / 1024).growth() > 0.02


def test_one_peak_is_no_growth():
    memory = samples(90, 0)
    memory.samples[1500:1560] = [140.0] * 60
    assert memory.growth() < 0.02
