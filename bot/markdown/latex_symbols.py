"""LaTeX's names of symbols, and the letters that Unicode has raised, lowered and in other faces."""

from __future__ import annotations

from functools import lru_cache

_GREEK = "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν xi ξ pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"  # noqa: E501 - a table
_OPERATORS = "pm ± mp ∓ times × div ÷ cdot · cdotp · ast ∗ star ⋆ circ ∘ bullet • oplus ⊕ ominus ⊖ otimes ⊗ odot ⊙ dagger † ddagger ‡ wedge ∧ land ∧ vee ∨ lor ∨ cap ∩ cup ∪ setminus ∖ sum ∑ prod ∏ coprod ∐ int ∫ iint ∬ iiint ∭ oint ∮ bigcup ⋃ bigcap ⋂ nabla ∇ partial ∂ neg ¬ lnot ¬ triangle △ angle ∠ surd √"  # noqa: E501 - a table
_RELATIONS = "le ≤ leq ≤ leqslant ⩽ ge ≥ geq ≥ geqslant ⩾ ne ≠ neq ≠ ll ≪ gg ≫ equiv ≡ sim ∼ simeq ≃ approx ≈ cong ≅ propto ∝ in ∈ notin ∉ ni ∋ subset ⊂ supset ⊃ subseteq ⊆ supseteq ⊇ subsetneq ⊊ perp ⊥ parallel ∥ mid ∣ nmid ∤ vdash ⊢ models ⊨ prec ≺ succ ≻ asymp ≍ doteq ≐ triangleq ≜ coloneqq ≔ lt < gt >"  # noqa: E501 - a table
_ARROWS = "to → rightarrow → leftarrow ← gets ← leftrightarrow ↔ Rightarrow ⇒ implies ⟹ Leftarrow ⇐ impliedby ⟸ Leftrightarrow ⇔ iff ⟺ longrightarrow ⟶ longleftarrow ⟵ Longrightarrow ⟹ mapsto ↦ hookrightarrow ↪ uparrow ↑ downarrow ↓ updownarrow ↕ nearrow ↗ searrow ↘ rightharpoonup ⇀ rightleftharpoons ⇌ leadsto ⇝ xrightarrow →"  # noqa: E501 - a table
_OTHERS = "infty ∞ forall ∀ exists ∃ nexists ∄ emptyset ∅ varnothing ∅ ldots … dots … cdots ⋯ vdots ⋮ ddots ⋱ prime ′ hbar ℏ ell ℓ Re ℜ Im ℑ bmod mod aleph ℵ wp ℘ therefore ∴ because ∵ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lvert | rvert | vert | Vert ‖ lVert ‖ rVert ‖ lbrace { rbrace } backslash \\ square □ Box □ blacksquare ■ qed ∎ checkmark ✓ degree ° top ⊤ bot ⊥ imath ı jmath ȷ S § P ¶ copyright © pounds £ euro € AA Å spadesuit ♠ heartsuit ♡ clubsuit ♣ diamondsuit ♢ colon : | ‖ # # $ $ % % & & _ _ { { } }"  # noqa: E501 - a table

# Set upright, their name is what is meant.
WORDS = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "lg"}
    | {"exp", "lim", "limsup", "liminf", "max", "min", "sup", "inf", "det", "dim", "ker", "deg", "gcd", "lcm", "arg"}
    | {"hom", "Pr", "argmax", "argmin", "tr", "rank", "sgn"}
)

SUPERSCRIPTS = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ′*∘⊤",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ′*°ᵀ",
        strict=True,
    )
)
SUBSCRIPTS = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307",
    "ddot": "\u0308", "tilde": "\u0303", "widetilde": "\u0303", "underline": "\u0332", "check": "\u030c",
}  # fmt: skip
_SCRIPT = dict(zip("BEFHILMRODNPSTA", "ℬℰℱℋℐℒℳℛ𝒪𝒟𝒩𝒫𝒮𝒯𝒜", strict=True))
FACES = {
    "mathbb": dict(zip("CHNPQRZEF1", "ℂℍℕℙℚℝℤ𝔼𝔽𝟙", strict=True)),
    "mathcal": _SCRIPT,
    "mathscr": _SCRIPT,
}


@lru_cache(maxsize=1)
def symbols() -> dict[str, str]:
    """Return the characters of LaTeX's symbols by name, without the backslash."""
    words = f"{_GREEK} {_OPERATORS} {_RELATIONS} {_ARROWS} {_OTHERS}".split()
    return dict(zip(words[::2], words[1::2], strict=True))
