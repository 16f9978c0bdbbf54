"""PostgreSQL: one connection, which is also the claim that keeps other bots off the database.

Two bots would answer every prompt twice. The claim is an advisory lock of the
connection's session: whoever works on the database holds it, and one that was
killed leaves none behind. A connection made anew, say after a restart of the
server, takes it again before anything else is done with it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import OperationalError

from bot.conversation.db_errors import ClaimLost
from bot.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

# Any number that nobody else takes: advisory locks are one space per database.
_CLAIM = 0x62757262_6C65

# A server that is gone without a word is noticed within seconds, on both sides:
# its sessions hold the claim. What the URL says counts more.
_PARAMETERS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "client_encoding": "utf8",
}
_SESSION = """
SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
SET lock_timeout = '500ms'; SELECT pg_advisory_lock({claim}); SET lock_timeout = '{patience}ms'
"""
# An earlier connection of this process may have been lost on our side alone.
_END_GHOSTS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = '{name}' AND usename = current_user AND pid <> pg_backend_pid()
"""


def create(url: URL, name: str, *, patience: float) -> Engine:
    """Return an engine for the server at *url*, called *name*, whose one connection holds the claim.

    *patience* is how long (seconds) a call waits for another program's lock.
    """
    application = f"burble {uuid.uuid4()}"

    def claim(connection: Any, _record: object) -> None:
        try:
            connection.autocommit = True
            connection.execute(_END_GHOSTS.format(name=application))
            connection.execute(_SESSION.format(claim=_CLAIM, patience=round(patience * 1000)))
            connection.autocommit = False
        except BaseException as error:
            connection.close()  # nobody else knows it yet
            if getattr(error, "sqlstate", "") == "55P03":  # the lock
                raise claim_lost(name) from None
            if isinstance(error, engine.dialect.loaded_dbapi.Error):
                raise OperationalError(None, None, error, connection_invalidated=True) from error
            raise

    engine = create_engine(
        url,
        hide_parameters=True,  # people's words are parameters, and errors end up in the log
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "application_name": application,
            **{key: value for key, value in _PARAMETERS.items() if key not in url.query},
        },
    )
    event.listen(engine, "connect", claim)
    return engine


def claim_lost(name: str) -> ClaimLost:
    """Return what to tell who finds another bot on the database called *name*."""
    return ClaimLost(
        f"Another bot is using the database {name} already. Stop that one first, or give this one its own."
    )


def check_encoding(connection: Connection, name: str) -> None:
    """Refuse a database that cannot hold what people write.

    Raises:
        StoreError: its encoding is not UTF-8.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise StoreError(
            f"The database {name} has the encoding {encoding}, which cannot hold every character. "
            "Make it anew: createdb --encoding=UTF8 --template=template0 …"
        )
