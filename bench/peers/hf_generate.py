"""Peer of `essaim-bench generate`: transformers.generate on the CPU with random weights.

Usage: hf_generate.py d256|0.5b|smollm2 [--dtype f32|bf16] [--rounds N] [--threads N]
d256: 64 sequences, 32+64 tokens. 0.5b: 16 sequences (two prompts, 8 samples each), 64+32 tokens.
smollm2: 16 sequences, 64+64 tokens.
Prints one JSON line: {"tokens_per_s": ...} (generated tokens over wall time, prefill included).
"""
import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

SHAPES = {
    "d256": (dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=2, vocab_size=512, tie_word_embeddings=True), 64, 1, 32, 64),
    "0.5b": (dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                  num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True), 2, 8, 64, 32),
    "smollm2": (dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                     num_key_value_heads=3, vocab_size=49152, tie_word_embeddings=True), 16, 1, 64, 64),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=list(SHAPES))
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config, prompts, samples, prompt_tokens, new_tokens = SHAPES[args.shape]
    of_config, of_model = (LlamaConfig, LlamaForCausalLM) if args.shape == "smollm2" else (Qwen2Config, Qwen2ForCausalLM)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype]
    model = of_model(of_config(**config, max_position_embeddings=2048, eos_token_id=None)).to(dtype).eval()
    ids = torch.randint(0, 500, (prompts, prompt_tokens)).repeat_interleave(samples, 0)
    run = lambda x, n: model.generate(x, max_new_tokens=n, min_new_tokens=n, do_sample=True, top_k=0,
                                      pad_token_id=0, attention_mask=torch.ones_like(x))
    with torch.no_grad():
        run(ids[:2], 4)
        times = []
        for _ in range(args.rounds):
            start = time.perf_counter()
            run(ids, new_tokens)
            times.append(time.perf_counter() - start)
        seconds = statistics.median(times)
    print(json.dumps({"tokens_per_s": ids.shape[0] * new_tokens / seconds, "seconds": seconds,
                      "transformers": transformers.__version__}))


if __name__ == "__main__":
    main()
