#!/usr/bin/env python3
"""Turns the GGUF file of SmolLM2-135M-Instruct into a Hugging Face folder. Called by scripts/real-models.sh.

Three things that transformers 5.23 gets wrong when it reads this file are put right here:
- it will not save a model read from GGUF, so the tensors move into a fresh one;
- it drops the tokenizer's digit splitting (`tokenizer.ggml.pre` = smollm): each digit is a token of its own;
- `rms_norm_eps` comes back as the f32 nearest to 1e-5.

Usage: python scripts/real_models.py FILE.gguf FOLDER
"""

import pathlib
import sys

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

CONTEXT_TOKENS = 8192


def model_of(gguf):
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    fields = read.config.to_dict()
    for field in ["quantization_config", "_name_or_path", "_model_name_or_path", "transformers_version", "unk_token_id"]:
        fields.pop(field, None)
    model = LlamaForCausalLM(LlamaConfig(**(fields | {"rms_norm_eps": 1e-5})))
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    return model


def tokenizer_of(gguf):
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = CONTEXT_TOKENS
    return tokenizer


def check(folder):
    """What the published model is known for, so that a change of a library is noticed here."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("a 123") == ["a", "Ġ", "1", "2", "3"], tokenizer.tokenize("a 123")
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    chat = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.generation_config.eos_token_id == 2
    answer = model.generate(**ids, do_sample=False, max_new_tokens=16)[0, ids["input_ids"].shape[1] :]
    text = tokenizer.decode(answer)
    print("asked for the capital of France it says:", text)
    assert "Paris" in text and text.endswith("<|im_end|>")


def main():
    gguf, folder = map(pathlib.Path, sys.argv[1:])
    model_of(gguf).save_pretrained(folder)
    tokenizer_of(gguf).save_pretrained(folder)
    check(folder)


if __name__ == "__main__":
    main()
