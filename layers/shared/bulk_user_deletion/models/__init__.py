"""The terms of this application, as types, by subject. Times are epoch seconds (UTC)."""
