import os

import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
