"""Formulas as Unicode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.markdown.latex import to_unicode


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x^2 + y_1^{n+1}", "x² + y₁ⁿ⁺¹"),
        (r"\frac{-b \pm \sqrt{b^2-4ac}}{2a}", "(−b ± √(b²−4ac))/(2a)"),
        (r"\sum_{i=1}^{n} i", "∑ᵢ₌₁ⁿ i"),
        (r"\mathbb{R}^n \to \mathbb R", "ℝⁿ → ℝ"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a = b\nc = d"),
        (r"\begin{aligned} a &= b \\[4pt] c &= d \end{aligned}", "a = b\nc = d"),
        (r"\text{if } x > 0", "if x > 0"),
        (r"O(n \log n)", "O(n log n)"),
        (r"90^\circ", "90°"),
        (r"\left. x \right|_0", "x |₀"),
        (r"\sqrt[3]{x+1}", "∛(x+1)"),
        (r"a \equiv b \pmod{n}", "a ≡ b (mod n)"),
        (r"5\%", "5%"),
        (r"\frac{2}{3}\pi r + \frac12(x) + \left(\frac ab\right)", "2/3 π r + 1/2 (x) + (a/b)"),
        (r"E = mc^2 \tag{1} \label{eq:e}", "E = mc² (1)"),
        (r"a \not\in A^\top", "a ∉ Aᵀ"),
        (r"\operatorname*{argmin}_x \mathscr{L}", "argminₓ ℒ"),
    ],
)
def test_common_formulas_read_well(tex: str, expected: str) -> None:
    assert to_unicode(tex) == expected


@pytest.mark.parametrize(
    "tex", [r"\foo", r"\begin{pmatrix}1\end{pmatrix}", "{", "}", "x^", r"\frac{1}", "{" * 5000, r"\sqrt[", " "]
)
def test_what_unicode_cannot_show_is_refused(tex: str) -> None:
    assert to_unicode(tex) is None


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"\int_0^\inf", "∫₀"),
        (r"\int_0^\infty e^{-x", "∫₀^∞ e"),
        (r"x = \frac{1}{", "x ="),
        (r"\begin{aligned} x^2 &= \sq", "x² ="),
        ("{", ""),
    ],
)
def test_a_formula_that_grows_is_read_as_far_as_it_is_there(tex: str, shown: str) -> None:
    assert to_unicode(tex, growing=True) == shown


@given(st.text(st.sampled_from("\\{}^_[]& ab12frcsqt"), max_size=60))
def test_no_text_breaks_the_reader(tex: str) -> None:
    result = to_unicode(tex)
    assert result is None or result.strip()
