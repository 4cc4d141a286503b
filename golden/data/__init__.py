"""Data sets as raw integer pixels: digits, Fashion-MNIST, IDX files, image folders."""

from .images import SPLITS, ImageData, Images, check_images
from .sets import DATASETS, dataset, digits, open_data

__all__ = ["DATASETS", "SPLITS", "ImageData", "Images", "check_images", "dataset", "digits", "open_data"]
