//! The chain that a command works on: that of a run's folder, or one behind an address.
//!
//! Promise: a folder is opened for writing only by a command that will write; what is only tried goes to a copy.
//! An address may hold a provider's key, so it is shown by its host alone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use chain::{Addresses, Chain, ChainError, Contracts, Genesis, JournalError, LocalChain};

use super::wrong_usage;
use crate::cli::PlaceArgs;
use crate::config::{self, RunConfig, Sources};
use crate::run::parties::Parties;
use crate::run::payout::{addresses_path, chain_path, is_development, ledger_path, reach};
use record::run_dir;

/// Where `chain deploy` writes addresses.
const ADDRESSES: &str = "addresses.json";

/// What a command is going to do with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Ask.
    Look,
    /// Find out what would happen.
    Try,
    /// Send.
    Act,
}

/// A chain with our contracts on it.
pub(super) struct Place {
    /// The chain.
    pub(super) chain: Box<dyn Chain>,
    /// The contracts.
    pub(super) contracts: Contracts,
    /// What people call it.
    pub(super) name: String,
    /// The folder of the run, if that is what was named.
    pub(super) run: Option<PathBuf>,
    /// Whether it is a chain in a file, or a copy of it, on which all steps can be tried one after the other.
    pub(super) is_local: bool,
    /// Blocks that make a transaction settled here, its own included.
    pub(super) confirmations: u64,
}

impl Place {
    /// Opens what was named.
    pub(super) fn open(args: &PlaceArgs, access: Access) -> Result<Self> {
        if is_url(&args.chain) {
            let addresses = args.addresses.clone().unwrap_or_else(|| ADDRESSES.into());
            return Self::behind(&args.chain, &addresses, args.confirmations, None);
        }
        let folder = Path::new(&args.chain);
        if !folder.is_dir() {
            return Err(wrong_usage(format!(
                "--chain {}: neither the folder of a run nor an address with http:// or https://",
                args.chain
            )));
        }
        let journal = chain_path(folder);
        if journal.is_file() {
            return Self::within(folder, &journal, args.addresses.as_deref(), access);
        }
        let config = settings(folder)?;
        let Some(url) = &config.chain.url else {
            bail!("{} has no chain: it is no run's folder, or the run kept no ledger", folder.display());
        };
        let addresses = args.addresses.clone().or_else(|| own_addresses(folder, &config));
        let addresses = addresses.context("the run names no file with the contracts' addresses; --addresses does")?;
        let confirmations = args.confirmations.or(config.chain.confirmations);
        Self::behind(url, &addresses, confirmations, Some(folder))
    }

    fn within(folder: &Path, journal: &Path, addresses: Option<&Path>, access: Access) -> Result<Self> {
        let chain = match access {
            Access::Look => LocalChain::read(journal),
            Access::Try => LocalChain::read(journal).map(|chain| chain.fork()),
            Access::Act => LocalChain::open(journal, Genesis::default()),
        };
        let chain = chain.map_err(|error| match &error {
            ChainError::Journal(JournalError::InUse { .. }) => {
                anyhow::Error::new(error).context("the run is going on; looking and --dry-run work meanwhile")
            }
            _ => error.into(),
        })?;
        let file = addresses.map_or_else(|| addresses_path(folder), Path::to_owned);
        let contracts = Contracts::connect(&chain, Addresses::load(&file)?)?;
        let name = format!("the chain of {}", folder.display());
        Ok(Self {
            chain: Box::new(chain),
            contracts,
            name,
            run: Some(folder.to_owned()),
            is_local: true,
            confirmations: 1,
        })
    }

    fn behind(url: &str, addresses: &Path, confirmations: Option<u64>, run: Option<&Path>) -> Result<Self> {
        let addresses = Addresses::load(addresses)?;
        let (chain, confirmations) = reach(url, confirmations, is_development)?;
        let contracts = Contracts::connect(&chain, addresses)?;
        let name = format!("chain {} at {}", chain.chain_id(), chain.name());
        Ok(Self {
            chain: Box::new(chain),
            contracts,
            name,
            run: run.map(Path::to_owned),
            is_local: false,
            confirmations,
        })
    }

    /// Time of the newest block, in seconds since 1970.
    pub(super) fn now_s(&self) -> Result<u64> {
        Ok(self.chain.head()?.time_s)
    }

    /// Whether money is worth nothing here, so that keys which follow from a run's seed may be used.
    pub(super) fn is_for_trying(&self) -> bool {
        self.is_local || is_development(self.chain.chain_id())
    }

    /// The parties of the run whose folder was named.
    pub(super) fn parties(&self) -> Result<Option<Parties>> {
        self.run.as_deref().map(|folder| Ok(Parties::of(&settings(folder)?))).transpose()
    }

    /// The ledger of the run whose folder was named.
    pub(super) fn ledger(&self) -> Option<PathBuf> {
        self.run.as_deref().map(ledger_path).filter(|path| path.is_file())
    }
}

/// Whether a word is the address of a chain and not a folder.
pub(super) fn is_url(word: &str) -> bool {
    word.starts_with("http://") || word.starts_with("https://")
}

/// The settings that a run was started with.
fn settings(folder: &Path) -> Result<RunConfig> {
    let file = run_dir::config_path(folder);
    if !file.is_file() {
        return Err(wrong_usage(format!("{} is not the folder of a run: it has no settings", folder.display())));
    }
    Ok(config::resolve(&Sources { files: vec![file], ..Sources::default() })?)
}

/// The file in the folder, else the one that the run was started with.
fn own_addresses(folder: &Path, config: &RunConfig) -> Option<PathBuf> {
    let own = addresses_path(folder);
    if own.is_file() { Some(own) } else { config.chain.addresses.clone() }
}
