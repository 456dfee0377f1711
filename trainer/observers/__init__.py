"""Who watches a training and never changes it: logs, boards, and whoever knows the labels."""
