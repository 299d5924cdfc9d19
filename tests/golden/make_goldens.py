#!/usr/bin/env python3
"""Writes what PyTorch computes for three small models beside this file: seq2seq, gpt2 and t5, two files each.

    python3 make_goldens.py            needs torch and safetensors
    python3 make_goldens.py --check    compares t5 with the one of transformers, which it needs too; writes nothing

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
import sys

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


def rms_norm(p, name, x):
    return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * p[name + ".norm.weight"]


class T5:
    """t5<vocabulary<29>, width<32>, heads<4>, head_width<12>, feed_forward<64>, encoder_layers<2>, decoder_layers<2>>,
    with sequences that are long enough for the buckets that hold several distances"""

    VOCABULARY, HEAD_WIDTH, FEED_FORWARD, BUCKETS, MOST_DISTANCE = 29, 12, 64, 32, 128
    INNER = HEADS * HEAD_WIDTH

    def parameters(self):
        p = Parameters(seed=3)
        weight = lambda name, rows, inputs: p.draw(name + ".weight", (rows, inputs), deviation=0.5 / math.sqrt(inputs))
        scale = lambda name: p.draw(name + ".norm.weight", (WIDTH,), mean=1.0, deviation=0.1)
        p.draw("encoder.embedding.token.weight", (self.VOCABULARY, WIDTH), deviation=0.5)
        for side in ("encoder", "decoder"):
            for i in range(LAYERS):
                at = f"{side}.layers.{i}"
                scale(at + ".attention")
                weight(at + ".attention.qkv", 3 * self.INNER, WIDTH)
                weight(at + ".attention.out", WIDTH, self.INNER)
                if i == 0:
                    p.draw(at + ".attention.relative.weight", (self.BUCKETS, HEADS), deviation=0.5)
                if side == "decoder":
                    scale(at + ".cross_attention")
                    weight(at + ".cross_attention.query", self.INNER, WIDTH)
                    weight(at + ".cross_attention.key_value", 2 * self.INNER, WIDTH)
                    weight(at + ".cross_attention.out", WIDTH, self.INNER)
                scale(at + ".mlp")
                weight(at + ".mlp.up", self.FEED_FORWARD, WIDTH)
                weight(at + ".mlp.down", WIDTH, self.FEED_FORWARD)
            scale(side + ".norm")
        return p

    def batch(self):
        draw = torch.Generator().manual_seed(4)
        ids = lambda tokens: torch.randint(2, self.VOCABULARY, (3, tokens), generator=draw)
        source, inputs, targets = ids(40), ids(24), ids(24)
        lengths = {"source_lengths": [40, 7, 31], "target_lengths": [24, 5, 18]}
        for s in range(3):
            source[s, lengths["source_lengths"][s]:] = 0
            inputs[s, lengths["target_lengths"][s]:] = 0
            targets[s, lengths["target_lengths"][s]:] = -1
        inputs[:, 0] = 1
        return {"source": source.tolist(), "inputs": inputs.tolist(), "targets": targets.tolist()} | lengths

    def bias(self, p, side, tokens):
        """[1, H, Tq, Tk]: the paper's buckets, by its logarithm"""
        distance = torch.arange(tokens).unsqueeze(0) - torch.arange(tokens).unsqueeze(1)  # key - query
        buckets, first = self.BUCKETS, torch.zeros_like(distance)
        if side == "encoder":
            buckets //= 2
            first = (distance > 0) * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        share = (distance.clamp(min=1).double() / exact).log() / math.log(self.MOST_DISTANCE / exact)
        far = (exact + (share * (buckets - exact)).long()).clamp(max=buckets - 1)
        bucket = first + torch.where(distance < exact, distance, far)
        return p[f"{side}.layers.0.attention.relative.weight"][bucket].permute(2, 0, 1).unsqueeze(0)

    def attend(self, q, k, v, allowed, bias):
        split = lambda x: x.unflatten(-1, (HEADS, self.HEAD_WIDTH)).transpose(1, 2)
        scores = split(q) @ split(k).transpose(-1, -2) + bias
        shares = scores.masked_fill(~allowed.unsqueeze(1), -math.inf).softmax(-1)
        return (shares @ split(v)).transpose(1, 2).flatten(-2)

    def stack(self, p, side, x, allowed, memory=None, known=None):
        product = lambda name, x: x @ p[name + ".weight"].T
        bias = self.bias(p, side, x.shape[1])
        for i in range(LAYERS):
            at = f"{side}.layers.{i}"
            q, k, v = product(at + ".attention.qkv", rms_norm(p, at + ".attention", x)).chunk(3, dim=-1)
            x = x + product(at + ".attention.out", self.attend(q, k, v, allowed, bias))
            if memory is not None:
                q = product(at + ".cross_attention.query", rms_norm(p, at + ".cross_attention", x))
                k, v = product(at + ".cross_attention.key_value", memory).chunk(2, dim=-1)
                x = x + product(at + ".cross_attention.out", self.attend(q, k, v, known, 0))
            x = x + product(at + ".mlp.down", F.relu(product(at + ".mlp.up", rms_norm(p, at + ".mlp", x))))
        return rms_norm(p, side + ".norm", x)

    def logits(self, p, batch):
        table = p["encoder.embedding.token.weight"]
        known = valid(batch["source_lengths"], batch["source"].shape[1])
        memory = self.stack(p, "encoder", table[batch["source"]], known)
        x = self.stack(p, "decoder", table[batch["inputs"]], causal(batch["inputs"].shape[1]), memory, known)
        return x / math.sqrt(WIDTH) @ table.T

    def check(self):
        """The same logits as those of transformers' T5ForConditionalGeneration, whose norms are asked to add 1e-5."""
        from transformers import T5Config, T5ForConditionalGeneration
        theirs = T5ForConditionalGeneration(T5Config(
            vocab_size=self.VOCABULARY, d_model=WIDTH, d_kv=self.HEAD_WIDTH, d_ff=self.FEED_FORWARD, num_layers=LAYERS,
            num_heads=HEADS, dropout_rate=0.0, layer_norm_epsilon=1e-5)).double().eval()
        p = self.parameters()
        values = {"shared.weight": p["encoder.embedding.token.weight"]}
        for side in ("encoder", "decoder"):
            values[f"{side}.final_layer_norm.weight"] = p[f"{side}.norm.norm.weight"]
            values[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = p[
                f"{side}.layers.0.attention.relative.weight"]
            for i in range(LAYERS):
                ours, block = f"{side}.layers.{i}", f"{side}.block.{i}.layer"
                parts = zip("qkv", p[ours + ".attention.qkv.weight"].chunk(3))
                values |= {f"{block}.0.SelfAttention.{part}.weight": value for part, value in parts}
                values[f"{block}.0.SelfAttention.o.weight"] = p[ours + ".attention.out.weight"]
                values[f"{block}.0.layer_norm.weight"] = p[ours + ".attention.norm.weight"]
                last = 1
                if side == "decoder":
                    last = 2
                    values[f"{block}.1.EncDecAttention.q.weight"] = p[ours + ".cross_attention.query.weight"]
                    parts = zip("kv", p[ours + ".cross_attention.key_value.weight"].chunk(2))
                    values |= {f"{block}.1.EncDecAttention.{part}.weight": value for part, value in parts}
                    values[f"{block}.1.EncDecAttention.o.weight"] = p[ours + ".cross_attention.out.weight"]
                    values[f"{block}.1.layer_norm.weight"] = p[ours + ".cross_attention.norm.weight"]
                values[f"{block}.{last}.DenseReluDense.wi.weight"] = p[ours + ".mlp.up.weight"]
                values[f"{block}.{last}.DenseReluDense.wo.weight"] = p[ours + ".mlp.down.weight"]
                values[f"{block}.{last}.layer_norm.weight"] = p[ours + ".mlp.norm.weight"]
        copies = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}
        missing = theirs.load_state_dict(values, strict=False)
        assert not missing.unexpected_keys and set(missing.missing_keys) <= copies, missing
        batch = {name: torch.tensor(values) for name, values in self.batch().items()}
        known = valid(batch["source_lengths"], batch["source"].shape[1]).squeeze(1)
        should = theirs(input_ids=batch["source"], attention_mask=known.long(), decoder_input_ids=batch["inputs"],
                        use_cache=False).logits
        off = ((self.logits(p, batch) - should).norm() / should.norm()).item()
        print(f"t5 differs from transformers' by {off:.2e}")
        assert off < 1e-6  # its softmax is one of f32


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
    if "--check" in sys.argv:
        T5().check()
    else:
        golden(Seq2Seq(), "seq2seq")
        golden(GPT2(), "gpt2")
        golden(T5(), "t5")
