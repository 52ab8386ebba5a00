"""The report's page, tables and figures."""
