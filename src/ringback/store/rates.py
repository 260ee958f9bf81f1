"""Sharing rates out among those who ask in one call, whatever the database."""

from collections.abc import Mapping, Sequence

from ringback.rules.rates import take
from ringback.store.nodes import Grant, Want


def keys(wants: Sequence[Want]) -> list[str]:
    """Whose rates are needed: endpoints and applications, each once."""
    found = {want.endpoint_id for want in wants if want.endpoint_rate}
    return sorted(found | {want.app_id for want in wants if want.app_rate})


def share_out(
    wants: Sequence[Want], next_us: Mapping[str, int], *, now_us: int
) -> tuple[list[Grant], dict[str, int]]:
    """What each gets, and when the next send of each rate that was taken from is due."""
    changed = dict(next_us)
    grants: list[Grant] = []
    for want in wants:
        taken = take(
            want.count,
            now_us,
            endpoint_rate=want.endpoint_rate,
            app_rate=want.app_rate,
            endpoint_next_us=changed.get(want.endpoint_id, 0),
            app_next_us=changed.get(want.app_id, 0),
        )
        if taken.count and want.endpoint_rate:
            changed[want.endpoint_id] = taken.endpoint_next_us
        if taken.count and want.app_rate:
            changed[want.app_id] = taken.app_next_us
        grants.append(Grant(taken.count, taken.at_us - now_us))
    return grants, changed
