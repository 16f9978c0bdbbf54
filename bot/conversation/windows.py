"""Where what a model is sent of a channel begins, and what was counted of that: kept over restarts.

A window belongs to a channel and a model; *model* is the name under which the
caller knows it again. Its beginning only moves forward.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, select, update

from bot.conversation.queries import GONE
from bot.conversation.records import ContextWindow
from bot.conversation.schema import context_window, prompt, quoted
from bot.parts import sources_of, text_of, without_sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Table

    from bot.conversation.database import Database
    from bot.conversation.records import PromptRecord


class Windows:
    """The windows of one database; see `bot.conversation.window` for what they are for."""

    def __init__(self, database: Database, insert: Callable[[Table], Any]) -> None:
        self._database = database
        self._insert = insert

    async def read(self, record: PromptRecord, model: str) -> tuple[PromptRecord, ContextWindow]:
        """Return a prompt as it is kept, and its window: an empty one if there is none."""
        kept = select(prompt.c.parts, prompt.c.label).where(prompt.c.message_id == record.message_id)

        def work(connection: Connection) -> tuple[PromptRecord, ContextWindow]:
            asked = connection.execute(kept).first()
            row = connection.execute(select(context_window).where(_is(record.channel_id, model))).first()
            return (
                replace(record, parts=asked.parts, label=asked.label) if asked else record,
                ContextWindow(row.begins_at, row.scale, row.counted_at) if row else ContextWindow(),
            )

        return await self._database.run(work, is_read=True)

    async def fix(self, record: PromptRecord, *, model: str, begins_at: int) -> None:
        """Keep how a prompt is first sent and where its window begins, so that both stay so.

        What was erased of it meanwhile stays erased, and one that was edited stays so.
        """
        kept = and_(prompt.c.message_id == record.message_id, prompt.c.state.not_in(GONE))
        still_there = select(quoted.c.source_id).where(quoted.c.prompt_id == record.message_id)
        begun = self._insert(context_window).values(channel_id=record.channel_id, model=model, begins_at=begins_at)
        new = begun.excluded.begins_at
        later = case((context_window.c.begins_at > new, context_window.c.begins_at), else_=new)
        begun = begun.on_conflict_do_update(index_elements=["channel_id", "model"], set_={"begins_at": later})

        def work(connection: Connection) -> None:
            erased = sources_of(record.parts).difference(connection.execute(still_there).scalars())
            parts = without_sources(record.parts, erased)
            stored = connection.scalar(select(prompt.c.parts).where(kept))
            if stored is not None and text_of(stored) == text_of(parts):
                connection.execute(update(prompt).where(kept).values(label=record.label, parts=parts))
            connection.execute(begun)

        await self._database.run(work)

    async def learn(self, record: PromptRecord, *, model: str, scale: float) -> None:
        """Keep what the count of the request for *record* taught of its window."""
        older = and_(_is(record.channel_id, model), context_window.c.counted_at <= record.message_id)
        counted = update(context_window).where(older).values(scale=scale, counted_at=record.message_id)
        await self._database.run(lambda connection: connection.execute(counted))


def _is(channel_id: int, model: str) -> Any:
    return and_(context_window.c.channel_id == channel_id, context_window.c.model == model)
