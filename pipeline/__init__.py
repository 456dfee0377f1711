"""The upper floor that redraws photos: annotation, templates, the generator and the shards it fills."""
