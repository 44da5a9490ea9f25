//! The beginning of the money of a run: contracts, stakes, and the first line of the ledger.
//!
//! Promise: a chain in the run's folder is there whole, with every stake, or not at all; on a chain behind an
//! address whatever is done already is not done again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use chain::contracts::registration_digest;
use chain::{
    Address, Addresses, B256, Call, Chain, Contracts, DeployPlan, Genesis, LocalChain, NodeKind, U256, Wallet, Windows,
    deploy, units,
};
use ledger::{Account, Amount, Economy, LedgerTerms, Undeterred, Watch, presets};
use protocol::{Keypair, Party, RunTerms};

use super::remote;
use crate::config::{EconomyPreset, RunConfig, ppm};
use crate::run::parties::Parties;

/// The journal of the chain inside the run's process.
const CHAIN_FILE: &str = "chain.jsonl";
/// Where the contracts are.
const ADDRESSES_FILE: &str = "addresses.json";
/// Most members of a committee, as the court has it.
const COMMITTEE_MAX: usize = 32;
/// Gas that a party needs to register its key, with room to claim.
const GAS_OF_A_PARTY: u64 = 2_000_000;
/// Gas that the orchestrator starts with: some two hundred epochs.
const GAS_OF_A_RUN: u64 = 20_000_000;

/// A chain with the run's contracts.
pub struct Ground {
    /// The chain.
    pub chain: Box<dyn Chain>,
    /// The contracts on it.
    pub contracts: Contracts,
}

/// The journal of the chain inside a run's process.
pub fn chain_path(run: &Path) -> PathBuf {
    run.join(CHAIN_FILE)
}

/// Where the contracts of a run are.
pub fn addresses_path(run: &Path) -> PathBuf {
    run.join(ADDRESSES_FILE)
}

/// What the economy of a run file does not deter. Nothing where one owner plays all roles (`local`): nobody there
/// gains by a lie.
///
/// Errors: `Undeterred` with every lie that can pay.
pub fn check_deterrence(config: &RunConfig) -> Result<(), Undeterred> {
    if config.economy.preset == EconomyPreset::Local {
        return Ok(());
    }
    let (economy, verify) = (economy(config), &config.verify);
    economy.check_deterrence(&Watch {
        group_size: config.rollout.group_size as u32, // bounded by the configuration
        check_ppm: ppm(verify.check_fraction),
        validators: verify.validators,
        second_check_ppm: ppm(verify.second_checks()),
        plant_ppm: ppm(verify.plants()),
        groups_per_epoch: economy.epoch_steps.saturating_mul(config.rollout.prompts_per_step as u64),
    })
}

/// The money terms of a run file.
pub fn economy(config: &RunConfig) -> Economy {
    let section = &config.economy;
    let preset = match section.preset {
        EconomyPreset::Local => presets::local(),
        EconomyPreset::Team => presets::team(),
        EconomyPreset::Open => presets::open(),
    };
    match section.epoch_steps {
        Some(steps) => presets::in_epochs_of(preset, steps),
        None => preset,
    }
}

/// What is deployed for a run: its validators are the committee, its orchestrator posts and accuses.
/// `holder` gets the first tokens: all that is staked, and what the orchestrator needs for bonds.
pub fn plan(parties: &Parties, economy: &Economy, windows: Windows, holder: Address) -> DeployPlan {
    let validators = (0..parties.validator_count()).map(|id| parties.wallet(Party::Validator(id)).address());
    let committee: Vec<Address> = validators.take(COMMITTEE_MAX).collect();
    let threshold = committee.len() / 2 + 1;
    let roles = chain::Parties {
        council: vec![parties.council_wallet().address()],
        guardian: parties.guardian_wallet().address(),
        poster: parties.orchestrator_wallet().address(),
        committee,
        threshold: threshold as u16, // at most COMMITTEE_MAX
        genesis_holder: holder,
    };
    let (budget, halving) = (economy.budget_first, economy.halving_epochs);
    let staked = stakes(parties, economy).map(|(_, stake)| stake).fold(0, Amount::saturating_add);
    let genesis = staked.saturating_add(bonds(parties, economy));
    DeployPlan { windows, ..DeployPlan::development(roles, genesis, budget, halving) }
}

/// What everybody who can lie must put in.
pub(super) fn stakes(parties: &Parties, economy: &Economy) -> impl Iterator<Item = (Party, Amount)> + use<> {
    let (worker, validator) = (economy.stake_worker, economy.stake_validator);
    let workers = (0..parties.worker_count()).map(move |id| (Party::Worker(id), worker));
    workers.chain((0..parties.validator_count()).map(move |id| (Party::Validator(id), validator)))
}

/// What the orchestrator needs to accuse everybody at once: no bond is above the stake it is about and one ESM.
fn bonds(parties: &Parties, economy: &Economy) -> Amount {
    stakes(parties, economy).map(|(_, stake)| stake.saturating_add(ledger::ESM)).fold(0, Amount::saturating_add)
}

/// The chain of a new run, with every stake in: one behind an address if the run file names it, else its own.
pub(super) fn found(config: &RunConfig, run: &Path, parties: &Parties, economy: &Economy) -> Result<Ground> {
    let Some((url, file)) = named(config) else { return own(run, parties, economy) };
    let mut ground = reach(config, url, file)?;
    fits(&ground, economy)?;
    // The run's own copy: a relative path leads nowhere from another working directory.
    ground.contracts.addresses.save(&addresses_path(run))?;
    let holder = payer(parties)?;
    endow(&mut ground, &holder, parties, economy)?;
    Ok(ground)
}

/// Whether contracts that are there already pay what the economy says, and have paid nothing for another ledger.
fn fits(ground: &Ground, economy: &Economy) -> Result<()> {
    let Ground { chain, contracts } = ground;
    contracts.check_bounty(&**chain)?; // `check_deterrence` counts on it
    let next = contracts.next_epoch(&**chain)?;
    ensure!(
        next == 0,
        "epochs before {next} were posted to these contracts by another ledger: a new run needs contracts of its \
         own (`essaim chain deploy`)"
    );
    let halving = economy.halving_epochs;
    for epoch in [0, halving.saturating_sub(1), halving] {
        let (given, wanted) = (contracts.budget(&**chain, epoch)?, economy.budget(epoch));
        ensure!(
            given == wanted,
            "the contracts mint {} for epoch {epoch}, and the run's economy pays {}: deploy with --run, or with the \
             preset and economy.epoch_steps of the run",
            units::format(given),
            units::format(wanted)
        );
    }
    Ok(())
}

/// Who pays stakes and gas on a chain behind an address: the wallet that the environment names, or the run's own.
fn payer(parties: &Parties) -> Result<Wallet> {
    let named = Wallet::from_environment(|name| std::env::var(name).ok())?;
    Ok(named.unwrap_or_else(|| parties.holder_wallet()))
}

/// The address of the chain that the run file names, and the file with the contracts', if it names them.
fn named(config: &RunConfig) -> Option<(&str, &Path)> {
    Some((config.chain.url.as_deref()?, config.chain.addresses.as_deref()?))
}

fn reach(config: &RunConfig, url: &str, addresses: &Path) -> Result<Ground> {
    let (chain, _) = remote::reach(url, config.chain.confirmations, |_| config.chain.development)?;
    let contracts = Contracts::connect(&chain, Addresses::load(addresses)?)?;
    Ok(Ground { chain: Box::new(chain), contracts })
}

/// Makes a chain in the run's folder. Nothing of it can be seen there before all stakes are in.
fn own(run: &Path, parties: &Parties, economy: &Economy) -> Result<Ground> {
    let part = run.join(format!("{CHAIN_FILE}.part"));
    if part.exists() {
        fs::remove_file(&part).with_context(|| part.display().to_string())?; // of a process that was killed
    }
    let mut chain = LocalChain::open(&part, Genesis::default())?;
    let holder = parties.holder_wallet();
    let plan = plan(parties, economy, Windows::DEVELOPMENT, holder.address());
    let addresses = deploy(&mut chain, &parties.deployer_wallet(), &plan)?;
    let contracts = Contracts::connect(&chain, addresses)?;
    let mut ground = Ground { chain: Box::new(chain), contracts };
    endow(&mut ground, &holder, parties, economy)?;
    addresses.save(&addresses_path(run))?;
    fs::rename(&part, chain_path(run)).with_context(|| part.display().to_string())?;
    Ok(ground)
}

/// The chain of a run, as an earlier process left it.
pub(super) fn reopen(config: &RunConfig, run: &Path) -> Result<Ground> {
    let own = addresses_path(run);
    if let Some((url, file)) = named(config) {
        return reach(config, url, if own.is_file() { &own } else { file });
    }
    let chain = LocalChain::open(&chain_path(run), Genesis::default())?;
    let contracts = Contracts::connect(&chain, Addresses::load(&own)?)?;
    Ok(Ground { chain: Box::new(chain), contracts })
}

/// Sees to it that every party is registered with its peer key and has the stake that is due, that the orchestrator
/// can pay for bonds, and everybody for gas. `holder` pays. What is done already, or is under way since an earlier
/// process was killed, is not done again.
pub fn endow(ground: &mut Ground, holder: &Wallet, parties: &Parties, economy: &Economy) -> Result<()> {
    let Ground { chain, contracts } = ground;
    let chain = &mut **chain;
    let orchestrator = parties.orchestrator_wallet().address();
    chain.idle(holder.address())?;
    gas_money(chain, holder, orchestrator, GAS_OF_A_RUN)?;
    gas_money(chain, holder, parties.wallet(Party::Trainer).address(), GAS_OF_A_PARTY)?;
    let (bonds, has) = (bonds(parties, economy), contracts.balance(chain, orchestrator)?);
    if has < bonds && holder.address() != orchestrator {
        chain.send(holder, contracts.transfer(orchestrator, bonds - has)).context("money for bonds")?;
    }
    for (party, stake) in stakes(parties, economy) {
        let (wallet, keys) = (parties.wallet(party), parties.keys(party));
        register(chain, contracts, holder, &wallet, party, &keys).with_context(|| format!("registering {party}"))?;
        let has = contracts.stake_of(chain, wallet.address())?;
        if has < stake {
            stake_for(chain, contracts, holder, wallet.address(), stake - has)
                .with_context(|| format!("the stake of {party}"))?;
        }
    }
    Ok(())
}

fn stake_for(
    chain: &mut dyn Chain,
    contracts: &Contracts,
    holder: &Wallet,
    account: Address,
    amount: Amount,
) -> Result<()> {
    let vault = contracts.addresses.vault;
    if contracts.allowance(chain, holder.address(), vault)? < amount {
        chain.send(holder, contracts.approve(vault, Amount::MAX))?;
    }
    chain.send(holder, contracts.stake_for(account, amount))?;
    Ok(())
}

/// The party's key proves that its owner holds it.
fn register(
    chain: &mut dyn Chain,
    contracts: &Contracts,
    holder: &Wallet,
    wallet: &Wallet,
    party: Party,
    keys: &Keypair,
) -> Result<()> {
    chain.idle(wallet.address())?;
    if contracts.node(chain, &keys.public())?.is_some() {
        return Ok(());
    }
    gas_money(chain, holder, wallet.address(), GAS_OF_A_PARTY)?;
    let nonce = contracts.registration_nonce(chain, wallet.address())?;
    let digest = registration_digest(&contracts.addresses, wallet.address(), nonce);
    let kind = match party {
        Party::Worker(_) => NodeKind::Worker,
        Party::Validator(_) => NodeKind::Validator,
        Party::Trainer | Party::Treasury => bail!("{party} has no place in the registry"),
    };
    chain.send(wallet, contracts.register(&keys.public(), kind, B256::ZERO, &keys.sign(&digest.0)))?;
    Ok(())
}

/// Where gas costs something, an account needs some of the chain's own coin: for so much gas at twice the
/// price of now.
fn gas_money(chain: &mut dyn Chain, holder: &Wallet, account: Address, gas: u64) -> Result<()> {
    let wanted = U256::from(gas) * U256::from(chain.gas_price_wei()?) * U256::from(2);
    let has = chain.balance_wei(account)?;
    if account != holder.address() && has < wanted {
        chain.send(holder, Call::pay(account, wanted - has))?;
    }
    Ok(())
}

/// The first entry of the ledger.
pub(super) fn terms(run: &RunTerms, parties: &Parties, economy: Economy, ground: &Ground) -> LedgerTerms {
    let account = |wallet: Wallet| Account(wallet.address().into());
    let at = &ground.contracts.addresses;
    LedgerTerms {
        run: run.clone(),
        chain_id: at.chain_id,
        rewards: Account(at.rewards.into()),
        workers: (0..parties.worker_count()).map(|id| account(parties.wallet(Party::Worker(id)))).collect(),
        validators: (0..parties.validator_count()).map(|id| account(parties.wallet(Party::Validator(id)))).collect(),
        trainer: account(parties.wallet(Party::Trainer)),
        treasury: Account(at.treasury.into()),
        economy,
    }
}

/// What every party has active in the vault now, with the block at which that was seen. What is leaving does not
/// count; a slash that is open has not lowered it yet.
pub(super) fn stakes_seen(ground: &Ground, parties: &Parties, economy: &Economy) -> Result<Vec<(Party, Amount, u64)>> {
    let chain = &*ground.chain;
    let block = chain.head()?.number;
    let seen = |(party, _): (Party, Amount)| {
        let stake = ground.contracts.stake_of(chain, parties.wallet(party).address())?;
        Ok((party, stake, block))
    };
    stakes(parties, economy).map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, resolve};

    fn config(sets: &[&str]) -> RunConfig {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        resolve(&Sources { sets, ..Default::default() }).unwrap()
    }

    #[test]
    fn lies_that_pay_are_named_unless_one_owner_plays_all_roles() {
        let open = ["economy.preset=open", "verify.validators=15", "rollout.prompts_per_step=64"];
        assert_eq!(check_deterrence(&config(&open)), Ok(()));
        let blind = [open[0], open[1], open[2], "verify.check_fraction=0"];
        let message = check_deterrence(&config(&blind)).unwrap_err().to_string();
        assert!(message.contains("int8 weights (costs 0.000000 ESM on average"), "{message}");
        let alone = check_deterrence(&config(&["economy.preset=team", open[2]])).unwrap_err().to_string();
        assert!(alone.contains("it takes 3 to outvote one, given 1"), "{alone}");
        assert_eq!(check_deterrence(&config(&[])), Ok(()), "local");
    }

    #[test]
    fn contracts_that_mint_something_else_or_have_paid_before_do_not_fit() {
        let (config, folder) = (config(&[]), tempfile::tempdir().unwrap());
        let (parties, worth) = (Parties::of(&config), economy(&config));
        let mut ground = own(folder.path(), &parties, &worth).unwrap();
        fits(&ground, &worth).unwrap();
        let more = Economy { budget_first: worth.budget_first + 1, ..worth.clone() };
        let message = fits(&ground, &more).unwrap_err().to_string();
        assert!(message.contains("for epoch 0") && message.contains("pays 100.000001 ESM"), "{message}");
        for halving_epochs in [worth.halving_epochs - 1, worth.halving_epochs + 1] {
            assert!(fits(&ground, &Economy { halving_epochs, ..worth.clone() }).is_err(), "{halving_epochs}");
        }
        let (uri, root) = (String::new(), B256::repeat_byte(1));
        let post = chain::EpochToPost { epoch: 0, root, lifetime_total: 0, file_hash: root, uri };
        let Ground { chain, contracts } = &mut ground;
        chain::settle_epoch(&mut **chain, contracts, &parties.orchestrator_wallet(), &post).unwrap();
        let message = fits(&ground, &worth).unwrap_err().to_string();
        assert!(message.contains("epochs before 1 were posted"), "{message}");
    }

    #[test]
    fn a_step_pays_the_same_whatever_the_length_of_an_epoch() {
        let economy = economy(&config(&["economy.epoch_steps=20"]));
        assert_eq!((economy.epoch_steps, economy.budget_first), (20, 2 * presets::local().budget_first));
    }
}
