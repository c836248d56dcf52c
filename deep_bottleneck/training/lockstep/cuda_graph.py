"""Work that is the same each time, launched on a CUDA device as one graph.

A step of tiny networks is hundreds of kernels of a few microseconds each, and launching them one by
one takes longer than they run. Captured as a CUDA graph they are launched together. This module is
all there is of graphs and streams; it follows "CUDA Graphs" in PyTorch's notes on CUDA semantics:
warm up on a side stream, capture on it, then replay.
"""

import logging
from collections.abc import Callable, Sequence

import torch

logger = logging.getLogger(__name__)

Work = Callable[[], None]

WARM_UPS = 3


def launcher(work: Work, changed: Sequence[torch.Tensor], device: torch.device) -> Work:
    """The same work in one launch, where the device can do that.

    Args:
        work: reads and writes tensors that stay where they are, in place, always with the same
            operations; nothing in it may wait for the device, nor copy from the host.
        changed: every tensor that it writes and whose old values matter. Trying the work out leaves
            them as they were.
        device: where it works.

    Returns:
        On a CUDA device the replay of the captured graph, elsewhere the work itself. Where it
        cannot be captured, the log says why, and the work is launched operation by operation.
    """
    if device.type != "cuda":
        return work
    before = [tensor.clone() for tensor in changed]
    try:
        with torch.cuda.device(device):
            return _captured(work)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        logger.warning(
            "Steps are launched one operation after the other, since they cannot be captured as a "
            "CUDA graph: %s",
            reason,
        )
        return work
    finally:
        for tensor, values in zip(changed, before, strict=True):
            tensor.copy_(values)


def _captured(work: Work) -> Work:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # the work is noted down here, not done; another thread may be copying what was recorded
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    return graph.replay
