"""Studies: several trainings, compared. ablation.py: a table from its plan to its files; overview.py: all runs."""
