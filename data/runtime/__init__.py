"""What every command needs while it runs: errors in one line, whole files, memory, the console."""
