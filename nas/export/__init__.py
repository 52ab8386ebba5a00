"""Networks as files that run without this project, one file a format."""
