"""What the inbox answers: a receipt, or why there is none."""

from ringback.errors import InboxUnavailable, TransactionEnded
from ringback.receive.inbox.entry import Entry
from ringback.receive.inbox.event import InboxEvent, Receipt, State


def receipt(entries: list[Entry], are_new: list[bool]) -> Receipt:
    """Of events; a request that carried them is none."""
    news = [
        is_new
        for entry, is_new in zip(entries, are_new, strict=True)
        if entry.state is not State.REQUEST
    ]
    return Receipt(sum(news), len(news) - sum(news))


def unavailable(error: BaseException) -> InboxUnavailable:
    return InboxUnavailable(
        f"the event is not known to be kept ({type(error).__name__}: {error}); answer 503, so that"
        " the provider sends it again"
    )


def not_ours(event: InboxEvent) -> TransactionEnded:
    return TransactionEnded(
        f"{event.source} {event.id} is another worker's by now, or was ended before; what this"
        " attempt wrote must not be kept"
    )
