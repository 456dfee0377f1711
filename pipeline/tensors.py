"""What a generator reads, on its device: pictures, poses and parsings as tensors.

Only pixels, joints and labels travel to the device: the maps that are made of them there are some megabytes a photo.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from data.annotation import Region, pose_profiles


def to_pictures(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Turn pixels, uint8 (B, H, W, 3), into float32 (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pixels(pictures: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Turn pictures (..., 3, H, W) in [-1, 1] into pixels, uint8 (..., H, W, 3); what lies beyond is clipped."""
    pixels = pictures.add(1).mul(127.5).round().clamp(0, 255).byte()
    return pixels.movedim(-3, -1).cpu().numpy()


def to_poses(joints: npt.NDArray[np.float32], height: int, width: int, device: torch.device) -> torch.Tensor:
    """Turn joints (B, 18, 2) into the maps that `data.annotation.pose_maps` makes, float32 (B, 18, height, width)."""
    down, across = (torch.from_numpy(part).to(device) for part in pose_profiles(joints, height, width))
    return down[..., :, None] * across[..., None, :]


def to_regions(parsings: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Turn labels (..., H, W) of 0 to 7 into one-hot maps, float32 (..., 8, H, W)."""
    labels = torch.from_numpy(parsings).to(device).unsqueeze(-3)
    return (labels == torch.arange(len(Region), device=device).view(-1, 1, 1)).float()
