"""Studies: several trainings, compared."""
