"""The encoder in use: features of folders of photos, search in them, and files for other programs.

photos.py finds and encodes the photos of a folder, features.py writes their features for other programs, index.py keeps
those of a gallery in step with its folder, search.py ranks it, desk.py and server.py do so for a browser, and export.py
writes the encoder itself.
"""

from trainer.use.desk import Answered, Desk
from trainer.use.export import export_encoder
from trainer.use.features import write_features
from trainer.use.index import Index, index_path, update_index
from trainer.use.search import Answer, Match, as_json, format_answers, rank, search, write_strip
from trainer.use.server import SearchServer

__all__ = [
    "Answer",
    "Answered",
    "Desk",
    "Index",
    "Match",
    "SearchServer",
    "as_json",
    "export_encoder",
    "format_answers",
    "index_path",
    "rank",
    "search",
    "update_index",
    "write_features",
    "write_strip",
]
