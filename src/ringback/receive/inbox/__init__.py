"""The inbox: what was verified is kept, acknowledged, and processed exactly once.

    inbox = Inbox("sqlite:///shop.db")           # or postgresql://…, an asyncpg pool, or `connect`

    @inbox.on("stripe", "payment_intent.succeeded")
    async def ship(event, transaction):
        await transaction.execute("UPDATE orders SET is_paid = 1 WHERE id = ?", order_of(event))

    receipt = await inbox.receive(event)         # kept, or InboxUnavailable: answer 503
    async with inbox.running(): …                # works through what is kept

`docs/decisions/0031-inbox.md` says why it is as it is. SQL is in `queries/`, a file a query, by the
same names for both databases.
"""

from ringback.receive.inbox.driver import SyncTransaction, Transaction
from ringback.receive.inbox.event import Health, InboxEvent, Receipt, Record, State
from ringback.receive.inbox.inbox import Inbox
from ringback.receive.inbox.kept import Kept
from ringback.receive.inbox.reconcile import Listed, Reconciled
from ringback.receive.inbox.settings import InboxSettings
from ringback.receive.inbox.sql import ddl

__all__ = [
    "Health",
    "Inbox",
    "InboxEvent",
    "InboxSettings",
    "Kept",
    "Listed",
    "Receipt",
    "Reconciled",
    "Record",
    "State",
    "SyncTransaction",
    "Transaction",
    "ddl",
]
