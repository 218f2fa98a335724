"""The ledger: one DynamoDB table that records what the portal was asked to do, and the results.

Every guarantee about crashes and retries depends on the write conditions in this package.

| pk           | sk             | row                                                | part       |
|--------------|----------------|----------------------------------------------------|------------|
| `run#RUN_ID` | `run`          | whose execution, open or closed, the stop flag     | `runs`     |
| `run#RUN_ID` | `renewal#TIME` | a renewal of the token during the run              | `runs`     |
| `run#NAME`   | `resumes`      | the run that an execution of this name resumed     | `runs`     |
| `run#RUN_ID` | `user#USER_ID` | one user, from the intent to delete onwards        | `users`    |
| `intent`     | `TIME#…`       | a user's first DELETE, and one after each resume   | `users`    |
| `switch`     | `TIME#…`       | the same, for PUTs that switch a user's access     | `users`    |
| `deleted#…`  | `deleted`      | a deleted user, by hash of id, username or e-mail  | `users`    |
| `leaver`     | `PORTAL#ID`    | a user whom a run disabled, and when it is due     | `leavers`  |
| `roster`     | `PORTAL#RUN`   | an accepted roster: when, and how many it named    | `rosters`  |
| `watch`      | `PORTAL#user#ID` | a user who is back, and who first saw it when    | `watch`    |
| `watch`      | `PORTAL#last`  | the last watch, and the one before it              | `watch`    |
| `guard`      | `PORTAL#ID`    | how many users the guard's dataset kept at last    | `guards`   |
| `run#NAME`   | `turn`         | the run that an execution of this name waits for   | `turns`    |
| `event#…`    | `event`        | a trigger's fingerprint: the run that took it      | `triggers` |
| `event#…`    | `drop`         | a dropped key: hash of its last content, its run   | `triggers` |
| `lock`       | `lock`         | the run that may delete from this portal           | `portal`   |
| `lock`       | `switch`       | the run that may disable and enable its users      | `portal`   |
| `stop`       | `stop`         | the stop button of the whole portal, while pressed | `portal`   |
| `token`      | `lease`        | the caller that is renewing the token              | `portal`   |
| `pace`       | `pace`         | how fast the portal deletes, and its `Retry-After` | `portal`   |
"""

from bulk_user_deletion.ledger.guards import Guards
from bulk_user_deletion.ledger.leavers import Leavers
from bulk_user_deletion.ledger.portal import PortalState
from bulk_user_deletion.ledger.rosters import Rosters
from bulk_user_deletion.ledger.runs import Runs
from bulk_user_deletion.ledger.table import Table
from bulk_user_deletion.ledger.triggers import Triggers
from bulk_user_deletion.ledger.turns import Turns
from bulk_user_deletion.ledger.users import Users
from bulk_user_deletion.ledger.watch import WatchLog


class Ledger:
    """The table by subject: each part has its rows, and the conditions under which they change.

    Rows are kept for `kept_days`; code that only reads can leave it out.
    """

    def __init__(self, table_name: str, *, kept_days: int = 400) -> None:
        table = Table(table_name, kept_seconds=kept_days * 24 * 3600)
        self.runs = Runs(table)
        self.users = Users(table)
        self.leavers = Leavers(table)
        self.rosters = Rosters(table)
        self.watch = WatchLog(table)
        self.guards = Guards(table)
        self.turns = Turns(table)
        self.triggers = Triggers(table)
        self.portal = PortalState(table)
