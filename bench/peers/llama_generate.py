"""Peer of `essaim-bench generate smollm2`: llama.cpp on the CPU, decoding a batch of sequences.

Usage: llama_generate.py MODEL.gguf [--batch N] [--rounds N] [--threads N]
Each sequence has a prompt of 64 tokens of its own and 64 new ones. Runs `llama-batched-bench`, which scripts/llama-cpp.sh
builds; it computes logits for every new token and draws nothing.
Prints one JSON line: {"tokens_per_s": ...} (generated tokens over wall time, prefill included).
"""
import argparse
import json
import os
import statistics
import subprocess


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    binary = os.path.expanduser("~/.cache/essaim/peers/llama.cpp/bin/llama-batched-bench")
    command = [binary, "-m", args.model, "-c", str(args.batch * 144), "-npp", "64", "-ntg", "64",
               "-npl", ",".join([str(args.batch)] * (args.rounds + 1)), "-t", str(args.threads), "-tb", str(args.threads),
               "--output-format", "jsonl"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # The first round warms up.
    rounds = [json.loads(line) for line in output.splitlines() if line.startswith("{")][1:]
    seconds = statistics.median(float(round["t"]) for round in rounds)
    print(json.dumps({"tokens_per_s": args.batch * 64 / seconds, "seconds": seconds,
                      "decoding_tokens_per_s": statistics.median(float(round["speed_tg"]) for round in rounds)}))


if __name__ == "__main__":
    main()
