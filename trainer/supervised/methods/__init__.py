"""The methods, a file each, with the paper, its formulas and where its code is public."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.supervised.methods.cal import Cal
from trainer.supervised.methods.cesd import Cesd
from trainer.supervised.methods.fsam import Fsam
from trainer.supervised.methods.lomo import fit_lomo
from trainer.supervised.methods.mgn import Mgn
from trainer.supervised.methods.pcb import Pcb
from trainer.supervised.methods.rga_sc import RgaSc
from trainer.supervised.methods.sgps import Sgps
from trainer.supervised.methods.twin import Twin
from trainer.supervised.objective import Objective

OBJECTIVES: Mapping[str, type[Objective]] = {
    "twin": Twin,
    "pcb": Pcb,
    "mgn": Mgn,
    "rga-sc": RgaSc,
    "sgps": Sgps,
    "cesd": Cesd,
    "fsam": Fsam,
    "cal": Cal,
}
"""What each method minimises; LOMO minimises nothing."""

__all__ = ["OBJECTIVES", "fit_lomo"]
