"""Who learns: an encoder as a step calls it, and the labeller, a second one by whose features photos are clustered."""

from trainer.learners.labeller import Labeller
from trainer.learners.learner import make_learner

__all__ = ["Labeller", "make_learner"]
