"""The built-in benchmark: rendered people who change clothes."""
