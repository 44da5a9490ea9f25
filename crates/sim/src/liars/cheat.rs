//! The names of all lies, and what is known about each.
//!
//! Promise: every cheat has one name, one liar in a file of that name, and a list of the checks that may catch it.

use std::fmt;
use std::str::FromStr;

use protocol::Check;

use super::{
    best_of_n, cheap_sampler, chosen_prompt, colluding_validator, copied_rollout, early_stop, edited_tokens,
    fake_reward, forged_logprobs, huge_message, int4_weights, int8_weights, lazy_validator, malformed_message,
    other_weights, over_long, poisoned_update, replayed_rollout, smaller_model, stale_weights, sybil_swarm,
    verdict_copier, withheld, wrong_temperature,
};

/// Whose lie it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Makes rollouts.
    Worker,
    /// Checks rollouts.
    Validator,
    /// Makes updates.
    Trainer,
}

/// What a liar's file says about it.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) describe: &'static str,
    pub(super) expected: &'static [Check],
}

macro_rules! cheats {
    ($($(#[$doc:meta])* $variant:ident = $module:ident),* $(,)?) => {
        /// A way to lie.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cheat { $($(#[$doc])* $variant),* }

        impl Cheat {
            /// Every cheat, workers' first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn card(self) -> &'static Card {
                match self { $(Self::$variant => &$module::CARD),* }
            }
        }
    };
}

cheats! {
    /// Generates with other weights of the same shape.
    OtherWeights = other_weights,
    /// Generates with a model of half the size.
    SmallerModel = smaller_model,
    /// Generates with weights of 8 bits.
    Int8Weights = int8_weights,
    /// Generates with weights of 4 bits.
    Int4Weights = int4_weights,
    /// Never loads new weights.
    StaleWeights = stale_weights,
    /// Answers a prompt of its own choosing.
    ChosenPrompt = chosen_prompt,
    /// Samples several times and sends the best.
    BestOfN = best_of_n,
    /// Samples at another temperature.
    WrongTemperature = wrong_temperature,
    /// Samples with a cheap model, proves with the true one.
    CheapSampler = cheap_sampler,
    /// Ends its completions early.
    EarlyStop = early_stop,
    /// Goes on after the stop token and beyond the limit.
    OverLong = over_long,
    /// Sends one sample's completion for all samples of the group.
    CopiedRollout = copied_rollout,
    /// Sends an old answer to a new lease.
    ReplayedRollout = replayed_rollout,
    /// Claims another log-probability.
    ForgedLogprobs = forged_logprobs,
    /// Claims the whole reward.
    FakeReward = fake_reward,
    /// Writes another token into its completion.
    EditedTokens = edited_tokens,
    /// Sends bytes that are no message.
    MalformedMessage = malformed_message,
    /// Sends a message above the size limit.
    HugeMessage = huge_message,
    /// Never answers.
    Withheld = withheld,
    /// Many identities, one sampler.
    SybilSwarm = sybil_swarm,
    /// Finds everything valid without looking.
    LazyValidator = lazy_validator,
    /// Finds its friends' lies valid.
    ColludingValidator = colluding_validator,
    /// Waits for other validators' verdicts and repeats them.
    VerdictCopier = verdict_copier,
    /// Publishes weights that its batch does not give.
    PoisonedUpdate = poisoned_update,
}

impl Cheat {
    /// The name in run files and on the command line; also the name of the liar's source file.
    pub fn as_str(self) -> &'static str {
        self.card().name
    }

    /// Whose lie it is.
    pub fn role(self) -> Role {
        self.card().role
    }

    /// What the liar does and what it hopes for, in a sentence or two.
    pub fn describe(self) -> &'static str {
        self.card().describe
    }

    /// The checks of which one catches it; the first is the one made for it.
    pub fn expected(self) -> &'static [Check] {
        self.card().expected
    }

    /// All cheats of one role.
    pub fn of_role(role: Role) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |cheat| cheat.role() == role)
    }
}

impl fmt::Display for Cheat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// A name that no cheat has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCheat {
    /// The name.
    pub given: String,
    /// The most similar one, if any is similar at all.
    pub nearest: Option<Cheat>,
}

impl fmt::Display for UnknownCheat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unknown cheat {:?}", self.given)?;
        if let Some(nearest) = self.nearest {
            write!(out, ", did you mean `{nearest}`?")?;
        }
        let known: Vec<&str> = Cheat::ALL.iter().map(|cheat| cheat.as_str()).collect();
        write!(out, "; known: {}", known.join(", "))
    }
}

impl std::error::Error for UnknownCheat {}

impl FromStr for Cheat {
    type Err = UnknownCheat;

    fn from_str(given: &str) -> Result<Self, UnknownCheat> {
        let found = Self::ALL.iter().copied().find(|cheat| cheat.as_str() == given);
        found.ok_or_else(|| UnknownCheat { given: given.chars().take(64).collect(), nearest: nearest(given) })
    }
}

/// The cheat of the most similar name (Jaro–Winkler), if one is similar at all.
fn nearest(given: &str) -> Option<Cheat> {
    /// Below this, a hint misleads more often than it helps.
    const SIMILAR_MIN: f64 = 0.75;
    let scored = Cheat::ALL.iter().map(|&cheat| (strsim::jaro_winkler(given, cheat.as_str()), cheat));
    scored.filter(|(score, _)| *score >= SIMILAR_MIN).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, cheat)| cheat)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_cheat_has_a_name_of_its_own_that_is_read_back_and_a_file_of_that_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/liars");
        let mut names: Vec<&str> = Cheat::ALL.iter().map(|cheat| cheat.as_str()).collect();
        for cheat in Cheat::ALL {
            assert_eq!(cheat.as_str().parse(), Ok(*cheat));
            assert!(folder.join(format!("{cheat}.rs")).exists(), "{cheat}");
            assert!(!cheat.describe().is_empty() && !cheat.expected().is_empty(), "{cheat}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cheat::ALL.len());
    }

    #[test]
    fn a_misspelt_cheat_is_named_with_the_nearest() {
        let error = "int8_weight".parse::<Cheat>().unwrap_err();
        assert_eq!(error.nearest, Some(Cheat::Int8Weights));
        assert!(error.to_string().starts_with("unknown cheat \"int8_weight\", did you mean `int8_weights`?; known: "));
        assert_eq!("zzz".parse::<Cheat>().unwrap_err().nearest, None);
    }

    #[test]
    fn the_roles_share_all_cheats_among_them() {
        let count = |role| Cheat::of_role(role).count();
        assert_eq!([Role::Worker, Role::Validator, Role::Trainer].map(count), [20, 3, 1]);
    }
}
