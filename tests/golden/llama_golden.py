#!/usr/bin/env python3
"""Golden values of a small LLaMA, by Hugging Face conventions, with autograd in float64.

Independent of the C++: written from the definitions (RMSNorm, rotary embedding by halves,
grouped-query attention, SwiGLU), run with Debian's python3-torch:

    /usr/bin/python3 tests/golden/llama_golden.py > tests/golden/llama_golden.txt

Weights follow a formula that the test repeats: element i of a tensor is
sin(0.37 * i + k) * s, with k = 1 + the tensor's index in name order and s = 0.3 for matrices;
norms are 1 + 0.1 * sin(0.37 * i + k).  Tokens: (7 * i + 3) % V, targets: (5 * i + 1) % V.
Output: one line per quantity: name, then numbers.
"""
import math

import torch

torch.set_default_dtype(torch.float64)
C, LAYERS, H, K, F, V, T, B = 16, 3, 4, 2, 24, 31, 5, 2
D, EPS, THETA = C // H, 1e-5, 10000.0

shapes = {"model.embed_tokens.weight": (V, C), "model.norm.weight": (C,), "lm_head.weight": (V, C)}
for n in range(LAYERS):
    p = f"model.layers.{n}."
    shapes[p + "input_layernorm.weight"] = (C,)
    shapes[p + "post_attention_layernorm.weight"] = (C,)
    shapes[p + "self_attn.q_proj.weight"] = (H * D, C)
    shapes[p + "self_attn.k_proj.weight"] = (K * D, C)
    shapes[p + "self_attn.v_proj.weight"] = (K * D, C)
    shapes[p + "self_attn.o_proj.weight"] = (C, H * D)
    shapes[p + "mlp.gate_proj.weight"] = (F, C)
    shapes[p + "mlp.up_proj.weight"] = (F, C)
    shapes[p + "mlp.down_proj.weight"] = (C, F)

w = {}
for k, name in enumerate(sorted(shapes), start=1):
    size = math.prod(shapes[name])
    wave = torch.sin(0.37 * torch.arange(size) + k)
    value = 1 + 0.1 * wave if len(shapes[name]) == 1 else 0.3 * wave
    w[name] = value.view(shapes[name]).requires_grad_()

tokens = ((7 * torch.arange(B * T) + 3) % V).view(B, T)
targets = ((5 * torch.arange(B * T) + 1) % V).view(B, T)


def norm(x, g):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS) * g


def rotate_half(x):
    return torch.cat((-x[..., D // 2:], x[..., :D // 2]), -1)


freq = 1.0 / THETA ** (torch.arange(0, D, 2) / D)
angle = torch.outer(torch.arange(T).double(), freq)
emb = torch.cat((angle, angle), -1)
cos, sin = emb.cos(), emb.sin()
mask = torch.full((T, T), float("-inf")).triu(1)

x = w["model.embed_tokens.weight"][tokens]
for n in range(LAYERS):
    p = f"model.layers.{n}."
    h = norm(x, w[p + "input_layernorm.weight"])
    q = (h @ w[p + "self_attn.q_proj.weight"].T).view(B, T, H, D).transpose(1, 2)
    k = (h @ w[p + "self_attn.k_proj.weight"].T).view(B, T, K, D).transpose(1, 2)
    v = (h @ w[p + "self_attn.v_proj.weight"].T).view(B, T, K, D).transpose(1, 2)
    q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
    k, v = k.repeat_interleave(H // K, 1), v.repeat_interleave(H // K, 1)
    a = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(D) + mask, -1) @ v
    x = x + a.transpose(1, 2).reshape(B, T, C) @ w[p + "self_attn.o_proj.weight"].T
    h = norm(x, w[p + "post_attention_layernorm.weight"])
    g = torch.nn.functional.silu(h @ w[p + "mlp.gate_proj.weight"].T) * (h @ w[p + "mlp.up_proj.weight"].T)
    x = x + g @ w[p + "mlp.down_proj.weight"].T
logits = norm(x, w["model.norm.weight"]) @ w["lm_head.weight"].T
loss = torch.nn.functional.cross_entropy(logits.view(-1, V), targets.view(-1))
loss.backward()


def line(name, values):
    print(name, *("%.17g" % v for v in values.detach().flatten().tolist()))


line("logits", logits)
line("loss", loss)
for name in sorted(w):
    line(name, w[name].grad)
