"""The sync: every photo redrawn once, shard by shard, on one machine or many."""
