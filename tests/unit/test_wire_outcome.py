"""What the engine reads off an attempt's end."""

import pytest

from ringback.model import Timings
from ringback.wire.outcome import error, is_overload, is_success, status_code
from ringback.wire.port import Failure, Reason, Reply


def replied(status: int) -> Reply:
    return Reply(status, (), b"", False, Timings())


@pytest.mark.parametrize("status", [199, 200, 204, 299, 300, 302, 400, 410, 429, 500, 503, 999])
def test_only_2xx_is_a_success(status: int) -> None:
    assert is_success(replied(status)) is (200 <= status <= 299)
    assert is_overload(replied(status)) is (status in (429, 503))
    assert status_code(replied(status)) == status
    assert error(replied(status)) is None


@pytest.mark.parametrize("reason", list(Reason))
def test_a_failure_has_no_status_and_slowness_is_overload(reason: Reason) -> None:
    failure = Failure(reason, "why", Timings())
    assert not is_success(failure)
    assert is_overload(failure) is (reason in (Reason.TIMEOUT, Reason.CONNECT_TIMEOUT))
    assert (status_code(failure), error(failure)) == (0, "why")
