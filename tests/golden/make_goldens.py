#!/usr/bin/env python3
"""Writes what PyTorch computes for two small models beside this file: seq2seq and gpt2, two files each.

    python3 make_goldens.py            needs torch and safetensors

MODEL.safetensors holds
    initial/NAME    every parameter before training; F16, and exactly so, hence F16 is no rounding
    batch/...       token ids and lengths, I32; targets are -1 at padding
    logits          [B, T, V] of the first step
    loss            [1] mean over the targets that are not padding
    gradient_norm   [1] over all parameters, before clipping
    gradient/NAME   of that mean
MODEL_after_3.safetensors holds
    after_3/NAME    every parameter after 3 steps with this batch: clip by global norm 1, noam with warmup 100,
                    Adam (0.9, 0.999, 1e-8)
    loss_2, loss_3  [1] the loss that steps 2 and 3 began with

Everything is computed in float64, without dropout, and rounded once when stored as F32: the files are the truth
within half a unit of f32. Names are those of mpx: the row, the sections inside it, the parameter's label.

The key third of each qkv.bias, and the key half of key_value.bias, have no gradient in exact arithmetic: they move
all scores of a query alike. Adam divides the rounding that stands in its place by itself, so after_3 of those
elements is arbitrary within the sum of the three rates, 0.001.

A model is written out here step by step on purpose; torch.nn.Transformer orders and initialises things its own way.
"""

import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, HEADS, LAYERS, CONTEXT = 32, 4, 2, 16


class Parameters(dict):
    """Name to tensor, drawn where it is first asked for."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, name, shape, mean=0.0, deviation=1.0):
        values = torch.randn(shape, generator=self.generator, dtype=torch.float64) * deviation + mean
        self[name] = values.to(torch.float16).to(torch.float64).requires_grad_()

    def linear(self, name, rows, columns):
        self.draw(name + ".weight", (rows, columns), deviation=0.5 / math.sqrt(columns))
        self.draw(name + ".bias", (rows,), deviation=0.1)

    def norm(self, name):
        self.draw(name + ".norm.weight", (WIDTH,), mean=1.0, deviation=0.1)
        self.draw(name + ".norm.bias", (WIDTH,), deviation=0.1)

    def self_attention(self, name):
        self.norm(name)
        self.linear(name + ".qkv", 3 * WIDTH, WIDTH)
        self.linear(name + ".out", WIDTH, WIDTH)

    def cross_attention(self, name):
        self.norm(name)
        self.linear(name + ".query", WIDTH, WIDTH)
        self.linear(name + ".key_value", 2 * WIDTH, WIDTH)
        self.linear(name + ".out", WIDTH, WIDTH)

    def mlp(self, name, feed_forward):
        self.norm(name)
        self.linear(name + ".up", feed_forward, WIDTH)
        # Half of the units well above zero, half well below: no rounding turns a relu on or off.
        self[name + ".up.bias"].data += torch.tensor([2.0, -2.0]).repeat(feed_forward // 2)
        self[name + ".up.bias"].data = self[name + ".up.bias"].data.to(torch.float16).to(torch.float64)
        self.linear(name + ".down", WIDTH, feed_forward)


def linear(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def norm(p, name, x):
    return F.layer_norm(x, (WIDTH,), p[name + ".norm.weight"], p[name + ".norm.bias"], eps=1e-5)


def attend(q, k, v, allowed):
    """q: [B, Tq, C]; k, v: [B, Tk, C]; allowed: [B or 1, Tq or 1, Tk]. Head h owns the columns from h * C / H."""
    split = lambda x: x.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
    scores = split(q) @ split(k).transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
    shares = scores.masked_fill(~allowed.unsqueeze(1), -math.inf).softmax(-1)
    return (shares @ split(v)).transpose(1, 2).flatten(-2)


def self_attention(p, name, x, allowed):
    q, k, v = linear(p, name + ".qkv", norm(p, name, x)).chunk(3, dim=-1)
    return x + linear(p, name + ".out", attend(q, k, v, allowed))


def cross_attention(p, name, x, memory, allowed):
    q = linear(p, name + ".query", norm(p, name, x))
    k, v = linear(p, name + ".key_value", memory).chunk(2, dim=-1)
    return x + linear(p, name + ".out", attend(q, k, v, allowed))


def mlp(p, name, x, activation):
    return x + linear(p, name + ".down", activation(linear(p, name + ".up", norm(p, name, x))))


def causal(tokens):
    return torch.ones(1, tokens, tokens, dtype=torch.bool).tril()


def valid(lengths, tokens):
    return (torch.arange(tokens) < lengths.unsqueeze(1)).unsqueeze(1)


def sinusoidal_positions(tokens):
    angles = torch.arange(tokens, dtype=torch.float64).unsqueeze(1) / 10000 ** (
        torch.arange(0, WIDTH, 2, dtype=torch.float64) / WIDTH)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


class Seq2Seq:
    """seq2seq<source_vocabulary<11>, target_vocabulary<13>, width<32>, heads<4>, feed_forward<64>,
    encoder_layers<2>, decoder_layers<2>, context<16>>"""

    SOURCE, TARGET, FEED_FORWARD = 11, 13, 64

    def parameters(self):
        p = Parameters(seed=1)
        p.draw("encoder.embedding.token.weight", (self.SOURCE, WIDTH), deviation=1 / math.sqrt(WIDTH))
        for i in range(LAYERS):
            p.self_attention(f"encoder.layers.{i}.attention")
            p.mlp(f"encoder.layers.{i}.mlp", self.FEED_FORWARD)
        p.norm("encoder.norm")
        p.draw("decoder.embedding.token.weight", (self.TARGET, WIDTH), deviation=1 / math.sqrt(WIDTH))
        for i in range(LAYERS):
            p.self_attention(f"decoder.layers.{i}.attention")
            p.cross_attention(f"decoder.layers.{i}.cross_attention")
            p.mlp(f"decoder.layers.{i}.mlp", self.FEED_FORWARD)
        p.norm("decoder.norm")
        p.draw("decoder.head.weight", (self.TARGET, WIDTH), deviation=1 / math.sqrt(WIDTH))
        return p

    def batch(self):
        return {  # 0 <pad>, 1 <sos>, 2 <eos>
            "source": [[3, 10, 1, 7, 4], [2, 9, 0, 0, 0], [5, 5, 8, 6, 0]],
            "source_lengths": [5, 2, 4],
            "inputs": [[1, 5, 12, 3, 9, 6], [1, 4, 11, 0, 0, 0], [1, 7, 7, 10, 8, 0]],
            "targets": [[5, 12, 3, 9, 6, 2], [4, 11, 2, -1, -1, -1], [7, 7, 10, 8, 2, -1]],
            "target_lengths": [6, 3, 5],
        }

    def logits(self, p, batch):
        known = valid(batch["source_lengths"], batch["source"].shape[1])
        embed = lambda side, ids: (p[f"{side}.embedding.token.weight"][ids] * math.sqrt(WIDTH) +
                                   sinusoidal_positions(ids.shape[1]))
        memory = embed("encoder", batch["source"])
        for i in range(LAYERS):
            memory = self_attention(p, f"encoder.layers.{i}.attention", memory, known)
            memory = mlp(p, f"encoder.layers.{i}.mlp", memory, F.relu)
        memory = norm(p, "encoder.norm", memory)
        x = embed("decoder", batch["inputs"])
        for i in range(LAYERS):
            x = self_attention(p, f"decoder.layers.{i}.attention", x, causal(x.shape[1]))
            x = cross_attention(p, f"decoder.layers.{i}.cross_attention", x, memory, known)
            x = mlp(p, f"decoder.layers.{i}.mlp", x, F.relu)
        return norm(p, "decoder.norm", x) @ p["decoder.head.weight"].T


class GPT2:
    """gpt2<vocabulary<61>, width<32>, heads<4>, layers<2>, context<16>>: the head is the token table."""

    VOCABULARY = 61

    def parameters(self):
        p = Parameters(seed=2)
        p.draw("embedding.token.weight", (self.VOCABULARY, WIDTH), deviation=0.2)
        p.draw("embedding.position.weight", (CONTEXT, WIDTH), deviation=0.2)
        for i in range(LAYERS):
            p.self_attention(f"layers.{i}.attention")
            p.mlp(f"layers.{i}.mlp", 4 * WIDTH)
        p.norm("norm")
        return p

    def batch(self):
        return {
            "inputs": [[17, 60, 3, 3, 41, 28], [5, 22, 9, 0, 0, 0], [33, 1, 58, 12, 47, 0]],
            "targets": [[60, 3, 3, 41, 28, 0], [22, 9, 50, -1, -1, -1], [1, 58, 12, 47, 19, -1]],
            "target_lengths": [6, 3, 5],
        }

    def logits(self, p, batch):
        ids = batch["inputs"]
        x = p["embedding.token.weight"][ids] + p["embedding.position.weight"][:ids.shape[1]]
        for i in range(LAYERS):
            x = self_attention(p, f"layers.{i}.attention", x, causal(ids.shape[1]))
            x = mlp(p, f"layers.{i}.mlp", x, lambda y: F.gelu(y, approximate="tanh"))
        return norm(p, "norm", x) @ p["embedding.token.weight"].T


def noam(step, warmup=100):
    """Vaswani et al. 2017, section 5.3; the first step is 1."""
    return WIDTH ** -0.5 * min(step ** -0.5, step * warmup ** -1.5)


def save(stored, path):
    exact = (torch.float16, torch.int32)
    save_file({name: (value if value.dtype in exact else value.float()).contiguous() for name, value in stored.items()},
              path)
    print(f"{path.name}: {path.stat().st_size} bytes")


def golden(model, name):
    here = pathlib.Path(__file__).resolve().parent
    p = model.parameters()
    batch = {name: torch.tensor(values) for name, values in model.batch().items()}
    stored = {"initial/" + name: value.detach().to(torch.float16) for name, value in p.items()}
    stored |= {"batch/" + name: values.to(torch.int32) for name, values in batch.items()}
    first = {name: torch.zeros_like(value) for name, value in p.items()}
    second = {name: torch.zeros_like(value) for name, value in p.items()}
    later = {}
    for step in (1, 2, 3):
        logits = model.logits(p, batch)
        loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-1, reduction="mean")
        gradients = dict(zip(p, torch.autograd.grad(loss, list(p.values()))))
        total = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients.values()))
        factor = 1 / total if total > 1 else 1.0
        print(f"{name}: step {step}, loss {loss.item():.6f}, gradient norm {total:.6f}, rate {noam(step):.6f}")
        if step == 1:
            stored |= {"logits": logits.detach(), "loss": loss.detach().reshape(1)}
            stored["gradient_norm"] = torch.tensor([total])
            stored |= {"gradient/" + name: gradient for name, gradient in gradients.items()}
        else:
            later[f"loss_{step}"] = loss.detach().reshape(1)
        with torch.no_grad():
            for key, value in p.items():
                gradient = gradients[key] * factor
                first[key] = 0.9 * first[key] + 0.1 * gradient
                second[key] = 0.999 * second[key] + 0.001 * gradient.square()
                mean = first[key] / (1 - 0.9 ** step)
                deviation = (second[key] / (1 - 0.999 ** step)).sqrt()
                value -= noam(step) * mean / (deviation + 1e-8)
    later |= {"after_3/" + name: value.detach() for name, value in p.items()}
    save(stored, here / f"{name}.safetensors")
    save(later, here / f"{name}_after_3.safetensors")


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    golden(Seq2Seq(), "seq2seq")
    golden(GPT2(), "gpt2")
