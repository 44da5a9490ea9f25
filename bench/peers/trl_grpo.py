"""Peer of `essaim run bench/{spell_backward,reverse_text}.toml`: TRL's GRPOTrainer on the CPU in f32.

Usage: trl_grpo.py spell-backward [--steps N] [--lr X] [--target R]   time to a mean reward of R (10-step mean)
       trl_grpo.py reverse-text  [--steps N]                          samples per second, 64-token completions
       trl_grpo.py sums --model DIR --data FILE [--steps N]           seconds per step, peak memory, reward
The model (2 layers, width 128, 4 heads, ff 512, tied head), the character tokenizer, the prompts
and the reward are those of the run files; `sums` is examples/sums.toml. Prints one JSON line.
"""
import argparse
import json
import random
import re
import resource
import string
import time

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM,
                          TrainerCallback)
from trl import GRPOConfig, GRPOTrainer


def tokenizer():
    vocabulary = {"<pad>": 0, "<eos>": 1, "<unk>": 2}
    vocabulary.update({c: i + 3 for i, c in enumerate(list(string.ascii_lowercase) + [" ", "=", ":"])})
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    return len(vocabulary), PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left")


def spell_reward(completions, answer, **_):
    rewards = []
    for completion, expected in zip(completions, answer):
        text = completion.replace(" ", "").strip()
        rewards.append(sum(x == y for x, y in zip(text, expected)) / max(len(text), len(expected), 1))
    return rewards


def reverse_reward(completions, answer, **_):
    from difflib import SequenceMatcher

    return [SequenceMatcher(None, c, a).ratio() for c, a in zip(completions, answer)]


def sums_reward(completions, answer, **_):
    rewards = []
    for completion, expected in zip(completions, answer):
        numbers = re.findall(r"-?\d+", completion[0]["content"])
        rewards.append(float(bool(numbers) and int(numbers[-1]) == int(expected)))
    return rewards


def small(task):
    """Model, tokenizer, prompts, reward and sizes of the two runs from random weights."""
    size, tok = tokenizer()
    spell = task == "spell-backward"
    model = Qwen2ForCausalLM(Qwen2Config(
        hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=size, max_position_embeddings=64 if spell else 256, tie_word_embeddings=True, pad_token_id=0,
        eos_token_id=1, bos_token_id=None))
    length = 3 if spell else 62
    words = ["".join(random.choices(string.ascii_lowercase, k=length)) for _ in range(20000)]
    data = Dataset.from_list([{"prompt": w + "=", "answer": w[::-1]} for w in words])
    settings = dict(per_device_train_batch_size=256, num_generations=16, max_completion_length=6 if spell else 64,
                    temperature=1.0, logging_steps=10 if spell else 1)
    return model, tok, data, spell_reward if spell else reverse_reward, settings


def sums(folder, file):
    """The same of examples/sums.toml."""
    rows = [json.loads(line) for line in open(file, encoding="utf-8")]
    data = Dataset.from_list([{"prompt": [{"role": "user", "content": row["question"]}],
                               "answer": row["answer"].split("####")[-1].strip()} for row in rows])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    settings = dict(per_device_train_batch_size=64, num_generations=8, max_completion_length=24, temperature=0.7,
                    warmup_steps=3, adam_beta2=0.95, logging_steps=1)
    return model, AutoTokenizer.from_pretrained(folder), data, sums_reward, settings


class Watch(TrainerCallback):
    def __init__(self, target):
        self.start, self.target, self.reached, self.rewards, self.marks = time.perf_counter(), target, None, [], []

    def on_step_end(self, args, state, control, **_):
        self.marks.append(time.perf_counter())

    def on_log(self, args, state, control, logs=None, **_):
        if "reward" not in (logs or {}):
            return
        self.rewards.append(float(logs["reward"]))
        if self.target and self.reached is None and self.rewards[-1] >= self.target:
            self.reached = (time.perf_counter() - self.start, state.global_step)
            control.should_training_stop = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["spell-backward", "reverse-text", "sums"])
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--target", type=float, default=0.8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    made = sums(args.model, args.data) if args.task == "sums" else small(args.task)
    model, tok, data, reward, settings = made
    lr = args.lr or (2e-5 if args.task == "sums" else 4e-4)
    watch = Watch(args.target if args.task == "spell-backward" else None)
    config = GRPOConfig(
        output_dir="/tmp/trl_out", learning_rate=lr, lr_scheduler_type="constant_with_warmup", max_steps=args.steps, report_to=[],
        use_cpu=True, bf16=False, beta=0.0, save_strategy="no", disable_tqdm=True,
        gradient_checkpointing=args.gradient_checkpointing,
        seed=args.seed, **settings)
    trainer = GRPOTrainer(
        model=model, reward_funcs=reward, args=config, train_dataset=data, processing_class=tok, callbacks=[watch])
    watch.start = time.perf_counter()
    trainer.train()
    total = time.perf_counter() - watch.start
    steps, samples = len(watch.marks), settings["per_device_train_batch_size"]
    # The first steps hold one-time costs; the rate is taken over the rest.
    warm = min(3, steps - 1)
    rate = samples * (steps - warm) / (watch.marks[-1] - watch.marks[warm - 1]) if warm else samples * steps / total
    print(json.dumps({
        "seconds_to_target": watch.reached[0] if watch.reached else None,
        "steps_to_target": watch.reached[1] if watch.reached else None,
        "samples_per_s": rate, "seconds": total, "steps": steps, "rewards": watch.rewards,
        "seconds_per_step": total / steps,
        "peak_gibibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


if __name__ == "__main__":
    main()
