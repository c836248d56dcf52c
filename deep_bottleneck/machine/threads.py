"""How many threads a small computation deserves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Below about this many multiplications a step, threads cost more in meeting each other than they
# save; on a busy machine very much more.
WORTH_SHARING = 2_000_000


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Let torch use a single CPU thread while the context lasts, if the work is small.

    Args:
        multiplications: about how many one step takes.
    """
    before = torch.get_num_threads()
    if multiplications >= WORTH_SHARING or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
