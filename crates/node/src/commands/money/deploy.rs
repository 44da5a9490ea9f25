//! `essaim chain deploy`: all contracts on a chain, by one command.
//!
//! Promise: the whole plan is rehearsed on a chain in memory before a question is asked; the addresses are written
//! only once every role has been asked back from the chain; an addresses file is never written over another; a
//! deployment that stopped half-way is gone on with, and none is paid for twice; output that fails stops none.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use chain::{Address, Addresses, Chain, DeployPlan, Genesis, LocalChain, Parties as Roles, U256, Wallet, Windows};
use ledger::{Economy, presets};
use serde_json::json;

use super::account::address;
use super::place::is_url;
use super::words::{count, esm, facts, span, table};
use super::{act, refusal, signer, wrong_usage};
use crate::cli::{DeployArgs, PresetWord, RolesArgs, WindowsWord};
use crate::config::{self, Sources};
use crate::context::Context;
use crate::ending::Ending;
use crate::run::parties::Parties;
use crate::run::payout::{self, is_development, reach};
use record::output;

/// ESM at the start, if nothing else is said.
const GENESIS: u64 = 1_000_000 * ledger::ESM;
/// Longest file with a plan.
const PLAN_BYTES_MAX: u64 = 1 << 20;

/// Rehearses, asks, deploys, checks, writes the addresses.
pub(super) fn deploy(args: &DeployArgs, context: &Context) -> Result<Ending> {
    if !is_url(&args.chain) {
        return Err(wrong_usage(format!("--chain {}: an address with http:// or https:// is needed", args.chain)));
    }
    let deployer = signer::named(&args.signer, None)?.ok_or_else(|| {
        wrong_usage("who deploys? --wallet KEYSTORE, or ESSAIM_KEYSTORE or ESSAIM_KEY in the environment")
    })?;
    let (mut chain, _) = reach(&args.chain, args.confirmations, is_development)?;
    let plan = plan(args, deployer.address(), chain.chain_id())?;
    if !args.dry_run {
        is_free(&args.out)?;
    }
    let gas = rehearse(&chain, &deployer, &plan)?;
    let under_way = under_way(&args.out);
    let is_begun = under_way.exists();
    if !is_begun {
        can_pay(&chain, &deployer, gas)?;
    }
    let is_told = !context.global.json && !context.global.quiet;
    let place = format!("chain {} at {}", chain.chain_id(), chain.name());
    if is_told {
        output::print(&format!("deploy on {place}, by {deployer}\n{}", text(&plan, gas)))?;
        if is_begun {
            let file = under_way.display();
            output::print_line(&format!("  a deployment was begun before ({file}): this goes on with it"))?;
        }
    }
    if args.dry_run {
        let document = || json!({ "dry_run": true, "gas": gas, "chain_id": chain.chain_id(), "plan": plan });
        context.answer(document, || "dry run: nothing was sent\n".to_owned())?;
        return Ok(Ending::Done);
    }
    if !args.yes && !act::agreed(&format!("deploy on {place}?"))? {
        output::note("nothing was sent");
        return Ok(Ending::Interrupted);
    }
    let addresses = chain::deploy_resumable(&mut chain, &deployer, &plan, &under_way).map_err(|error| {
        let words = match under_way.exists() {
            true => format!("the same command goes on with it; to begin anew, remove {}", under_way.display()),
            false => "nothing was sent".to_owned(),
        };
        refusal::explain(error, None).context(words)
    })?;
    // What is deployed must not be forgotten, whatever happens to the file.
    addresses.save(&args.out).with_context(|| format!("deployed, but not written down: {}", json!(addresses)))?;
    fs::remove_file(&under_way).with_context(|| format!("deployed; remove {}", under_way.display()))?;
    let document = || json!({ "dry_run": false, "addresses": addresses, "file": args.out, "plan": plan });
    context.answer_done(document, || done(&addresses, args))?;
    Ok(Ending::Done)
}

/// Where it is noted that a deployment is under way.
fn under_way(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".deploying");
    name.into()
}

/// Whether the deployer's coin is enough, by the price of now.
fn can_pay(chain: &dyn Chain, deployer: &Wallet, gas: u64) -> Result<()> {
    let cost_wei = U256::from(gas) * U256::from(chain.gas_price_wei()?);
    let has_wei = chain.balance_wei(deployer.address())?;
    ensure!(
        has_wei >= cost_wei,
        "{deployer} holds {has_wei} wei, and about {cost_wei} wei are needed for {} gas",
        count(gas)
    );
    Ok(())
}

/// Whether the addresses can be written there without hiding others.
fn is_free(out: &Path) -> Result<()> {
    let path = out.display();
    ensure!(!out.exists(), "{path} exists; contracts that it names would be forgotten: --out names another file");
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "{path}: there is no folder {}", folder.display());
    Ok(())
}

/// What is to be deployed: from a file, for a run's parties, or as the options say.
fn plan(args: &DeployArgs, deployer: Address, chain_id: u64) -> Result<DeployPlan> {
    let windows = |otherwise| match args.windows.unwrap_or(otherwise) {
        WindowsWord::Development => Windows::DEVELOPMENT,
        WindowsWord::Live => Windows::LIVE,
    };
    if let Some(path) = &args.plan {
        let named = || format!("cannot read the plan {}", path.display());
        ensure!(
            fs::metadata(path).with_context(named)?.len() <= PLAN_BYTES_MAX,
            "{}: too long for a plan",
            path.display()
        );
        let plan: DeployPlan = serde_json::from_slice(&fs::read(path).with_context(named)?).with_context(named)?;
        return Ok(plan);
    }
    if !args.run.is_empty() {
        if !is_development(chain_id) {
            bail!(
                "--run: the keys of a run's parties follow from its seed, so whoever has the file has them; \
                 chain {chain_id} is no development chain"
            );
        }
        let sources = Sources { files: args.run.clone(), sets: args.sets.clone(), device: None };
        let config = config::resolve(&sources)?;
        let (parties, economy) = (Parties::of(&config), payout::economy(&config));
        let plan = payout::plan(&parties, &economy, windows(WindowsWord::Development), deployer);
        return Ok(with_genesis(plan, args.roles.genesis));
    }
    by_options(&args.roles, deployer, windows(WindowsWord::Live))
}

/// The cap grows with what there is at the start.
fn with_genesis(plan: DeployPlan, genesis: Option<u64>) -> DeployPlan {
    let genesis = genesis.unwrap_or(plan.genesis);
    let minted = plan.cap - plan.genesis; // the cap is their sum
    DeployPlan { genesis, cap: minted.saturating_add(genesis), ..plan }
}

fn by_options(roles: &RolesArgs, deployer: Address, windows: Windows) -> Result<DeployPlan> {
    let needed = |name: &str, word: &Option<String>| match word {
        Some(word) => address(word),
        None => Err(wrong_usage(format!("--{name} ACCOUNT is needed, unless --plan or --run says who is who"))),
    };
    let all = |name: &str, words: &[String]| -> Result<Vec<Address>> {
        if words.is_empty() {
            return Err(wrong_usage(format!("at least one --{name} ACCOUNT is needed")));
        }
        words.iter().map(|word| address(word)).collect()
    };
    let committee = all("committee", &roles.committee)?;
    let threshold = match roles.threshold {
        Some(threshold) => threshold,
        None => u16::try_from(committee.len() / 2 + 1)?,
    };
    let parties = Roles {
        council: all("council", &roles.council)?,
        guardian: needed("guardian", &roles.guardian)?,
        poster: needed("poster", &roles.poster)?,
        committee,
        threshold,
        genesis_holder: roles.holder.as_ref().map_or(Ok(deployer), |word| address(word))?,
    };
    let Economy { budget_first, halving_epochs, .. } = match roles.preset.unwrap_or(PresetWord::Open) {
        PresetWord::Local => presets::local(),
        PresetWord::Team => presets::team(),
        PresetWord::Open => presets::open(),
    };
    let genesis = roles.genesis.unwrap_or(GENESIS);
    Ok(DeployPlan { windows, ..DeployPlan::live(parties, genesis, budget_first, halving_epochs) })
}

/// Deploys on a chain in memory and counts the gas. Errors: what a contract says against the plan.
fn rehearse(chain: &dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<u64> {
    let genesis = Genesis { chain_id: chain.chain_id(), time_s: chain.head()?.time_s };
    let mut memory = LocalChain::in_memory(genesis);
    chain::deploy(&mut memory, deployer, plan)
        .map_err(|error| refusal::explain(error, None))
        .context("the plan is refused")?;
    let mut gas = 0u64;
    for number in 0..=memory.head()?.number {
        // A block of a chain in memory holds one transaction, and both have the same hash.
        if let Some(block) = memory.block(number)? {
            gas += memory.receipt(block.hash)?.map_or(0, |receipt| receipt.gas_used);
        }
    }
    Ok(gas)
}

fn text(plan: &DeployPlan, gas: u64) -> String {
    let roles = &plan.parties;
    let all = |accounts: &[Address]| accounts.iter().map(Address::to_string).collect::<Vec<_>>().join(" ");
    let windows = &plan.windows;
    facts(&[
        ("poster", roles.poster.to_string()),
        ("guardian", roles.guardian.to_string()),
        ("council", all(&roles.council)),
        ("committee", format!("{} of {}: {}", roles.threshold, roles.committee.len(), all(&roles.committee))),
        ("first ESM", format!("{} to {}", esm(plan.genesis), roles.genesis_holder)),
        (
            "budget",
            format!(
                "{} an epoch, halved every {} epochs; never more than {} in all",
                esm(plan.budget_first),
                count(plan.halving_epochs),
                esm(plan.cap)
            ),
        ),
        (
            "windows",
            format!(
                "leaving {}, challenging a root {}, taking stake {}",
                span(windows.cooldown_s),
                span(windows.dispute_s),
                span(windows.slash_s)
            ),
        ),
        ("gas", format!("{} in a rehearsal", count(gas))),
    ])
}

fn done(addresses: &Addresses, args: &DeployArgs) -> String {
    let rows: Vec<Vec<String>> =
        addresses.named().iter().map(|(name, address)| vec![(*name).to_owned(), address.to_string()]).collect();
    format!(
        "{}  every role was asked back from the chain: the deployer holds none\n  written to {}\n",
        table(&["contract", "address"], &rows),
        args.out.display()
    )
}
