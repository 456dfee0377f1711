"""How the parser is fitted: pictures of people with exact regions, altered and worsened until they are like photos."""

from pipeline.annotate.parser.fitting.fit import ParserSettings, fit_parser

__all__ = ["ParserSettings", "fit_parser"]
