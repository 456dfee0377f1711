"""One short file for each public data set, and a CSV of one's own."""
