"""Page, tables and figures of a report."""
