"""What a store promises to several nodes, as protocols and values; a part of `store.port`.

    Nodes      leases: who may send, and who is there; rates that all nodes keep together
    Notices    what nodes tell one another, so that nobody has to look all the time

A store that is one process's own keeps both promises with one node and nobody to tell.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from ringback.store.port import Lease


class NodeAbout(Struct, frozen=True):
    """What a node says of itself. `role`: see the setting; an `api` node makes no deliveries."""

    host: str
    pid: int = 0
    role: str = "all"
    version: str = ""


class Standing(Struct, frozen=True):
    """How it is among the nodes. `now_ms` is the database's clock.

    `workers` are the epochs of the nodes that deliver and whose lease stands, in order, and
    `node_count` counts the others too. The leader is the oldest worker that nobody has fenced, so
    there is never more than one. `has_lapsed`: somebody's lease ran out, and nobody fenced it yet.
    `lapses_in_ms` is when the first of the other leases that stand will, None without any other.
    """

    now_ms: int
    node_count: int
    workers: tuple[int, ...]
    is_leader: bool
    has_lapsed: bool
    lapses_in_ms: int | None = None


class NodeState(Struct, frozen=True, array_like=True):
    """A node as an operator sees it.

    `lease_left_ms` is negative after its lease ran out. `skew_ms` is how far the database's clock
    was ahead of the node's. A node that `is_gone` is shown until others have what it held.
    """

    id: str
    epoch: int
    host: str
    pid: int
    role: str
    version: str
    joined_at_ms: int
    lease_left_ms: int
    skew_ms: int
    is_gone: bool
    batches: int
    deliveries: int


class Want(Struct, frozen=True):
    """`count` sends to an endpoint; rates per second of it and of its application, 0 for none."""

    endpoint_id: str
    app_id: str
    endpoint_rate: int
    app_rate: int
    count: int


class Grant(Struct, frozen=True):
    """`count` sends, the first one in `wait_us`, the rest at the pace of the slower rate.

    All that was wanted, or none: then ask again in `wait_us`.
    """

    count: int
    wait_us: int


class Nodes(Protocol):
    """Leases are given and judged by the database's clock alone."""

    async def join(self, about: NodeAbout, *, lease_ms: int) -> Lease:
        """Become a node with a new epoch. Other nodes are told (MEMBERS)."""
        ...

    async def renew(self, lease: Lease, *, lease_ms: int, skew_ms: int = 0) -> Standing:
        """Keep the lease; proves that the store can be written. Raises Fenced if it is gone."""
        ...

    async def leave(self, lease: Lease) -> None:
        """Give the lease back: what this node still holds may be adopted at once (MEMBERS)."""
        ...

    async def list_nodes(self) -> list[NodeState]:
        """Every node, the oldest first."""
        ...

    async def reserve(self, wants: Sequence[Want]) -> list[Grant]:
        """Take sends from rates that all nodes share; grants in the order of `wants`.

        What is not sent is lost to everybody, so ask for no more than is certain to be sent.
        """
        ...


# ---- notices ------------------------------------------------------------------------------------


class NoticeKind(StrEnum):
    CHANGED = "changed"  # an application (`subject`) has this `version` now
    DUE = "due"  # something waits that the nodes in `epochs` are asked to claim
    TASK = "task"  # there is a new background task
    DOWN = "down"  # an endpoint (`subject`) is down: a node pauses for `pause_ms`
    WELL = "well"  # such an endpoint has answered
    MEMBERS = "members"  # a node has come or gone
    MISSED = "missed"  # from the store itself: notices may have been lost


class Notice(Struct, frozen=True, array_like=True):
    kind: NoticeKind
    subject: str = ""
    version: int = 0
    epochs: tuple[int, ...] = ()
    pause_ms: int = 0


class Notices(Protocol):
    """What nodes tell one another. Nothing depends on it: what is missed is found by looking.

    CHANGED and MEMBERS are told by the store itself, with the write that they are about.
    """

    async def tell(self, notice: Notice) -> None:
        """Tell every node, this one too."""
        ...

    async def listen(self, on_notice: Callable[[Notice], None]) -> None:
        """For ever. Returns at once when there can be no other node."""
        ...
