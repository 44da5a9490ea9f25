"""Peer of `essaim-bench step`: one f32 training step (forward, backward, AdamW) in PyTorch eager.

Usage: torch_step.py d128|d256|0.5b [--steps N] [--threads N]
Prints one JSON line: {"tokens_per_s": median over the timed steps, ...}.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {
    # name: (width, layers, heads, kv heads, ff, vocabulary, batch, tokens)
    "d128": (128, 4, 4, 4, 512, 64, 64, 64),
    "d256": (256, 4, 4, 4, 1024, 64, 64, 64),
}


class Block(nn.Module):
    def __init__(self, width, heads, ff):
        super().__init__()
        linear = lambda a, b: nn.Linear(a, b, bias=False)
        self.q, self.k, self.v, self.o = (linear(width, width) for _ in range(4))
        self.gate, self.up, self.down = linear(width, ff), linear(width, ff), linear(ff, width)
        self.norm1, self.norm2, self.heads = nn.RMSNorm(width), nn.RMSNorm(width), heads

    def forward(self, x):
        batch, tokens, width = x.shape
        split = lambda z: z.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
        y = self.norm1(x)
        attended = F.scaled_dot_product_attention(split(self.q(y)), split(self.k(y)), split(self.v(y)), is_causal=True)
        x = x + self.o(attended.transpose(1, 2).reshape(batch, tokens, width))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Small(nn.Module):
    def __init__(self, width, layers, heads, ff, vocabulary):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList([Block(width, heads, ff) for _ in range(layers)])
        self.norm = nn.RMSNorm(width)
        # As transformers initialises; the default of 1 saturates the softmax, and then gradients are
        # denormal numbers, on which this CPU is ten times slower.
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embed.weight.t()


def build(name):
    if name == "0.5b":
        from transformers import Qwen2Config, Qwen2ForCausalLM

        model = Qwen2ForCausalLM(Qwen2Config(
            hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
            num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True, max_position_embeddings=2048))
        return model, (lambda ids: model(ids, use_cache=False).logits), 4, 256, 151936
    width, layers, heads, _, ff, vocabulary, batch, tokens = SHAPES[name]
    model = Small(width, layers, heads, ff, vocabulary)
    return model, model, batch, tokens, vocabulary


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=["d128", "d256", "0.5b"])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, logits_of, batch, tokens, vocabulary = build(args.shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids = torch.randint(0, vocabulary, (batch, tokens))
    targets = torch.randint(0, vocabulary, (batch, tokens))

    def step():
        optimiser.zero_grad()
        logits = logits_of(ids)
        loss = F.cross_entropy(logits.view(-1, vocabulary), targets.view(-1))
        loss.backward()
        optimiser.step()
        return loss.item()

    for _ in range(2 if args.shape != "0.5b" else 1):
        step()
    seconds = []
    for _ in range(args.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    print(json.dumps({"tokens_per_s": batch * tokens / median, "seconds": median,
                      "parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
