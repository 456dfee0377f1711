"""Studies: several trainings, compared. worth.py: what redrawing adds to a baseline; overview.py: all runs."""
