"""RGA-SC: relation-aware global attention over space and channels.

Zhang, Lan, Zeng, Jin, Chen, "Relation-Aware Global Attention for Person Re-identification", CVPR 2020
(github.com/microsoft/Relation-Aware-Global-Attention-Networks). The network, with its equations, is
`trainer.encoder.networks.attention`; it is taught as the twin is,

    L = CE(W BN(v), person), labels smoothed by 0.1,  +  batch-hard triplets of v with margin 0.3.
"""

from __future__ import annotations

from trainer.supervised.methods.twin import Twin


class RgaSc(Twin):
    """The twin's losses on a network with attention."""
