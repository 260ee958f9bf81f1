"""What the engine reads off an attempt's end."""

import pytest

from ringback.model import Timings
from ringback.wire.outcome import error, is_unreached, status_code
from ringback.wire.port import Failure, Reason, Reply

AFTER_THE_REQUEST = {
    Reason.SEND,
    Reason.RESET,
    Reason.TIMEOUT,
    Reason.BAD_RESPONSE,
    Reason.UNSENDABLE,
    Reason.CALLED_OFF,
}


@pytest.mark.parametrize("status", [200, 302, 404, 503, 999])
def test_a_reply_has_a_status_and_no_error(status: int) -> None:
    reply = Reply(status, (), b"", False, Timings())
    assert (status_code(reply), error(reply), is_unreached(reply)) == (status, None, False)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_failure_has_an_error_and_may_have_come_before_the_request(reason: Reason) -> None:
    failure = Failure(reason, "why", Timings())
    assert (status_code(failure), error(failure)) == (0, "why")
    assert is_unreached(failure) is (reason not in AFTER_THE_REQUEST)
