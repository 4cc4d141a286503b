"""Tests of golden import timm and transformers, which import torchvision."""

from tests.torchvision_kit import import_torchvision

import_torchvision()
