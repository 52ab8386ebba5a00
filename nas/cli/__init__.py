"""The command line: composition and checks of settings."""
