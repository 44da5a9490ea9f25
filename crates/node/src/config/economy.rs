//! The sections about who is paid for what, and on which chain.
//!
//! Promise: a run file says whether a ledger is kept, by which preset it pays, and where its epochs are
//! posted; without a word about it a run has a ledger and a chain of its own, inside this process.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::within;
use super::{Fault, RunConfig};

/// Most steps of one epoch: more than any run has.
const EPOCH_STEPS_MAX: u64 = 10_000_000;
/// Most blocks that are waited for: two epochs of Ethereum, after which a block is final.
pub const CONFIRMATIONS_MAX: u64 = 64;

/// `[economy]`: what work is worth, and what a lie costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EconomySection {
    /// Keep a ledger: credit what was verified, pay by epochs, take stake from those who are fined.
    pub enabled: bool,
    /// Budget, shares, stakes and fines: `local` for a run of one process, `team` for people who know each other, `open` for strangers; `docs/economics.md` has the numbers.
    pub preset: EconomyPreset,
    /// Training steps of one epoch. Absent: as the preset says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_steps: Option<u64>,
}

impl Default for EconomySection {
    fn default() -> Self {
        Self { enabled: true, preset: EconomyPreset::Local, epoch_steps: None }
    }
}

/// The shipped economies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EconomyPreset {
    /// A run of one process.
    Local,
    /// People who know each other.
    Team,
    /// Strangers.
    Open,
}

/// `[chain]`: where epochs are posted and stake is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSection {
    /// JSON-RPC address of an EVM chain, such as `http://127.0.0.1:8545`. Absent: a chain inside this process, kept in the run folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// File with the contracts' addresses that `essaim chain deploy` wrote; needed with `url`, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<PathBuf>,
    /// The chain behind `url` is for trying things out (anvil, hardhat): the run moves its clock past every window, so that all is settled when it ends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
    /// Blocks that make a transaction settled, its own included. Absent: 1 on a development chain (31337, 1337), else 3; more where a chain replaces blocks and much is at stake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u64>,
}

impl ChainSection {
    /// As others may see it: of the address only scheme and host, since a provider's key may be in the rest.
    pub fn shown(&self) -> Self {
        let host = |url: &String| {
            let (scheme, rest) = url.split_once("://")?;
            let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
            Some(format!("{scheme}://{host}"))
        };
        Self { url: self.url.as_ref().and_then(host), ..self.clone() }
    }

    /// As it is printed: the whole address without a name and a password in it.
    pub fn printed(&self) -> Self {
        Self { url: self.url.as_deref().map(without_password), ..self.clone() }
    }
}

/// An address without the `user:password@` that may stand before its host.
fn without_password(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

/// Checks the sections of this file.
pub(super) fn check(config: &RunConfig) -> Result<(), Fault> {
    if let Some(steps) = config.economy.epoch_steps {
        within("economy.epoch_steps", steps, 1..=EPOCH_STEPS_MAX)?;
    }
    let chain = &config.chain;
    if let Some(confirmations) = chain.confirmations {
        within("chain.confirmations", confirmations, 1..=CONFIRMATIONS_MAX)?;
        if chain.url.is_none() {
            return Err(Fault::range("chain.confirmations", confirmations, "none unless chain.url is given"));
        }
    }
    match (&chain.url, &chain.addresses) {
        (Some(url), _) if !(url.starts_with("http://") || url.starts_with("https://")) => {
            let printed = format!("{:?}", without_password(url));
            Err(Fault::range("chain.url", printed, "an address with http:// or https://"))
        }

        (Some(_), None) => Err(Fault::range("chain.addresses", "none", "a file, since chain.url is given")),
        (None, None) if chain.development => {
            Err(Fault::range("chain.development", true, "false unless chain.url is given"))
        }
        (None, Some(file)) => Err(Fault::range(
            "chain.addresses",
            format!("{:?}", file.display().to_string()),
            "none unless chain.url is given: a chain inside this process has contracts of its own",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_whole_in_the_settings_and_printed_without_its_password() {
        let whole = "https://user:pass@eth.example/v2/key?x=a@b";
        let sets = [format!("chain.url={whole}"), "chain.addresses=a.json".to_owned()].to_vec();
        let config = super::super::resolve(&super::super::Sources { sets, ..Default::default() }).unwrap();
        let text = config.to_toml().unwrap();
        assert!(text.contains(whole), "{text}");
        let layer = |text: &str| {
            let mut layers = super::super::Layers::default();
            layers.add_text("config.toml", text).unwrap();
            super::super::from_layers(&layers).unwrap()
        };
        assert_eq!(layer(&text), config, "a resumed run reaches the same address");
        assert_eq!(config.chain.printed().url.as_deref(), Some("https://eth.example/v2/key?x=a@b"));
        for (url, printed) in [("https://u:p@h", "https://h"), ("http://h:1/a", "http://h:1/a"), ("u:p@h/x", "h/x")] {
            assert_eq!(without_password(url), printed);
        }
    }

    #[test]
    fn what_is_shown_of_an_address_holds_no_key() {
        for url in
            ["https://eth.example/v2/secret", "https://user:secret@eth.example/", "https://eth.example?key=secret"]
        {
            let section = ChainSection { url: Some(url.to_owned()), ..ChainSection::default() };
            assert_eq!(section.shown().url.as_deref(), Some("https://eth.example"));
        }
        assert_eq!(ChainSection::default().shown(), ChainSection::default());
    }
}
