"""The same jobs in PyTorch: python torch_jobs.py --serve JOB/PRECISION/THREADS [--compile], or JOB/PRECISION/gpu.

Speaks as bench/worker.hpp does: "ready TOKENS", then for each line "N" the seconds of N steps and the memory in MiB: the
process's peak, or the most that PyTorch has taken of the GPU. Layers, sizes, places of dropout, optimizer and clipping are mpx's; attention is scaled_dot_product_attention.
"""
import argparse
import contextlib
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(c, dim=2))
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2).reshape(b, t, c))


class CrossAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x, memory):
        b, t, c = x.shape
        q = self.query(x).view(b, t, self.heads, -1).transpose(1, 2)
        k, v = (part.view(b, memory.shape[1], self.heads, -1).transpose(1, 2) for part in self.key_value(memory).split(c, dim=2))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, c))


class Mlp(nn.Sequential):
    def __init__(self, width, hidden, activation, dropout):
        super().__init__(nn.Linear(width, hidden), activation, nn.Dropout(dropout), nn.Linear(hidden, width))


class Layer(nn.Module):
    """An encoder's, a decoder's or a GPT's layer: sub-layers with a norm before or after each residual sum."""

    def __init__(self, width, heads, hidden, activation, dropout, causal, cross, pre_norm):
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = Attention(width, heads, causal)
        self.cross = CrossAttention(width, heads) if cross else None
        self.mlp = Mlp(width, hidden, activation, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if cross else 2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory=None):
        parts = [self.attention, *([lambda y: self.cross(y, memory)] if self.cross else []), self.mlp]
        for norm, part in zip(self.norms, parts):
            x = x + self.dropout(part(norm(x))) if self.pre_norm else norm(x + self.dropout(part(x)))
        return x


def sinusoids(tokens, width):
    position = torch.arange(tokens)[:, None]
    angle = position / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], dim=2).reshape(tokens, width)


class Seq2Seq(nn.Module):
    def __init__(self, vocabulary, width, heads, hidden, layers, tokens, dropout):
        super().__init__()
        of = lambda causal, cross: nn.ModuleList(
            Layer(width, heads, hidden, nn.ReLU(), dropout, causal, cross, False) for _ in range(layers))
        self.source, self.target = nn.Embedding(vocabulary, width), nn.Embedding(vocabulary, width)
        self.encoder, self.decoder = of(False, False), of(True, True)
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head, self.dropout, self.scale = nn.Linear(width, vocabulary), nn.Dropout(dropout), width ** 0.5
        self.register_buffer("positions", sinusoids(tokens, width))

    def forward(self, source, inputs, targets):
        memory = self.dropout(self.source(source) * self.scale + self.positions[: source.shape[1]])
        for layer in self.encoder:
            memory = layer(memory)
        memory = self.encoder_norm(memory)
        x = self.dropout(self.target(inputs) * self.scale + self.positions[: inputs.shape[1]])
        for layer in self.decoder:
            x = layer(x, memory)
        return F.cross_entropy(self.head(self.decoder_norm(x)).flatten(0, 1), targets.flatten())


class GPT2(nn.Module):
    def __init__(self, vocabulary, width, heads, layers, tokens):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, width), nn.Embedding(tokens, width)
        self.layers = nn.ModuleList(
            Layer(width, heads, 4 * width, nn.GELU(approximate="tanh"), 0.0, True, False, True) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs, targets):
        x = self.token(inputs) + self.position.weight[: inputs.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return F.cross_entropy(F.linear(self.norm(x), self.token.weight).flatten(0, 1), targets.flatten())


JOBS = {  # model, sequences, tokens, vocabulary, seq2seq?
    "tutorial_job": (lambda: Seq2Seq(13, 128, 4, 2048, 2, 16, 0.1), 32, 8, 13, True),
    "gpt_small_step": (lambda: GPT2(256, 384, 6, 6, 256), 8, 256, 256, False),
    "gpt2_step_4x256": (lambda: GPT2(50257, 768, 12, 12, 256), 4, 256, 50257, False),
    "gpt2_step_1x1024": (lambda: GPT2(50257, 768, 12, 12, 1024), 1, 1024, 50257, False),
    "gpt2_step_16x1024": (lambda: GPT2(50304, 768, 12, 12, 1024), 16, 1024, 50304, False),
    "gpt2_xl_step_4x1024": (lambda: GPT2(50304, 1600, 25, 48, 1024), 4, 1024, 50304, False),
}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--serve", required=True, help="JOB/PRECISION/THREADS")
    options.add_argument("--compile", action="store_true")
    chosen = options.parse_args()
    job, precision, threads = chosen.serve.split("/")
    device = "cuda" if threads == "gpu" else "cpu"
    if device == "cpu":
        torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    make, sequences, tokens, vocabulary, pairs = JOBS[job]
    model = make().to(device)
    # fused: one pass over each parameter, as mpx's update
    optimizer = (torch.optim.Adam if pairs else torch.optim.AdamW)(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model) if chosen.compile else model
    ids = lambda: torch.randint(vocabulary, (sequences, tokens)).to(device)
    batch = [ids(), ids(), ids()] if pairs else [ids(), ids()]
    arithmetic = torch.autocast(device, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()

    def step():
        begin = time.perf_counter()
        with arithmetic:
            loss = run(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        return time.perf_counter() - begin

    for _ in range(3):
        step()
    print("ready", sequences * tokens, flush=True)
    for line in sys.stdin:
        seconds = [f"{step():.6f}" for _ in range(int(line))]
        of_gpu = torch.cuda.max_memory_reserved() / 2**20 if device == "cuda" else None
        print(*seconds, of_gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


main()
