"""Loads each folder given with transformers and writes what it computes as JSON to standard output.

For every folder: logits of the token ids in `ids.json` (f32), ids of the text in it, the stored dtype.
Exit status 77 where transformers or torch is not installed.
"""

import json
import pathlib
import sys

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

answers = []
for folder in map(pathlib.Path, sys.argv[1:]):
    asked = json.loads((folder / "ids.json").read_text())
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {key: sorted(map(str, value)) for key, value in info.items() if value}
    with torch.no_grad():
        logits = model.eval()(torch.tensor([asked["ids"]])).logits[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers.append(
        {
            "problems": problems,
            "logits": logits.flatten().tolist(),
            "text_ids": tokenizer(asked["text"])["input_ids"],
            "text": tokenizer.decode(tokenizer(asked["text"])["input_ids"]),
            "eos": tokenizer.eos_token_id,
            "pad": tokenizer.pad_token_id,
            "config_eos": model.config.eos_token_id,
            "stored": str(AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype),
        }
    )
json.dump(answers, sys.stdout)
