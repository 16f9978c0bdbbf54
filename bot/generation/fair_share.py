"""Whose turn it is for a place: users in turn, whoever has least first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Share:
    """What one user has in the queue, and when they were last given a place (counted in places given)."""

    turn: int
    waiting: int = 0
    running: int = 0


class FairShare:
    """Counts what each user has of *places*, for as long as they have anything. Pure.

    One user never has the last quarter of the places (of four or more), so that
    somebody else finds one free however long those answers get.
    """

    def __init__(self, places: int) -> None:
        self._most = places - places // 4
        self._given = 0
        self._shares: dict[int, _Share] = {}

    def waits(self, user: int) -> None:
        """Count a reply of *user* that waits.

        Who comes anew stands before whoever has just had a place, and behind
        who waits since before that: asking one by one is no way to the front.
        """
        self._shares.setdefault(user, _Share(self._given - 1)).waiting += 1

    def gives_up(self, user: int) -> None:
        """Count that one of those left before its turn."""
        self._shares[user].waiting -= 1
        self._forget(user)

    def begins(self, user: int) -> None:
        """Count that one of those got a place."""
        self._given += 1
        share = self._shares[user]
        share.turn = self._given
        share.waiting -= 1
        share.running += 1

    def ends(self, user: int) -> None:
        """Count that one of *user*'s gave its place back."""
        self._shares[user].running -= 1
        self._forget(user)

    def waiting(self, user: int) -> int:
        """Return how many replies of *user* wait."""
        return self._shares[user].waiting if user in self._shares else 0

    def is_used_up(self, user: int) -> bool:
        """Tell whether *user* has as many places as one may have."""
        return user in self._shares and self._shares[user].running >= self._most

    def rank(self, user: int) -> tuple[int, int]:
        """Return what to sort users who wait by: how much they have, then how long ago they got it."""
        share = self._shares[user]
        return share.running, share.turn

    def _forget(self, user: int) -> None:
        share = self._shares[user]
        if not share.waiting and not share.running:
            del self._shares[user]
