"""Tests of the whole bot on loopback servers."""

import pytest

pytest.register_assert_rewrite("tests.whole.faults", "tests.whole.stack")
