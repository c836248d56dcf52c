"""Small networks in the manner of those in wide use, written by hand."""

import torch
from torch import nn


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight lies the other way round, features are last."""

    def __init__(self, n_out, n_in):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * 0.5)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return x @ self.weight + self.bias


class NewGELU(nn.Module):
    """An activation function of one's own."""

    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.045 * x**3)))


class Attention(nn.Module):
    """Gives a tuple, as the blocks of transformers do: what comes out, and the weights."""

    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = Conv1D(3 * size, size), Conv1D(size, size)
        self.attn_dropout, self.resid_dropout = nn.Dropout(0.0), nn.Dropout(0.0)

    def forward(self, x, mask=None):
        split = self.c_attn(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split
        weights = self.attn_dropout((query @ key.mT).softmax(dim=-1))
        mixed = (weights @ value).transpose(1, 2).flatten(2)
        return self.resid_dropout(self.c_proj(mixed)), weights


class GPTBlock(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attn = Attention(size, heads)
        self.c_fc, self.act, self.c_proj = Conv1D(4 * size, size), NewGELU(), Conv1D(size, 4 * size)
        self.dropout = nn.Dropout(0.0)

    def forward(self, hidden_states, mask=None):
        attended, weights = self.attn(self.ln_1(hidden_states), mask=mask)
        hidden_states = hidden_states + attended
        change = self.dropout(self.c_proj(self.act(self.c_fc(self.ln_2(hidden_states)))))
        return hidden_states + change, weights


class GPT(nn.Module):
    """Blocks that are given their input by keyword."""

    def __init__(self, size=12, heads=3, depth=2):
        super().__init__()
        self.wte, self.drop = nn.Embedding(20, size), nn.Dropout(0.0)
        self.h = nn.ModuleList(GPTBlock(size, heads) for _ in range(depth))
        self.ln_f = nn.LayerNorm(size)

    def forward(self, tokens):
        x = self.drop(self.wte(tokens) + 0.1)
        for block in self.h:
            x = block(hidden_states=x)[0]
        return self.ln_f(x)


class RMSNorm(nn.Module):
    """As Llama has it."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.weight * x * x.pow(2).mean(-1, keepdim=True).add(1e-6).rsqrt()


class LlamaMLP(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.norm, self.act_fn = RMSNorm(size), nn.SiLU()
        self.gate_proj, self.up_proj = nn.Linear(size, hidden), nn.Linear(size, hidden)
        self.down_proj = nn.Linear(hidden, size)

    def forward(self, x):
        normed = self.norm(x + 0.0)
        return x + self.down_proj(self.act_fn(self.gate_proj(normed)) * self.up_proj(normed))


class LayerNorm2d(nn.LayerNorm):
    """As torchvision has it: channels first outside, last inside."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Permute(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class ConvNeXtBlock(nn.Module):
    """Channels first outside, channels last within, and a scale for each channel."""

    def __init__(self, size):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.ones(size, 1, 1))
        self.block = nn.Sequential(
            nn.Conv2d(size, size, 3, padding=1, groups=size),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(size),
            nn.Linear(size, 2 * size),
            nn.GELU(),
            nn.Linear(2 * size, size),
            Permute(0, 3, 1, 2),
        )
        self.drop = nn.Dropout(0.0)

    def forward(self, x):
        return x + self.drop(self.layer_scale * self.block(x))


class BasicBlock(nn.Module):
    """A residual block that uses one ReLU twice, the second time on a sum."""

    def __init__(self, size):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(size, size, 3, padding=1), nn.BatchNorm2d(size)
        self.conv2, self.bn2 = nn.Conv2d(size, size, 3, padding=1), nn.BatchNorm2d(size)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(x + self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


class WeightedBlock(nn.Module):
    """Swin's windows: tokens on two axes, features last, and a table of weights of its own."""

    def __init__(self, size):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(25, 3))
        self.norm, self.mlp = nn.LayerNorm(size), nn.Linear(size, size)
        self.act, self.drop = nn.GELU(), nn.Dropout(0.0)

    def forward(self, x):
        windows = x.unflatten(1, (2, -1)).unflatten(3, (2, -1)).permute(0, 1, 3, 2, 4, 5)
        mixed = self.drop(self.act(self.mlp(self.norm(windows.flatten(3, 4)))))
        mixed = mixed.unflatten(3, (x.shape[1] // 2, -1)).permute(0, 1, 3, 2, 4, 5)
        return x + mixed.flatten(1, 2).flatten(2, 3)
