#!/usr/bin/env python3
"""The peer of bench_training: the same LLaMA in Debian's python3-torch, eager, plain loop.

usage: /usr/bin/python3 bench/training_reference.py [DIM LAYERS CONTEXT ROWS MICROBATCHES DTYPE ITERATIONS]
Threads: OMP_NUM_THREADS and OPENBLAS_NUM_THREADS. Prints tokens per second.
"""
import math
import sys
import time

import torch
import torch.nn.functional as fn

arg = lambda i, d: int(sys.argv[i]) if len(sys.argv) > i else d
C, LAYERS, T, B, M = arg(1, 192), arg(2, 8), arg(3, 128), arg(4, 8), arg(5, 8)
half = len(sys.argv) > 6 and sys.argv[6] == "bfloat16"
ITER, V = arg(7, 6), 2048
H = C // (64 if C >= 512 else 32)
K, D, F = H // 2, C // H, C * 8 // 3 // 32 * 32


class Norm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(C))

    def forward(self, x):
        wide = x.float()
        return self.weight.to(x.dtype) * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(x.dtype)


def rotate_half(x):
    return torch.cat((-x[..., D // 2:], x[..., :D // 2]), -1)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        lin = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.n1, self.n2 = Norm(), Norm()
        self.q, self.k, self.v, self.o = lin(C, C), lin(C, K * D), lin(C, K * D), lin(C, C)
        self.g, self.u, self.d = lin(C, F), lin(C, F), lin(F, C)

    def forward(self, x, cos, sin, mask):
        h = self.n1(x)
        q = self.q(h).view(B, T, H, D).transpose(1, 2)
        k = self.k(h).view(B, T, K, D).transpose(1, 2)
        v = self.v(h).view(B, T, K, D).transpose(1, 2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        k, v = k.repeat_interleave(H // K, 1), v.repeat_interleave(H // K, 1)
        a = torch.softmax((q @ k.transpose(2, 3) / math.sqrt(D) + mask).float(), -1).to(x.dtype) @ v
        x = x + self.o(a.transpose(1, 2).reshape(B, T, C))
        h = self.n2(x)
        return x + self.d(fn.silu(self.g(h)) * self.u(h))


class Llama(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.e = torch.nn.Embedding(V, C)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.n, self.head = Norm(), torch.nn.Linear(C, V, bias=False)
        angle = torch.outer(torch.arange(T).float(), 1.0 / 10000 ** (torch.arange(0, D, 2) / D))
        angle = torch.cat((angle, angle), -1)
        self.cos, self.sin = angle.cos(), angle.sin()
        self.mask = torch.full((T, T), float("-inf")).triu(1)

    def forward(self, tokens, targets):
        x = self.e(tokens)
        cos, sin, mask = self.cos.to(x.dtype), self.sin.to(x.dtype), self.mask.to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return fn.cross_entropy(self.head(self.n(x)).float().view(-1, V), targets.view(-1))


torch.manual_seed(0)
model = Llama()
if half:
    model = model.to(torch.bfloat16)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
start = 0.0
for t in range(ITER + 1):
    if t == 1:
        start = time.monotonic()
    for _ in range(M):
        tokens = torch.randint(0, V, (B, T + 1))
        (model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()) / M).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
print("%.0f" % (ITER * M * B * T / (time.monotonic() - start)))
