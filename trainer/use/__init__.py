"""The encoder in use: features of folders of photos, and search in them.

photos.py finds and encodes the photos of a folder, features.py writes their features for other programs, index.py keeps
those of a gallery in step with its folder, and search.py ranks it.
"""

from trainer.use.features import write_features
from trainer.use.index import Index, index_path, update_index
from trainer.use.search import Answer, Match, as_json, format_answers, rank, search, write_strip

__all__ = [
    "Answer",
    "Index",
    "Match",
    "as_json",
    "format_answers",
    "index_path",
    "rank",
    "search",
    "update_index",
    "write_features",
    "write_strip",
]
