//! Learning rates that nobody has chosen.
//!
//! Promise: a rate that a person gives stays as it is; one that is not given follows from whether the weights are
//! random or pretrained. The embedded default run is made for its random model: its rates are nobody's choice for
//! another model.

use toml::{Table, Value};

use super::{DEFAULT_LAYER, Layers, RunConfig};

/// Rates of a kind of model.
struct Rates {
    sft_lr: f64,
    /// One in so many supervised steps is warm-up; 0 for none.
    sft_warmup_divisor: i64,
    train_lr: f64,
}

/// The small models that start from nothing learn with these: `examples/default.toml` reaches a held-out score of 1.00
/// with both. At twice the second it falls back from what it has learnt (`docs/experiments.md`).
const RANDOM: Rates = Rates { sft_lr: 1e-3, sft_warmup_divisor: 0, train_lr: 5e-4 };
/// TRL's defaults for full fine-tuning: 2e-5 of its `SFTTrainer`, 1e-6 of its `GRPOTrainer`.
const PRETRAINED: Rates = Rates { sft_lr: 2e-5, sft_warmup_divisor: 10, train_lr: 1e-6 };

/// Above this, supervised training of a pretrained model is warned of. SmolLM2-135M-Instruct on 400 sums, 24 steps of 8
/// examples: with 2e-5 the loss falls from 1.53 to 0.02 and the held-out score rises from 0.09 to 0.52; with 1e-3 the
/// loss first rises to 2.96 and the score ends at 0.04.
const SFT_LR_WARNED: f32 = 3e-4;
/// Above this, RL of a pretrained model is warned of.
const TRAIN_LR_WARNED: f32 = 1e-4;
/// Models below this size bear the rates of random models, pretrained or not.
const PARAMETERS_WARNED: usize = 10_000_000;

/// Fills in what is not given.
pub(super) fn settle(table: &mut Table, layers: &Layers) {
    let section = |name: &str| table.get(name).and_then(Value::as_table);
    let is_pretrained = section("model").is_some_and(|model| model.contains_key("path") || model.contains_key("hub"));
    let steps = section("sft").and_then(|sft| sft.get("steps")?.as_integer()).unwrap_or(0);
    let rates = if is_pretrained { PRETRAINED } else { RANDOM };
    let warmup = if rates.sft_warmup_divisor == 0 { 0 } else { steps / rates.sft_warmup_divisor };
    let settled: [(&str, &str, Value); 3] = [
        ("sft", "lr", rates.sft_lr.into()),
        ("sft", "warmup_steps", warmup.max(0).into()),
        ("train", "lr", rates.train_lr.into()),
    ];
    for (name, key, value) in settled {
        let path = [name.to_owned(), key.to_owned()];
        let is_given = match layers.source_of(&path) {
            None => false,
            Some(DEFAULT_LAYER) => !is_pretrained,
            Some(_) => true,
        };
        let section = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        // A section that is no table is refused by its own name later.
        if let (false, Value::Table(section)) = (is_given, section) {
            section.insert(key.to_owned(), value);
        }
    }
}

impl RunConfig {
    /// Rates that are known to ruin a pretrained model of this size, in words.
    pub fn harmful_rates(&self, parameter_count: usize) -> Vec<String> {
        if self.model.random.is_some() || parameter_count < PARAMETERS_WARNED {
            return Vec::new();
        }
        let sft = (self.sft.steps, "sft.lr", self.sft.lr, SFT_LR_WARNED, PRETRAINED.sft_lr);
        let train = (self.stop.steps, "train.lr", self.train.lr, TRAIN_LR_WARNED, PRETRAINED.train_lr);
        let harmful = [sft, train].into_iter().filter(|(steps, _, lr, most, _)| *steps > 0 && lr > most);
        let words = |(_, key, lr, most, default): (u64, &str, f32, f32, f64)| {
            format!(
                "{key} = {lr:.0e} is likely to ruin a pretrained model: above {most:.0e} it forgets what it knew. \
                 The default is {default:.0e}"
            )
        };
        harmful.map(words).collect()
    }
}
