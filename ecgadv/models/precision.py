"""In which numbers a network computes; its parameters stay float32 whatever is chosen."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

PRECISIONS = ("fp32", "tf32", "bf16")


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Compute in "fp32", "tf32" (on CUDA; else fp32) or "bf16" (autocast) inside the context.

    torch lets cuDNN's convolutions round to TF32 unless told otherwise, so fp32 tells it.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        with ExitStack() as stack:
            if precision == "bf16":
                # Its cache would keep the weights of the first step for a whole epoch.
                cast = torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
                stack.enter_context(cast)
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
