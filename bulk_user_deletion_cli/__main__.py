"""`python -m bulk_user_deletion_cli`, for use without installing the package."""

from bulk_user_deletion_cli.main import main

main(prog_name="bulk-user-deletion")
