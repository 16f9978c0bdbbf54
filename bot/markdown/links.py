"""Links, addresses and footnotes: how they look in a text, and how Discord shows them."""

from __future__ import annotations

import re

URL = re.compile(r"https?://[^\s<>`]{1,2000}")
WIDE_PUNCTUATION = re.compile("[，。、；：！？（）「」『』《》〈〉【】“”…]")
_LABEL = r"\[((?:[^\[\]\\\n]|\\.|\[[^\[\]\n]*\])*+)\]"
LINK = re.compile(_LABEL + r"\(\s*<?((?:[^\s()<>]|\([^\s()<>]*\))*+)>?(\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)")
LINK_PARTIAL = re.compile(_LABEL + r"\([^\n]{0,1000}")
LABEL_PARTIAL = re.compile(r"\[(?:[^\[\]\n]|\[[^\[\]\n]*\]){0,300}\]?")
FOOTNOTE = re.compile(r"\[\^([\w-]{1,30})\]")

_INNER_IMAGE = re.compile(r"!\[([^\[\]]*)\]\(\s*([^()\s]*)[^()]*\)")

_URL_TAIL = "*_~|].,;:!?'\""
TARGETS = ("http://", "https://", "mailto:", "discord://")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def trimmed(url: str) -> str:
    """Return *url* without the marks and punctuation of the sentence after it."""
    surplus = url.count(")") - url.count("(")
    while url:
        if url[-1] == ")" and surplus > 0:
            surplus -= 1
        elif url[-1] not in _URL_TAIL:
            break
        url = url[:-1]
    return url


def defused(label: str) -> str:
    """Return *label* so that it is no state line of ours: Discord looks for blocks inside links as well."""
    return "\\" + label if label.lstrip().startswith("-#") else label


def shown_link(text: str, target: str, title: str = "") -> str:
    """Return a link that Discord takes, or *text* and *target* in words where it takes none."""
    bare = _INNER_IMAGE.sub(r"\1", text).strip()
    images = "".join(f" (<{image[2]}>)" for image in _INNER_IMAGE.finditer(text) if image[2] != target)
    text = bare or ("image" if _INNER_IMAGE.search(text) else "")
    if target.startswith(TARGETS):
        if text and not URL.search(text):
            hint = f' "{title}"' if title else ""
            return f"[{defused(text)}]({target}{hint}){images}"
        # Discord shows no link whose text is an address, lest it be another one.
        shown = f"<{target}>" if not text or text.rstrip("/") == target.rstrip("/") else f"{text} (<{target}>)"
        return shown + (f" ({plain_label(title)})" if title else "") + images
    goal = f" ({plain_label(f'{target} {title}')})" if target else ""
    return plain_label(text) + goal + images


def plain_label(text: str) -> str:
    """Return *text* so that no mark in it opens anything."""
    return re.sub(r"([\\`*_~|<\[\]])", r"\\\1", re.sub(r"[*`]", "", text.strip()))


def footnote(label: str) -> str:
    """Return how the footnote *label* is referred to: ¹ for numbers, [label] for words."""
    if label.isdigit() and len(label) < 4:
        return label.translate(_SUPERSCRIPT)
    return r"\[" + label.replace("_", r"\_") + r"\]"
