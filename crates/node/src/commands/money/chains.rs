//! `essaim chain new-wallet`, `wallet`, `show` and `advance`.

use anyhow::{Context as _, Result, bail, ensure};
use chain::Wallet;
use chain::bindings::{DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, StakeVault};
use serde_json::json;

use super::place::{Access, Place};
use super::words::{date, esm, facts, span, table};
use super::{signer, wrong_usage};
use crate::cli::{AdvanceArgs, ChainShowArgs, NewWalletArgs, PlaceArgs, WalletArgs};
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// Makes a key and writes it into an encrypted file.
pub(super) fn new_wallet(args: &NewWalletArgs, context: &Context) -> Result<Ending> {
    // Nobody should think of a password for a file that cannot be.
    ensure!(!args.file.exists(), "{} exists; a wallet is never written over another", args.file.display());
    let password = signer::password(&format!("new password for {}: ", args.file.display()), true)?;
    let wallet = Wallet::generate()?;
    wallet.save(&args.file, password.as_bytes())?;
    let file = args.file.display();
    let more = format!("  its key is in {file}, encrypted; whoever loses file or password loses the money\n");
    let more = if context.global.quiet { "" } else { &more };
    let document = || json!({ "account": wallet.to_string(), "file": args.file });
    context.answer_done(document, || format!("{wallet}\n{more}"))?;
    Ok(Ending::Done)
}

/// Shows the account of a wallet.
pub(super) fn wallet(args: &WalletArgs, context: &Context) -> Result<Ending> {
    let place = match &args.chain {
        Some(chain) => {
            let args = PlaceArgs { chain: chain.clone(), addresses: args.addresses.clone(), confirmations: None };
            Some(Place::open(&args, Access::Look)?)
        }
        None => None,
    };
    let Some(wallet) = signer::named(&args.signer, place.as_ref())? else {
        return Err(wrong_usage("whose wallet? --wallet KEYSTORE, ESSAIM_KEYSTORE or ESSAIM_KEY, or --as PARTY"));
    };
    let account = wallet.address();
    let held = match &place {
        Some(place) => {
            let holds = place.contracts.balance(&*place.chain, account)?;
            let position = place.contracts.position(&*place.chain, account)?;
            Some((holds, position.active, place.chain.balance_wei(account)?))
        }
        None => None,
    };
    if context.global.json {
        let mut document = json!({ "account": account.to_string() });
        if let Some((holds, active, coin)) = held {
            document["holds"] = holds.into();
            document["active"] = active.into();
            document["coin_wei"] = coin.to_string().into();
        }
        output::print_line(&document.to_string())?;
        return Ok(Ending::Done);
    }
    let mut text = format!("{account}\n");
    if let (Some((holds, active, coin)), Some(place)) = (held, &place) {
        text += &facts(&[
            ("on", place.name.clone()),
            ("holds", esm(holds)),
            ("at stake", esm(active)),
            ("for gas", format!("{coin} wei")),
        ]);
    }
    output::print(&text)?;
    Ok(Ending::Done)
}

/// Lets time pass where the clock is ours.
pub(super) fn advance(args: &AdvanceArgs, context: &Context) -> Result<Ending> {
    let mut place = Place::open(&args.place, Access::Act)?;
    if !place.chain.advance(args.seconds)? {
        bail!("the clock of {} is not ours to move", place.name);
    }
    let now_s = place.now_s()?;
    let document = || json!({ "seconds": args.seconds, "time_s": now_s });
    let text = || format!("{} have passed; it is {} on {}\n", span(args.seconds), date(now_s), place.name);
    context.answer_done(document, text)?;
    Ok(Ending::Done)
}

/// A window and its length in seconds.
type Window = (&'static str, u64);

/// Shows the contracts with what they are set to.
pub(super) fn show(args: &ChainShowArgs, context: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    let (contracts, chain) = (&place.contracts, &*place.chain);
    let head = chain.head()?;
    let windows = windows(&place)?;
    let (committee, threshold) = contracts.committee(chain)?;
    let (supply, claimed) = (contracts.total_supply(chain)?, contracts.claimed_total(chain)?);
    if context.global.json {
        let windows: serde_json::Map<_, _> =
            windows.iter().map(|(name, s)| ((*name).to_owned(), (*s).into())).collect();
        let document = json!({
            "chain_id": chain.chain_id(), "block": head.number, "time_s": head.time_s,
            "addresses": contracts.addresses, "windows_s": windows, "supply": supply, "claimed": claimed,
            "committee": { "number": committee, "threshold": threshold },
        });
        output::print_line(&document.to_string())?;
        return Ok(Ending::Done);
    }
    let head = facts(&[
        ("chain", chain.chain_id().to_string()),
        ("newest block", format!("{} of {}", head.number, date(head.time_s))),
        ("supply", esm(supply)),
        ("claimed", esm(claimed)),
        ("committee", format!("number {committee}; {threshold} must sign a ruling")),
    ]);
    let rows: Vec<Vec<String>> = contracts
        .addresses
        .named()
        .iter()
        .map(|(name, address)| vec![(*name).to_owned(), address.to_string()])
        .collect();
    let addresses = table(&["contract", "address"], &rows);
    let rows: Vec<Vec<String>> = windows.iter().map(|(name, s)| vec![name.replace('_', " "), span(*s)]).collect();
    let windows = table(&["window", "#length"], &rows);
    output::print(&format!("{}\n{head}\n{addresses}\n{windows}", place.name))?;
    Ok(Ending::Done)
}

fn windows(place: &Place) -> Result<Vec<Window>> {
    let at = &place.contracts.addresses;
    let ask = |to, question: chain::Bytes| -> Result<u64> {
        let answer = place.chain.view(None, to, question)?;
        // Each is a number of 64 bits, in the last eight bytes of the word.
        let word: [u8; 8] = answer.last_chunk().copied().context("a window is a word of 32 bytes")?;
        Ok(u64::from_be_bytes(word))
    };
    use chain::encode;
    Ok(vec![
        ("leaving", ask(at.vault, encode(StakeVault::cooldownCall {}))?),
        ("taking_stake", ask(at.vault, encode(StakeVault::slashWindowCall {}))?),
        ("challenging_a_root", ask(at.rewards, encode(EpochRewards::disputeWindowCall {}))?),
        ("answering", ask(at.court, encode(DisputeCourt::answerWindowCall {}))?),
        ("ruling", ask(at.court, encode(DisputeCourt::rulingWindowCall {}))?),
        ("appealing", ask(at.court, encode(DisputeCourt::appealWindowCall {}))?),
        ("ruling_on_an_appeal", ask(at.court, encode(DisputeCourt::appealRulingWindowCall {}))?),
        ("ruling_on_a_root", ask(at.court, encode(DisputeCourt::rootRulingWindowCall {}))?),
        ("between_budgets", ask(at.emission, encode(EmissionSchedule::intervalCall {}))?),
        ("administration", ask(at.timelock, encode(EssaimTimelock::getMinDelayCall {}))?),
    ])
}
