"""The network of `benchmarks/upstream.py`, without its faults, in PyTorch: a variant of the speed benchmark."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from amsl_tf.views import PAPER_VIEWS

NUM_VIEWS, NUM_SLOTS = len(PAPER_VIEWS), 500
ROWS, COLUMNS = 3, 3  # padding, from 125 x 45 to 128 x 48


class Memory(nn.Module):
    """Softmax attention over slots: returns the read and the entropy averaged over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.empty(NUM_SLOTS, 64).uniform_(-(NUM_SLOTS**-0.5), NUM_SLOTS**-0.5))

    def forward(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = queries @ self.slots.T
        weights = logits.softmax(-1)
        entropy = logits.logsumexp(-1) - (weights * logits).sum(-1)
        return weights @ self.slots, entropy.mean()


class SameConv2d(nn.Conv2d):
    """A 4 x 4 convolution with the `same` padding of TensorFlow: one cell before, two after."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(x, (1, 2, 1, 2)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The transposed 4 x 4 convolution with the `same` padding of TensorFlow."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__(channels, filters, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :, 1:-2, 1:-2]


class Network(nn.Module):
    """The network: views (B, R, T, C) to reconstructions (B, R, T, C), view logits (B, R, R) and the summed entropy."""

    def __init__(self) -> None:
        super().__init__()
        relu, pool = nn.ReLU(), nn.MaxPool2d(2)
        self.encoder = nn.Sequential(SameConv2d(1, 32), relu, pool, SameConv2d(32, 64), relu, pool)
        self.classifier = nn.Sequential(
            SameConv2d(64, 1), nn.Sigmoid(), nn.Flatten(), nn.Linear(384, 128), relu, nn.Dropout(0.5), nn.Linear(128, NUM_VIEWS)
        )
        self.global_memory = Memory()
        self.local_memories = nn.ModuleList(Memory() for _ in range(NUM_VIEWS))
        self.gates = nn.Parameter(torch.zeros(2, NUM_VIEWS))
        self.decoders = nn.ModuleList(
            nn.Sequential(
                SameConvTranspose2d(128, 128),
                relu,
                nn.ConvTranspose2d(128, 64, 4, 2, 1),
                relu,
                nn.ConvTranspose2d(64, 32, 4, 2, 1),
                relu,
                SameConvTranspose2d(32, 1),
                nn.Sigmoid(),
            )
            for _ in range(NUM_VIEWS)
        )

    def forward(self, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        reconstructions, logits, entropies = [], [], []
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
            reconstructions.append(decoded[:, 0, ROWS:, COLUMNS:])
        return torch.stack(reconstructions, 1), torch.stack(logits, 1), torch.stack(entropies).sum()


def build(compiled: bool) -> tuple[Any, torch.optim.Optimizer]:
    """Builds the network and its optimizer."""
    network = Network().to(_device(), memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    return (torch.compile(network) if compiled else network), optimizer


def train(built: tuple[Any, torch.optim.Optimizer], views: list[np.ndarray], batch_size: int) -> None:
    """Trains for one pass over the views."""
    network, optimizer = built
    network.train()
    for batch in _batches(views, batch_size):
        reconstruction, logits, entropy = network(batch)
        classes = torch.arange(NUM_VIEWS, device=batch.device).repeat(len(batch))
        classification = functional.cross_entropy(logits.reshape(-1, NUM_VIEWS), classes) * NUM_VIEWS
        loss = (reconstruction - batch).square().mean((0, 2, 3)).sum() + classification + 0.0002 * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # synchronises with a GPU, as Keras does


@torch.inference_mode()
def score(built: tuple[Any, torch.optim.Optimizer], views: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Computes the sum over views of the mean squared errors, (N,)."""
    network, _ = built
    network.eval()
    batches = _batches(views, batch_size)
    return torch.cat([(network(batch)[0] - batch).square().mean((2, 3)).sum(1) for batch in batches]).cpu().numpy()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _batches(views: list[np.ndarray], batch_size: int) -> Iterator[torch.Tensor]:
    for batch in torch.from_numpy(np.stack(views, axis=1)).split(batch_size):
        yield batch.to(_device())
