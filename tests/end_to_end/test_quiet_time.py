"""A portal that asks not to be called for half a century."""

from local.portal import Fault, Knobs
from tests.end_to_end.conftest import Application, Command


def test_a_huge_retry_after_stops_the_run_and_one_command_lets_others_continue(
    application: Application, command: Command
) -> None:
    first, second = application.leavers(2)
    there = application.portal.user_ids()
    application.portal.knobs = Knobs(
        retry_after="1795694400", date="Fri, 31 Dec 99999 23:59:59 GMT"
    )
    application.portal.faults.script(Fault.TOO_MANY_REQUESTS, user_id=first)

    stopped = application.apply([first])
    application.behave()
    status, doctor = command("status", stopped.id), command("doctor")
    ended = command("end-quiet", "--reason", "a mistake", "--by", "night shift")
    again = command("end-quiet", "--reason", "a mistake")
    run = application.apply([second])
    resumed = application.start({"mode": "apply", "resume": stopped.id})

    assert (stopped.error, stopped.report["status"]) == ("RunStopped", "STOPPED")
    assert "left alone" in stopped.cause
    assert "The portal asked to be left alone until 20" in status.output
    assert (doctor.exit_code, "bulk-user-deletion end-quiet" in doctor.output) == (1, True)
    assert (ended.exit_code, "may be called again" in ended.output) == (0, True), ended.output
    assert (again.exit_code, "nothing to end" in again.output) == (2, True)
    assert (run.status, resumed.status) == ("SUCCEEDED", "SUCCEEDED")
    assert there - application.portal.user_ids() == {first, second}
    assert command("doctor").exit_code == 0
