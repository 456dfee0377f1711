"""How the parser is fitted: pictures of people with exact regions, altered and worsened until they are like photos."""

from pipeline.annotate.parser.fitting.fit import Examples, ParserSettings, fit_parser
from pipeline.annotate.parser.fitting.pictures import Pictures

__all__ = ["Examples", "ParserSettings", "Pictures", "fit_parser"]
