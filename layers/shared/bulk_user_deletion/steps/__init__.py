"""What each Lambda function does, with its adapters passed in: `perform` is one invocation.

| function       | module           | its parts                                           |
|----------------|------------------|-----------------------------------------------------|
| `FetchUserIds` | `fetch_user_ids` | `start_run`, `resume_run`, `orders`                 |
|                | `start_run`      | `drops`, `turn`, `make_plan`, `apply_plan`, `draft` |
|                | `resume_run`     | `turn`                                              |
| `NextBatch`    | `next_batch`     |                                                     |
| `DeleteUser`   | `delete_user`    |                                                     |
| `CheckLosses`  | `check_losses`   |                                                     |
| `RefreshToken` | `refresh_token`  |                                                     |
| `ReportRun`    | `report_run`     | `last_look`                                         |
"""
