"""Who watches a training and never changes it: logs, boards, and whoever knows the labels."""

from trainer.observers.boards import Board, TensorBoard, WandB
from trainer.observers.judge import Judge, cameras_of, label_quality, people_of, validation_problems
from trainer.observers.logs import RunLog, epoch_line
from trainer.observers.observer import Observer, Silence

__all__ = [
    "Board",
    "Judge",
    "Observer",
    "RunLog",
    "Silence",
    "TensorBoard",
    "WandB",
    "cameras_of",
    "epoch_line",
    "label_quality",
    "people_of",
    "validation_problems",
]
