"""Features of a whole store of shards, for clustering."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from data.shards import SyncStore
from trainer import distributed
from trainer.batches import read_groups
from trainer.encoder.encoder import Encoder

BATCH = 128


def encode_store(encoder: Encoder, store: SyncStore, workers: int = 0) -> Tensor:
    """Give features, float32 (N, d), of all photos of a store (not their redrawn images), in its order.

    Processes that train together encode a share each; all get the whole.

    Args:
        encoder: is left in evaluation mode.
        store: the shards.
        workers: processes that read ahead; 0 reads in this one.
    """
    # Every process encodes as many photos, so that what is gathered has one shape; the surplus is cut off.
    share = -(-len(store) // distributed.world_size())
    mine = np.minimum(np.arange(share) + distributed.rank() * share, len(store) - 1)
    batches = [mine[start : start + BATCH] for start in range(0, share, BATCH)]
    on_gpu = encoder.device.type == "cuda"
    photos = (groups[:, 0] for groups in read_groups(store, batches, 1, workers, pin=on_gpu))
    return distributed.gather(encoder.encode(photos))[: len(store)]
