"""The parser: a small network that ships with the project, and the annotator made of BlazePose and it."""

from pipeline.annotate.parser.parser import BuiltInAnnotator, BuiltInParsing, Parser, load_parser, save_parser

__all__ = ["BuiltInAnnotator", "BuiltInParsing", "Parser", "load_parser", "save_parser"]
