"""LOMO (Liao, Hu, Zhu, Li, CVPR 2015): histograms of colour and texture, greatest over each horizontal stripe.

Windows of 10x10 pixels slide in steps of 5 over the picture at three scales. Each gives a joint histogram of HSV
(8 x 8 x 8 bins) and two of SILTP, a texture code of 81 values, at radii 3 and 5. Of the windows of one height only the
greatest count of each bin is kept, which is what makes it hold under turns of the body. A picture of 128x48 has
24 + 11 + 5 heights and so (24 + 11 + 5) x (512 + 2 x 81) = 26,960 numbers; log(1 + n), then unit length of the colours,
and of the textures of each radius.

Sizes, bins and order are those of the authors' code. Their Retinex, which evens out light before the colours are
counted, is only given away compiled: here it is the multiscale Retinex of Jobson et al. (1997) at their paper's two
scales, stretched to [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUMBERS = 26_960
"""Of a picture of 128x48."""
_SCALES = 3
_WINDOW, _STEP = 10, 5
_BINS = 8
_RADII = (3, 5)
_TOLERANCE = 0.3
"""By which share a neighbour must be brighter or darker for SILTP to tell."""
_CODES = 81
_RETINEX_SIGMAS = (5.0, 20.0)
_GREY = (0.2989, 0.5870, 0.1140)


class Lomo(nn.Module):
    """LOMO, then a learnt linear map; its vectors' directions are as far apart as the mapped features.

    A metric d(x, y) = |L (x - y)| is a Euclidean distance of z = L (x - mean). The vector (z, radius) has, for a radius
    far above |z|, an angle to another that is d / radius but for a share of about (|z| / radius)^2, so that cosines
    rank as d does.

    Args:
        dimensions: of the vectors: rows of L, and 1.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.projection: Tensor
        self.radius: Tensor
        self.register_buffer("mean", torch.zeros(NUMBERS))
        self.register_buffer("projection", torch.zeros(dimensions - 1, NUMBERS))
        self.register_buffer("radius", torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        """Give vectors (B, dimensions) of pictures (B, 3, 128, 48) in [0, 1]."""
        mapped = (lomo(images) - self.mean) @ self.projection.T
        return torch.cat([mapped, self.radius * torch.ones_like(mapped[:, :1])], dim=1)


def lomo(images: Tensor) -> Tensor:
    """Give LOMO, float32 (B, 26960), of pictures (B, 3, 128, 48) in [0, 1]."""
    colours = hsv_bins(retinex(images))
    grey = torch.einsum("bchw,c->bhw", images, images.new_tensor(_GREY))
    found: list[list[Tensor]] = [[], *([] for _ in _RADII)]
    for scale in range(_SCALES):
        hue, saturation, value = colours.unbind(1)
        found[0].append(stripe_maxima((value * _BINS + saturation) * _BINS + hue, _BINS**3))
        for radius, counts in zip(_RADII, found[1:], strict=True):
            counts.append(stripe_maxima(siltp(grey, radius), _CODES))
        if scale + 1 < _SCALES:
            # The authors halve the numbers of the bins, not the colours.
            colours, grey = F.avg_pool2d(colours.float(), 2).floor().long(), F.avg_pool2d(grey, 2)
    return torch.cat([F.normalize(torch.log1p(torch.cat(counts, dim=1))) for counts in found], dim=1)


def retinex(images: Tensor) -> Tensor:
    """Even out light: the mean over two scales of log I - log(I blurred), stretched to [0, 1] picture by picture."""
    bytes_ = images * 255 + 1
    evened = sum(bytes_.log() - blurred.log() for blurred in _blurred(bytes_))
    assert isinstance(evened, Tensor)
    low, high = (reduce(evened, dim=(1, 2, 3), keepdim=True) for reduce in (torch.amin, torch.amax))
    return (evened - low) / (high - low).clamp_min(1e-6)


def _blurred(images: Tensor) -> Iterator[Tensor]:
    """Blur pictures by a Gaussian of each scale, whose weights outside the picture are shared among those inside."""
    for sigma in _RETINEX_SIGMAS:
        down, across = (_gaussian(side, sigma).to(images) for side in images.shape[2:])
        yield down @ images @ across.T


def _gaussian(side: int, sigma: float) -> Tensor:
    places = torch.arange(side, dtype=torch.float32)
    return torch.softmax(-((places[:, None] - places) ** 2) / (2 * sigma**2), dim=1)


def hsv_bins(images: Tensor) -> Tensor:
    """Give the bins, int64 (B, 3, H, W), 0 to 7, of hue, saturation and value of pictures (B, 3, H, W) in [0, 1]."""
    red, green, blue = images.unbind(1)
    value, low = images.amax(1), images.amin(1)
    spread = value - low
    safe = spread.clamp_min(1e-12)
    hue = torch.where(
        value == red,
        (green - blue) / safe % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = torch.where(spread > 0, hue / 6, 0.0)
    saturation = torch.where(value > 0, spread / value.clamp_min(1e-12), 0.0)
    return (torch.stack([hue, saturation, value], dim=1) * _BINS).long().clamp_(0, _BINS - 1)


def siltp(grey: Tensor, radius: int) -> Tensor:
    """Give scale-invariant local ternary patterns (Liao et al., CVPR 2010), int64 (B, H, W), 0 to 80.

    Four neighbours, at right, above, at left and below, each give a digit to the base of 3: 1 where it is darker than
    the pixel by more than 30 %, 2 where it is brighter by more. Outside the picture its border goes on.
    """
    height, width = grey.shape[1:]
    wide = F.pad(grey, (radius,) * 4, mode="replicate")
    code = torch.zeros_like(grey, dtype=torch.int64)
    for place, (down, across) in enumerate(((0, 1), (-1, 0), (0, -1), (1, 0))):
        top, left = radius * (1 + down), radius * (1 + across)
        neighbour = wide[:, top : top + height, left : left + width]
        digit = (neighbour < (1 - _TOLERANCE) * grey) + 2 * (neighbour > (1 + _TOLERANCE) * grey)
        code += digit * 3**place
    return code


def stripe_maxima(codes: Tensor, bins: int) -> Tensor:
    """Count codes in sliding windows and keep of each height the greatest count of each code.

    Args:
        codes: int64 (B, H, W), 0 to bins - 1.
        bins: how many codes there are.

    Returns:
        float32 (B, heights x bins), the counts of one height together.
    """
    windows = codes.unfold(1, _WINDOW, _STEP).unfold(2, _WINDOW, _STEP).flatten(3)
    counts = torch.zeros(*windows.shape[:3], bins, device=codes.device)
    counts.scatter_add_(3, windows, torch.ones_like(windows, dtype=counts.dtype))
    return counts.amax(2).flatten(1)
