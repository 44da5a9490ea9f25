#!/usr/bin/env python3
"""Makes the parity fixtures of crates/model with transformers, from seeds.

For each family: a folder as `save_pretrained` writes it, holding a tiny model with seeded weights,
and `expected.safetensors` with token ids and the logits that transformers computes from that very
folder in f32. The variants differ in what can go wrong: tied and untied heads, biases, q/k norm,
Llama 3 rotary scaling, grouped queries, f32, bf16 and f16 files, one file and shards.
`chat` holds a small byte-level tokenizer with chat templates, texts, ids and rendered chats.

Needs torch, transformers 5, tokenizers, safetensors:  python scripts/make_model_fixtures.py
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

FIXTURES = pathlib.Path(__file__).parent.parent / "crates/model/tests/fixtures"
LENGTHS = [24, 1, 17]
SIZES = dict(
    vocab_size=70,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def families():
    """name, configuration, class, dtype of the files, largest shard."""
    f32, bf16, f16 = torch.float32, torch.bfloat16, torch.float16
    qwen2 = dict(SIZES, num_key_value_heads=2, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    llama = dict(SIZES, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2)
    return [
        ("qwen2_tied", Qwen2Config(**qwen2, tie_word_embeddings=True), Qwen2ForCausalLM, f32, "5GB"),
        ("qwen2_untied", Qwen2Config(**qwen2, eos_token_id=[3, 4]), Qwen2ForCausalLM, bf16, "5GB"),
        ("qwen3", Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16, tie_word_embeddings=True), Qwen3ForCausalLM, f16, "5GB"),
        ("llama2", LlamaConfig(**llama), LlamaForCausalLM, f32, "5GB"),
        ("llama3", LlamaConfig(**(llama | {"max_position_embeddings": 512}), num_key_value_heads=1, rope_parameters=LLAMA3_ROPE), LlamaForCausalLM, bf16, "20KB"),
        ("llama_biases", LlamaConfig(**llama, num_key_value_heads=2, attention_bias=True, mlp_bias=True), LlamaForCausalLM, f32, "5GB"),
    ]


def fill(model, seed):
    """Weights large enough that every part of the model moves the logits by far more than 1e-4."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise / parameter.shape[-1] ** 0.5)


def make_model(name, config, kind, dtype, shard, seed):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    model = kind(config)
    fill(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    sequences = [torch.randint(0, config.vocab_size, (1, length), generator=generator) for length in LENGTHS]
    with torch.no_grad():
        logits = torch.cat([model(ids).logits[0] for ids in sequences])
    tokens = torch.cat([ids[0] for ids in sequences]).to(torch.int32)
    save_file({"tokens": tokens, "logits": logits.contiguous()}, folder / "expected.safetensors")
    print(name, tuple(logits.shape), f"largest logit {logits.abs().max():.2f}")


# The shape of Qwen2.5's template without its tool parts.
QWEN = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
# The shape of Llama 2's and 3's: special tokens, Python methods, whitespace control, refusal.
LLAMA = """{{- bos_token }}
{% for message in messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Roles must alternate user/assistant') }}
    {% endif %}
    {% if message['role'].startswith('u') %}
[INST] {{ message['content'].strip() }} [/INST]
    {% else %}
{{ message['content'].split('</think>')[-1].lstrip() + eos_token }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '>' }}{% endif %}
"""
TEXTS = [
    "Spell backward: stone",
    "  two  spaces,\n\nnew lines\tand tabs ",
    "It's 12345 apples; they'll cost 6,789.",
    "Größe, naïve, 東京, 🙂 e\u0301",
    "<|im_start|>user\nhi<|im_end|>",
    "",
]
CHATS = [
    [{"role": "user", "content": " What is 2+2? "}],
    [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "<think>short</think>  Hi!"},
        {"role": "user", "content": 'Say <"&\'> and\n more'},
    ],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Go"}],
]


def make_tokenizer():
    """Byte-level BPE with Qwen2's normaliser and splitting rule, learned from the texts above."""
    rule = r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(rule), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([QWEN, LLAMA, *TEXTS], trainer)
    return tokenizer


def make_chat():
    folder = FIXTURES / "chat"
    shutil.rmtree(folder, ignore_errors=True)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(),
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = QWEN
    fast.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}) + "\n")
    fast = AutoTokenizer.from_pretrained(folder)
    texts = [{"text": t, "ids": fast(t)["input_ids"], "decoded": fast.decode(fast(t)["input_ids"], skip_special_tokens=True)} for t in TEXTS]
    chats = []
    for template_name, template in [("qwen", QWEN), ("llama", LLAMA)]:
        for messages in CHATS:
            for open_turn in [False, True]:
                try:
                    rendered = fast.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=open_turn)
                except Exception as error:  # the template's own refusal is part of what is expected
                    rendered = None
                    assert "alternate" in str(error), error
                chats.append({"template": template_name, "messages": messages, "add_generation_prompt": open_turn, "rendered": rendered})
    expected = {"made_with": f"transformers {transformers.__version__}", "texts": texts, "templates": {"qwen": QWEN, "llama": LLAMA}, "chats": chats}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print("chat", len(texts), "texts,", len(chats), "chats")


def main():
    torch.set_num_threads(1)
    for seed, (name, config, kind, dtype, shard) in enumerate(families()):
        make_model(name, config, kind, dtype, shard, 100 * seed)
    make_chat()


if __name__ == "__main__":
    main()
