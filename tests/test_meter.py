"""What an invocation has used, and how much of it is already recorded."""

from bulk_user_deletion.meter import Meter


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_recorded_is_not_recorded_again() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.start(is_for_user=True)
    meter.count("reads", 5)
    clock.now += 2

    first = meter.so_far(writes=8)
    meter.count("writes", 8)  # the write counts itself
    meter.recorded(first)
    clock.now += 3
    second = meter.so_far(writes=1)

    assert first == {
        "spent_invocations": 1,
        "spent_reads": 5,
        "spent_writes": 8,
        "spent_ms": 2000,
    }
    assert second == {"spent_writes": 1, "spent_ms": 3000}


def test_what_could_not_be_recorded_is_recorded_with_the_next_write() -> None:
    meter = Meter(Clock())
    meter.start(is_for_user=True)

    meter.so_far(writes=8)
    meter.count("writes", 8)  # its condition was not met, but it is charged anyway

    assert meter.so_far(writes=1) == {"spent_invocations": 1, "spent_writes": 9}


def test_an_invocation_begins_anew() -> None:
    meter = Meter(Clock())
    meter.start(is_for_user=True)
    meter.count("secrets")

    meter.start(is_for_user=True)

    assert meter.so_far(writes=0) == {"spent_invocations": 1}


def test_what_an_invocation_takes_that_is_for_no_user_is_recorded_with_nobody() -> None:
    meter = Meter(Clock())
    meter.start(is_for_user=False)
    meter.count("reads", 5)

    assert meter.so_far(writes=8) == {}
