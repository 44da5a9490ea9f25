"""Writes crates/train/tests/fixtures/{losses,advantages,adamw,schedules}.json.

Promise: every expected number comes from somebody else's code or from autograd, never from ours.
- "trl" cases: TRL's own `GRPOTrainer._generate_and_score_completions` (advantages, importance weights) and
  `GRPOTrainer._compute_loss` (loss, metrics), run in float64 on crafted log-probabilities; gradients by autograd.
- "reference" cases: each preset written out plainly, one sequence at a time, float64, gradients by autograd.
- AdamW and clipping: `torch.optim.AdamW`, `torch.nn.utils.clip_grad_norm_`. Schedules: `transformers`.

Run: python scripts/make_loss_fixtures.py        (needs torch, transformers, trl; made with trl 1.16, torch 2.15)
"""

import json
import types
from collections import defaultdict
from pathlib import Path

import torch
import transformers
import trl
from trl import GRPOTrainer

OUT = Path(__file__).resolve().parent.parent / "crates/train/tests/fixtures"
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

LENGTHS = [7, 3, 1, 9, 5, 2, 6, 4]  # two groups of four
GROUP = 4
REWARDS = [1.0, 0.0, 0.25, 1.0, 0.5, 0.0, 0.0, 0.75]
MAX_COMPLETION = 12


def f32(x):
    """Rounds to f32, so that the numbers are the same on both sides."""
    return x.to(torch.float32).to(torch.float64)


def make_batch(drift, mismatch, seed):
    """Ragged log-probabilities: the engine's, the trainer's before the batch (old) and the trainer's now."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda n: torch.randn(n, generator=g)
    rows = []
    for n in LENGTHS:
        behaviour = -(torch.rand(n, generator=g) ** 2) * 4 - 0.01
        old = torch.clamp(behaviour + mismatch * rand(n), max=-1e-3)
        new = torch.clamp(old + drift * rand(n), max=-1e-3)
        rows.append({"behaviour": f32(behaviour), "old": f32(old), "new": f32(new), "entropy": f32(torch.rand(n, generator=g) * 2)})
    return rows


def padded(rows, key, value=0.0):
    return torch.nn.utils.rnn.pad_sequence([r[key] for r in rows], batch_first=True, padding_value=value)


class Accelerator:
    """The single-process calls TRL makes of accelerate."""

    device = torch.device("cpu")
    num_processes, process_index, is_main_process, sync_gradients = 1, 0, True, True

    def gather(self, x):
        return x.reshape(1) if x.dim() == 0 else x

    def reduce(self, x, reduction="sum"):
        return x


def trl_trainer(rows, **options):
    """A GRPOTrainer without a model: only the two model calls and the sampling are replaced by our numbers."""
    t = object.__new__(GRPOTrainer)
    args = dict(loss_type="grpo", epsilon_low=0.2, epsilon_high=0.2, delta=None, importance_sampling_level="token",
                scale_rewards="group", entropy_coef=0.0, vllm=None, cap=3.0, floor=None)
    args.update(options)
    t.args = types.SimpleNamespace(delta=args["delta"], per_device_train_batch_size=len(rows), use_bias_correction_kl=True,
                                   steps_per_generation=2, gradient_accumulation_steps=1, report_to=[], gradient_checkpointing_kwargs=None)
    t.accelerator = Accelerator()
    t.model = types.SimpleNamespace(training=True, is_gradient_checkpointing=False)
    t.current_gradient_accumulation_steps = 1
    t.environment_factories = t.environments = t.tools = None
    t._tokenizer = types.SimpleNamespace(pad_token_id=0)
    t.pad_to_multiple_of = None
    t.mask_truncated_completions = False
    t.num_iterations, t.num_generations = 1, GROUP
    t.beta, t.top_entropy_quantile, t.off_policy_mask_threshold = 0.0, 1.0, None
    t.aux_loss_enabled = t.use_adaptive_entropy = False
    t.use_vllm = args["vllm"] is not None
    t.vllm_importance_sampling_correction = True
    t.vllm_importance_sampling_mode = args["vllm"]
    t.vllm_importance_sampling_clip_max, t.vllm_importance_sampling_clip_min = args["cap"], args["floor"]
    t.loss_type, t.importance_sampling_level = args["loss_type"], args["importance_sampling_level"]
    t.epsilon_low, t.epsilon_high = args["epsilon_low"], args["epsilon_high"]
    t.scale_rewards, t.multi_objective_aggregation = args["scale_rewards"], "sum_then_normalize"
    t.max_completion_length = MAX_COMPLETION
    t.entropy_coef = args["entropy_coef"]
    t._entropy_bonus_enabled = t.entropy_coef != 0.0
    t.reward_weights, t.reward_func_names = torch.ones(1), ["reward"]
    t._metrics = {"train": defaultdict(list)}
    t._logs = {"prompt": [], "completion": [], "rewards": defaultdict(list), "advantages": [], "extra": defaultdict(list)}
    t._pending_extra_logs, t._pending_metrics = defaultdict(list), defaultdict(list)
    completions = [[1] * len(r["new"]) for r in rows]
    sampled = [r["behaviour"].tolist() for r in rows]
    t._generate = lambda prompts: ([[1]] * len(rows), completions, None, ["x"] * len(rows), sampled, {}, None, None)
    t._calculate_rewards = lambda *a: torch.tensor(REWARDS).unsqueeze(1)
    t._get_per_token_logps_and_entropies = lambda *a, **k: (padded(rows, "old"), None, None)
    return t


def ungrad(grad, rows):
    return [grad[i, : len(r["new"])].tolist() for i, r in enumerate(rows)]


def trl_case(name, preset, overrides, rows, **options):
    t = trl_trainer(rows, **options)
    inputs = t._generate_and_score_completions([{"prompt": "p"}] * len(rows))
    inputs["advantages"] = f32(inputs["advantages"])
    inputs["num_items_in_batch"] = inputs["completion_mask"].sum() * t.args.steps_per_generation
    logprob = padded(rows, "new").requires_grad_()
    entropy = padded(rows, "entropy").requires_grad_()
    t._get_per_token_logps_and_entropies = lambda *a, **k: (logprob, entropy, None)
    loss = t.compute_loss(t.model, inputs)
    loss.backward()
    metrics = {k: v[-1] for k, v in t._metrics["train"].items() if k.startswith(("clip", "cispo", "entropy", "policy", "sampling"))}
    metrics.pop("entropy_coef", None)
    grad_entropy = entropy.grad if entropy.grad is not None else torch.zeros_like(entropy)
    return case(name, "trl", preset, overrides, rows, inputs["advantages"], loss, logprob.grad, grad_entropy, metrics)


def case(name, source, preset, overrides, rows, advantages, loss, grad, grad_entropy, metrics):
    return {
        "name": name, "source": source, "config": {"preset": preset, **overrides}, "lengths": LENGTHS,
        **{k: [x for r in rows for x in r[k].tolist()] for k in ("behaviour", "old", "new", "entropy")},
        "advantage": advantages.tolist(), "loss": loss.item(), "metrics": metrics,
        "grad_logprob": [x for row in ungrad(grad, rows) for x in row],
        "grad_entropy": [x for row in ungrad(grad_entropy, rows) for x in row],
    }


# ---- the plain reference: one scalar expression per preset, one sequence at a time ----


def surrogate(ratio, advantage, low, high, delta=None):
    bounded = ratio if delta is None else torch.clamp(ratio, max=delta)
    return torch.minimum(bounded * advantage, torch.clamp(ratio, 1 - low, 1 + high) * advantage)


def reference_sequence(preset, new, old, mu, a):
    """Per-token loss of one sequence, with each preset's default numbers."""
    ratio = torch.exp(new - old)
    if preset in ("grpo", "dr_grpo"):
        return -surrogate(ratio, a, 0.2, 0.2)
    if preset == "dapo":
        return -surrogate(ratio, a, 0.2, 0.28)
    if preset == "grpo_plus":
        return -surrogate(ratio, a, 0.2, 0.2, delta=4.0)
    if preset == "gspo":
        sequence_ratio = torch.exp((new - old).mean())
        return -surrogate(sequence_ratio, a, 3e-4, 4e-4).expand(len(new))
    if preset == "cispo":
        return -torch.clamp(ratio, max=5.0).detach() * a * new
    if preset == "dppo":
        r = torch.exp(new - mu)
        gap = (torch.exp(new) - torch.exp(mu)).detach()
        keep = (gap <= 0.2) if a > 0 else (gap >= -0.2)
        return -(keep.double() * a * r) + 1e-3 * (new - mu) ** 2
    if preset == "decoupled":
        weight = torch.exp(old - mu)
        weight = torch.where(weight > 5.0, 0.0, weight)
        return -weight * surrogate(ratio, a, 0.2, 0.2)
    raise ValueError(preset)


def reference_case(name, preset, overrides, rows, advantages):
    new = [r["new"].clone().requires_grad_() for r in rows]
    per_token = [reference_sequence(preset, n, r["old"], r["behaviour"], a) for n, r, a in zip(new, rows, advantages)]
    tokens = sum(len(n) for n in new)
    if preset in ("grpo", "gspo"):
        loss = sum(x.mean() for x in per_token) / len(rows)
    elif preset == "dr_grpo":
        loss = sum(x.sum() for x in per_token) / (len(rows) * MAX_COMPLETION)
    else:
        loss = sum(x.sum() for x in per_token) / tokens
    loss.backward()
    grad = torch.nn.utils.rnn.pad_sequence([n.grad for n in new], batch_first=True)
    kl = torch.cat([torch.exp(n - r["behaviour"]) - (n - r["behaviour"]) - 1 for n, r in zip(new, rows)])
    metrics = {"mismatch_kl": kl.mean().item(), "entropy": torch.cat([r["entropy"] for r in rows]).mean().item()}
    if preset == "dppo":
        gap = [torch.exp(n) - torch.exp(r["behaviour"]) for n, r in zip(new, rows)]
        metrics["is_masked_high"] = sum(((g > 0.2) & (a > 0)).sum() for g, a in zip(gap, advantages)).item() / tokens
        metrics["is_masked_low"] = sum(((g < -0.2) & (a < 0)).sum() for g, a in zip(gap, advantages)).item() / tokens
        if name.endswith("wide"):
            assert min(metrics["is_masked_high"], metrics["is_masked_low"]) > 0, "choose a seed where both masks bite"
    return case(name, "reference", preset, overrides, rows, advantages, loss, grad, torch.zeros_like(grad), metrics)


def losses():
    far, near = make_batch(0.5, 0.3, 1), make_batch(0.05, 0.02, 2)
    tiny = make_batch(3e-4, 0.1, 3)  # a drift near GSPO's clip
    # TRL's grpo case reads "old" for the ratio; with a correction it also reads the engine's numbers.
    none = {"correction": {"mode": "none"}}
    cases = [
        trl_case("grpo", "grpo", none, far),
        trl_case("dapo", "dapo", none, far, loss_type="dapo", epsilon_high=0.28),
        trl_case("dr_grpo", "dr_grpo", {**none, "max_completion_tokens": MAX_COMPLETION}, far, loss_type="dr_grpo", scale_rewards="none"),
        trl_case("grpo_plus", "grpo_plus", {**none, "delta": 1.5}, far, loss_type="dapo", delta=1.5),
        trl_case("gspo_clipped", "gspo", none, far, importance_sampling_level="sequence", epsilon_low=3e-4, epsilon_high=4e-4),
        trl_case("gspo_inside", "gspo", none, tiny, importance_sampling_level="sequence", epsilon_low=3e-4, epsilon_high=4e-4),
        trl_case("cispo", "cispo", {**none, "ratio_cap": 1.4}, far, loss_type="cispo", epsilon_high=1.4),
        trl_case("entropy", "dapo", {**none, "entropy_coef": 0.01}, near, loss_type="dapo", epsilon_high=0.28, entropy_coef=0.01),
    ]
    for mode in ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"):
        for floor in (None, 0.8):
            correction = {"mode": mode, "max": 1.3, "min": floor or 0.0}
            name = f"{mode}{'_floor' if floor else ''}"
            cases.append(trl_case(name, "grpo", {"old": "recomputed", "correction": correction}, far, vllm=mode, cap=1.3, floor=floor))
    cases.append(trl_case("trl_default_correction", "dapo", {"old": "recomputed", "clip_high": 0.2}, far, loss_type="dapo", vllm="sequence_mask"))
    advantages = f32(torch.tensor([1.3, -0.8, 0.0, -1.1, 0.6, -0.4, 0.9, -2.0]))
    bypass = [{**r, "old": r["behaviour"]} for r in far]
    for preset in ("grpo", "dapo", "dr_grpo", "grpo_plus", "gspo", "cispo", "dppo", "decoupled"):
        overrides = {"max_completion_tokens": MAX_COMPLETION} if preset == "dr_grpo" else {}
        cases.append(reference_case(f"{preset}_reference", preset, overrides, far if preset == "decoupled" else bypass, advantages))
    wide = make_batch(1.5, 1.5, 5)  # far enough for every cap, delta and mask to bite
    for preset in ("grpo_plus", "cispo", "dppo", "decoupled"):
        rows = wide if preset == "decoupled" else [{**r, "old": r["behaviour"]} for r in wide]
        cases.append(reference_case(f"{preset}_reference_wide", preset, {}, rows, advantages))
    return cases


def advantages():
    rows = make_batch(0.1, 0.1, 4)
    out = []
    for scale in ("group", "batch", "none"):
        t = trl_trainer(rows, scale_rewards=scale)
        inputs = t._generate_and_score_completions([{"prompt": "p"}] * len(rows))
        out.append({"scale": scale, "rewards": REWARDS, "group_sizes": [GROUP] * 2, "advantages": inputs["advantages"].tolist()})
    return out


def adamw():
    torch.manual_seed(7)
    weights = f32(torch.randn(37))
    p = torch.nn.Parameter(weights.to(torch.float32).clone())
    optimizer = torch.optim.AdamW([p], lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1, foreach=False)
    steps = []
    for i in range(10):
        grad = f32(torch.randn(37) * (3.0 if i % 3 == 0 else 0.05))
        p.grad = grad.to(torch.float32).clone()
        norm = torch.nn.utils.clip_grad_norm_([p], 1.0)
        optimizer.step()
        steps.append({"grad": grad.tolist(), "norm": norm.item(), "weights": p.detach().to(torch.float64).tolist()})
    state = optimizer.state[p]
    return {"lr": 1e-2, "weight_decay": 0.1, "max_grad_norm": 1.0, "start": weights.tolist(), "steps": steps,
            "m": state["exp_avg"].to(torch.float64).tolist(), "v": state["exp_avg_sq"].to(torch.float64).tolist()}


def schedules():
    out = {}
    for kind, make in {
        "constant": lambda o: transformers.get_constant_schedule_with_warmup(o, 5),
        "linear": lambda o: transformers.get_linear_schedule_with_warmup(o, 5, 20),
        "cosine": lambda o: transformers.get_cosine_schedule_with_warmup(o, 5, 20),
    }.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = make(optimizer)
        factors = []
        for _ in range(22):
            factors.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        out[kind] = factors
    return {"warmup_steps": 5, "total_steps": 20, "factors": out}


def compact(value):
    return json.dumps(value, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    versions = {"trl": trl.__version__, "torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    (OUT / "losses.json").write_text(compact({"made_with": versions, "cases": losses()}))
    (OUT / "advantages.json").write_text(compact({"made_with": versions, "cases": advantages()}))
    (OUT / "adamw.json").write_text(compact({"made_with": versions, **adamw()}))
    (OUT / "schedules.json").write_text(compact({"made_with": versions, **schedules()}))
