"""Commands: what `python -m trainer` offers; each is short, and imports what is heavy when it is called."""

from trainer.commands.ablation import ablation
from trainer.commands.baseline import baseline, oracle
from trainer.commands.evaluate import evaluate
from trainer.commands.report import compare, report
from trainer.commands.studies import clean_runs, list_runs
from trainer.commands.train import train
from trainer.commands.use import export, features, search

COMMANDS = (
    train,
    baseline,
    oracle,
    evaluate,
    report,
    compare,
    search,
    features,
    export,
    list_runs,
    clean_runs,
    ablation,
)

__all__ = ["COMMANDS"]
