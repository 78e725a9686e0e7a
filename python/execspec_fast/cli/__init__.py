"""The `execspec` command, and the text it prints."""
