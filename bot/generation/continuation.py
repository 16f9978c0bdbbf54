"""Where an answer that was cut off goes on: what the model says twice there is shown once.

A model that gets its own half answer back is to go on where it ended. Many do;
others begin with the white space that a template cut off, say the last words
again, or start the answer afresh. Models with a template of their own send back
all that they were sent, and the first new word right behind it.
"""

from __future__ import annotations

_LEAST_LETTERS = 3
"""Of a repetition that stands where a word would have to follow a space."""
_LEAST_REPEATED = 12
"""Code points of a repetition that begins like a proper continuation, with a space; two words at least."""
_LOOK_BACK = 4000
"""Code points of the end in which a repetition may begin."""
_LONGEST_AFRESH = 20_000
"""Code points of an answer that is recognised when it is begun afresh."""


class Continuation:
    """Takes the continuation of *before* in pieces, gives what is to be appended to it.

    *sent* is what the model was sent of it: that is never appended again,
    whatever it holds. What could still turn out to be a repetition is held back; the result does
    not depend on how the continuation was cut into pieces.

    A repetition that is itself one (``0, 0, 0``, ``la la la``) is taken for the
    model's own: rather a word too many than one too few.
    """

    def __init__(self, before: str, sent: str = "") -> None:
        self._sent = sent
        self._echoed = 0  # code points of it that came back
        self._may_echo = bool(sent)
        self._kept = before.rstrip()
        self._space = before[len(self._kept) :]
        self._held = ""
        self._starts: list[int] | None = None
        self._is_through = False

    def feed(self, text: str) -> str:
        """Return what can be appended now that *text* came."""
        if self._is_through or not text:
            return text
        self._held += self._behind_echo(text) if self._may_echo else text
        return "" if self._may_echo else self._release(final=False)

    def flush(self) -> str:
        """Return what was held back; no more text follows."""
        if self._may_echo:
            came, self._may_echo, self._echoed = self._sent[: self._echoed], False, 0
            # an echo that broke off is no text; a word or two may be the model's own
            self._held = came if len(came) < _LEAST_REPEATED else ""
        return "" if self._is_through else self._release(final=True)

    def _behind_echo(self, text: str) -> str:
        """Return what of *text* comes behind what was sent; all that came, if it is something else."""
        if not self._echoed and not text[:1].isspace():
            self._sent = self._sent.lstrip()  # templates cut white space off
        room = len(self._sent) - self._echoed
        if not self._sent.startswith(text[:room], self._echoed):
            text, self._may_echo, self._echoed = self._sent[: self._echoed] + text, False, 0
            return text
        self._echoed += min(room, len(text))
        self._may_echo = self._echoed < len(self._sent)
        return text[room:]

    def _release(self, *, final: bool) -> str:
        final = final or len(self._held) > len(self._kept) + _LOOK_BACK
        words = self._held.lstrip()
        if not final and (not words or (not self._echoed and self._may_still_repeat(words))):
            return ""
        repeated = "" if self._echoed else self._repeated(words)
        if repeated:
            rest = words[len(repeated) :]
            if not final and not rest.strip():
                return ""  # the white space after it is judged together with the word behind
        else:
            rest = self._held
        self._is_through = True
        self._held = ""
        return self._joined(rest)

    def _may_still_repeat(self, words: str) -> bool:
        """Tell whether *words* are the beginning of something longer that stands at the end."""
        return any(len(self._kept) - start > len(words) for start in self._matching(words))

    def _repeated(self, words: str) -> str:
        """Return the longest end of what was there that *words* begin with, if it is no coincidence."""
        is_spaced = self._held[:1].isspace()
        for start in self._matching(words):
            end = self._kept[start:]
            if len(end) <= len(words) and _is_repetition(end, is_spaced=is_spaced):
                return end
        return ""

    def _matching(self, words: str) -> list[int]:
        """Return where, longest first, an end begins that agrees with *words* as far as both go."""
        if self._starts is None:
            length = len(self._kept)
            oldest = max(length - _LOOK_BACK, 1)
            starts = (*((0,) if length <= _LONGEST_AFRESH else ()), *range(oldest, length))
            self._starts = [start for start in starts if self._begins_word(start)]
        self._starts = [start for start in self._starts if _agree(self._kept, start, words)]
        return self._starts

    def _begins_word(self, start: int) -> bool:
        kept = self._kept
        if start >= len(kept) or kept[start].isspace():
            return False
        return start == 0 or not (kept[start - 1].isalnum() and kept[start].isalnum())

    def _joined(self, rest: str) -> str:
        """Return *rest* without the white space that is there already."""
        if not self._space:
            return rest
        words = rest.lstrip()
        space = rest[: len(rest) - len(words)]
        return space.removeprefix(self._space) + words if space.startswith(self._space) else words


def _agree(kept: str, start: int, words: str) -> bool:
    length = min(len(kept) - start, len(words))
    return kept.startswith(words[:length], start)


def _is_repetition(text: str, *, is_spaced: bool) -> bool:
    if _is_periodic(text):
        return False
    if is_spaced:
        return len(text) >= _LEAST_REPEATED and len(text.split()) > 1
    return sum(char.isalpha() for char in text) >= _LEAST_LETTERS


def _is_periodic(text: str) -> bool:
    """Tell whether *text* is one and the same thing at least twice, but for its spacing and punctuation."""
    core = "".join(char for char in text if char.isalnum())
    # A text is periodic just if it occurs in its double at another place than the two ends.
    return not core or core in (core + core)[1:-1]
