"""The ground floor: files and formats, no network."""
