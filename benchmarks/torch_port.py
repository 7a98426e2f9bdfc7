"""The network of `benchmarks/upstream.py` without its faults in PyTorch, for a row of the speed benchmark."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from amsl_tf.views import VIEW_NAMES

NUM_VIEWS, NUM_SLOTS = len(VIEW_NAMES), 500
ROWS, COLUMNS = 3, 3  # of padding: 125 x 45 becomes 128 x 48


class Memory(nn.Module):
    """Attention over slots: the read and the mean entropy of a position."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.empty(NUM_SLOTS, 64).uniform_(-(NUM_SLOTS**-0.5), NUM_SLOTS**-0.5))

    def forward(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = queries @ self.slots.T
        weights = logits.softmax(-1)
        entropy = logits.logsumexp(-1) - (weights * logits).sum(-1)
        return weights @ self.slots, entropy.mean()


class Same(nn.Conv2d):
    """A 4 x 4 convolution that pads as TensorFlow's `same` does: one before, two after."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(x, (1, 2, 1, 2)))


class SameTransposed(nn.ConvTranspose2d):
    """Its transposed form."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :, 1:-2, 1:-2]


class Network(nn.Module):
    """Seven views (B, R, T, C) to reconstructions, logits of the views (B, R, R) and the summed entropy."""

    def __init__(self) -> None:
        super().__init__()
        relu, pool = nn.ReLU(), nn.MaxPool2d(2)
        self.encoder = nn.Sequential(Same(1, 32), relu, pool, Same(32, 64), relu, pool)
        self.classifier = nn.Sequential(
            Same(64, 1), nn.Sigmoid(), nn.Flatten(), nn.Linear(384, 128), relu, nn.Dropout(0.5), nn.Linear(128, NUM_VIEWS)
        )
        self.global_memory = Memory()
        self.local_memories = nn.ModuleList(Memory() for _ in range(NUM_VIEWS))
        self.gates = nn.Parameter(torch.zeros(2, NUM_VIEWS))
        self.decoders = nn.ModuleList(
            nn.Sequential(
                SameTransposed(128, 128),
                relu,
                nn.ConvTranspose2d(128, 64, 4, 2, 1),
                relu,
                nn.ConvTranspose2d(64, 32, 4, 2, 1),
                relu,
                SameTransposed(32, 1),
                nn.Sigmoid(),
            )
            for _ in range(NUM_VIEWS)
        )

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        made, logits, entropies = [], [], []
        gates = torch.sigmoid(self.gates)
        for view in range(NUM_VIEWS):
            latent = self.encoder(functional.pad(views[:, view, None], (COLUMNS, 0, ROWS, 0)))
            logits.append(self.classifier(latent))
            queries = latent.permute(0, 2, 3, 1)
            local_read, local_entropy = self.local_memories[view](queries)
            global_read, global_entropy = self.global_memory(queries)
            entropies += [local_entropy, global_entropy]
            fused = gates[0, view] * local_read + gates[1, view] * global_read
            decoded = self.decoders[view](torch.cat([latent, fused.permute(0, 3, 1, 2)], dim=1))
            made.append(decoded[:, 0, ROWS:, COLUMNS:])
        return torch.stack(made, 1), torch.stack(logits, 1), torch.stack(entropies).sum()


def build(compile_it: bool) -> tuple[Any, torch.optim.Optimizer]:
    """The network and its optimizer."""
    network = Network().to(_device(), memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    return (torch.compile(network) if compile_it else network), optimizer


def train(built: tuple[Any, torch.optim.Optimizer], views: list[np.ndarray], batch_size: int) -> None:
    """One pass over the views in training."""
    network, optimizer = built
    network.train()
    for batch in _batches(views, batch_size):
        made, logits, entropy = network(batch)
        classes = torch.arange(NUM_VIEWS, device=batch.device).repeat(len(batch))
        named = functional.cross_entropy(logits.reshape(-1, NUM_VIEWS), classes) * NUM_VIEWS
        loss = (made - batch).square().mean((0, 2, 3)).sum() + named + 0.0002 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for a GPU, as Keras does


@torch.inference_mode()
def score(built: tuple[Any, torch.optim.Optimizer], views: list[np.ndarray], batch_size: int) -> np.ndarray:
    """The sum over views of the mean squared errors, (N,)."""
    network, _ = built
    network.eval()
    batches = _batches(views, batch_size)
    return torch.cat([(network(batch)[0] - batch).square().mean((2, 3)).sum(1) for batch in batches]).cpu().numpy()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _batches(views: list[np.ndarray], batch_size: int) -> Iterator[torch.Tensor]:
    for batch in torch.from_numpy(np.stack(views, axis=1)).split(batch_size):
        yield batch.to(_device())
