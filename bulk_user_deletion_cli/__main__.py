"""`python -m bulk_user_deletion_cli`, where the package is not installed."""

from bulk_user_deletion_cli.main import main

main(prog_name="bulk-user-deletion")
