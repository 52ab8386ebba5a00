"""Report of finished and unfinished runs: data, statistics, figures, tables and an HTML page."""
