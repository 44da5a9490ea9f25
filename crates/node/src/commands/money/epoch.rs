//! `essaim epoch` and `essaim challenge`: the roots against which claims are paid.

use anyhow::{Context as _, Result, bail, ensure};
use chain::bindings::EpochRewards;
use chain::{B256, ChainError, EpochToPost, Settled, Wallet, settle_epoch};
use ledger::keccak256;
use protocol::Keypair;
use serde_json::json;

use super::act::{self, Act, After, Step, Telling};
use super::audit::{PostedRoot, posted};
use super::log::{self, Rebuilt};
use super::place::{Access, Place};
use super::refusal;
use super::slash::evidence;
use super::stake::enough;
use super::words::{count, esm, facts, moment, short, some, table};
use super::wrong_usage;
use crate::cli::{ChallengeArgs, EpochPostArgs, EpochShowArgs, EpochVoidArgs, SendArgs};
use crate::context::Context;
use crate::ending::Ending;
use crate::run::payout::Book;
use record::output;
use record::run_dir::{RunDir, RunDirError};

/// Roots that are listed.
const ROOTS_SHOWN: usize = 40;

/// Shows what is live, what waits, and what was posted.
pub(super) fn show(args: &EpochShowArgs, context: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    let (contracts, chain) = (&place.contracts, &*place.chain);
    let (live, pending) = (contracts.live_root(chain)?, contracts.pending_root(chain)?);
    let (next, claimed) = (contracts.next_epoch(chain)?, contracts.claimed_total(chain)?);
    let held = contracts.balance(chain, contracts.addresses.rewards)?;
    let release = contracts.next_release(chain)?;
    let (budget, release_at_s) = (contracts.budget(chain, release)?, contracts.release_at_s(chain, release)?);
    let roots = posted(&place)?;
    if context.global.json {
        let document = json!({
            "live": live.map(|live| json!({ "epoch": live.epoch, "root": live.root, "lifetime_total": live.lifetime_total })),
            "pending": pending.map(|root| json!({ "epoch": root.epoch, "root": root.root, "live_at_s": root.live_at_s })),
            "next_epoch": next, "claimed": claimed, "held": held, "posted": roots,
            "next_release": { "epoch": release, "budget": budget, "at_s": release_at_s },
        });
        output::print_line(&document.to_string())?;
        return Ok(Ending::Done);
    }
    let now_s = place.now_s()?;
    let live = live.map_or("nothing: no claim can be made".to_owned(), |live| {
        format!("epoch {}, root {}, {} in all", live.epoch, short(&live.root), esm(live.lifetime_total))
    });
    let pending = pending.map_or("nothing".to_owned(), |root| {
        format!("epoch {}, root {}, live from {}", root.epoch, short(&root.root), moment(root.live_at_s, now_s))
    });
    let lines = [
        ("live", live),
        ("waits", pending),
        ("claimed", format!("{}; {} can still be claimed or posted", esm(claimed), esm(held))),
        ("next to post", format!("epoch {next}")),
        ("next budget", format!("epoch {release}: {}, from {}", esm(budget), moment(release_at_s, now_s))),
    ];
    let mut text = format!("{}\n{}", place.name, facts(&lines));
    if !roots.is_empty() {
        let left_out = roots.len().saturating_sub(ROOTS_SHOWN);
        let rows: Vec<Vec<String>> = roots[left_out..].iter().map(row).collect();
        let heads = ["#epoch", "root", "#paid since the beginning", "#block", "log", ""];
        text += &format!("\n{}", table(&heads, &rows));
        if left_out > 0 {
            text += &format!("  {} before these; --json lists all\n", some(left_out as u64, "root"));
        }
    }
    output::print(&text)?;
    Ok(Ending::Done)
}

fn row(root: &PostedRoot) -> Vec<String> {
    let fate = if root.voided { "dropped" } else { "" };
    vec![
        root.epoch.to_string(),
        short(&root.root),
        esm(root.lifetime_total),
        root.block.to_string(),
        // A stranger may have written it: no control characters.
        root.uri.chars().flat_map(char::escape_debug).collect(),
        fate.to_owned(),
    ]
}

/// Posts the root of a closed epoch. What is there already is not posted again. If the root of the last one was
/// dropped, what it would have paid goes under a new number: the ledger of the run's folder closes an empty epoch.
pub(super) fn post(args: &EpochPostArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let quiet = context.global.quiet || context.global.json;
    let (mut send, mut telling) = (args.send.clone(), Telling::new(context));
    let mut rebuilt = ledger(&place, args.ledger.as_deref(), quiet)?
        .ok_or_else(|| wrong_usage("which ledger? --ledger LOG, or --chain with the folder of a run"))?;
    let (terms, at) = (rebuilt.ledger.terms(), &place.contracts.addresses);
    ensure!(
        terms.chain_id == at.chain_id && at.rewards == terms.rewards.0,
        "the ledger is paid by contract {} on chain {}, not by {} on chain {}",
        terms.rewards,
        terms.chain_id,
        at.rewards,
        at.chain_id
    );
    let mut post = to_post(&rebuilt, args)?;
    if place.contracts.next_epoch(&*place.chain)? > post.epoch {
        // Nothing is sent for an epoch that the chain has passed.
        let settled = settle_epoch(&mut *place.chain, &place.contracts, &wallet, &post)?;
        let keys = match settled.voided && args.epoch.is_none() {
            true => orchestrator(&place, &rebuilt)?,
            false => None,
        };
        let Some(keys) = keys else { return posted_before(&post, &settled, send.dry_run, context) };
        is_poster(&place, &wallet)?;
        telling.open(&place, &wallet, &send)?; // before anything is closed
        if !close_empty(&place, &mut rebuilt, &keys, &send, &mut telling)? {
            output::note("nothing was closed or sent");
            return Ok(Ending::Interrupted);
        }
        send.yes = true; // agreed to just now
        post = to_post(&rebuilt, args)?;
    }
    let words =
        format!("post epoch {} with root {}, {} in all", post.epoch, short(&post.root), esm(post.lifetime_total));
    is_poster(&place, &wallet)?; // before anything is minted for a root that would be refused
    let mut steps = Vec::new();
    for epoch in place.contracts.next_release(&*place.chain)?..=post.epoch {
        let budget = place.contracts.budget(&*place.chain, epoch)?;
        steps.push(Step::new(
            format!("mint the budget of epoch {epoch}, {}", esm(budget)),
            place.contracts.release(epoch),
        ));
    }
    steps.push(Step::new("post the root".to_owned(), place.contracts.post_root(&post)));
    let facts = json!({ "epoch": post.epoch, "root": post.root, "lifetime_total": post.lifetime_total, "file_hash": post.file_hash });
    let act = Act { words, steps, facts };
    act::carry_on(telling, &mut place, &wallet, &act, &send, &pending)
}

/// The key that writes the ledger, if it is that of the run's folder and the key follows from the run's seed.
fn orchestrator(place: &Place, rebuilt: &Rebuilt) -> Result<Option<Keypair>> {
    if place.ledger().as_ref() != Some(&rebuilt.path) {
        return Ok(None);
    }
    let keys = place.parties()?.map(|parties| parties.orchestrator());
    Ok(keys.filter(|keys| keys.public() == rebuilt.ledger.terms().run.orchestrator))
}

/// Closes the epoch that is open, after a question; false if the answer is no. A dry run writes nothing.
fn close_empty(
    place: &Place,
    rebuilt: &mut Rebuilt,
    keys: &Keypair,
    send: &SendArgs,
    telling: &mut Telling,
) -> Result<bool> {
    let ledger = &mut rebuilt.ledger;
    let (dropped, open) = (ledger.epoch().saturating_sub(1), ledger.epoch());
    if send.dry_run {
        let entry = ledger.close()?;
        ledger.append(entry, keys)?;
        return Ok(true);
    }
    let path = rebuilt.path.display();
    let question = format!(
        "the root of epoch {dropped} was dropped: close epoch {open} with {} in {path}, and post on {} what {dropped} \
         would have paid?",
        some(ledger.steps_open(), "step"),
        place.name
    );
    if !send.yes && !act::agreed(&question)? {
        return Ok(false);
    }
    telling.line(&format!("close epoch {open} in {path}"));
    telling.check()?; // before it is written
    // A copy of a run's folder need not have its events; then no run can be going on in it.
    let _owner = match place.run.as_deref().map(RunDir::open).transpose() {
        Err(RunDirError::NoRun { .. }) => None,
        owner => owner.context("a run that goes on closes its epochs itself")?,
    };
    let mut book = Book::open(&rebuilt.path, keys.clone())?;
    book.append(book.ledger().close()?)?;
    *ledger = book.ledger().clone();
    Ok(true)
}

fn is_poster(place: &Place, wallet: &Wallet) -> Result<()> {
    let question = EpochRewards::hasRoleCall { role: keccak256(b"POSTER_ROLE").into(), account: wallet.address() };
    let answer = place.chain.view(None, place.contracts.addresses.rewards, chain::encode(question))?;
    ensure!(answer.last() == Some(&1), "only the poster may do that, and {wallet} is not");
    Ok(())
}

/// Another try of the same has posted it.
fn posted_before(post: &EpochToPost, settled: &Settled, is_dry: bool, context: &Context) -> Result<Ending> {
    let EpochToPost { epoch, root, .. } = post;
    let fate = match settled.voided {
        true => {
            ", and was dropped since; the next epoch that the ledger closes carries it (with the folder of the run, \
             this command without --epoch closes one)"
        }
        false => "; nothing to do",
    };
    let document = || {
        json!({
            "act": "nothing", "dry_run": is_dry, "steps": [], "epoch": epoch, "root": root,
            "block": settled.block, "transaction": settled.transaction, "voided": settled.voided,
        })
    };
    context.answer(document, || format!("epoch {epoch} was posted before, in block {}{fate}\n", settled.block))?;
    Ok(Ending::Done)
}

fn to_post(rebuilt: &Rebuilt, args: &EpochPostArgs) -> Result<EpochToPost> {
    let ledger = &rebuilt.ledger;
    let closed = ledger.epoch();
    let epoch = args.epoch.or(closed.checked_sub(1)).context("the ledger has closed no epoch yet")?;
    let report = ledger.epochs().get(usize::try_from(epoch)?);
    let report = report.with_context(|| format!("epoch {epoch} is not closed: {} are", some(closed, "epoch")))?;
    Ok(EpochToPost {
        epoch,
        root: B256::from(report.root),
        lifetime_total: report.lifetime_total,
        file_hash: B256::from(ledger.head()),
        uri: args.uri.clone(),
    })
}

fn pending(place: &Place) -> Result<After> {
    let Some(root) = place.contracts.pending_root(&*place.chain)? else { return Ok(After::default()) };
    let live = format!("epoch {} from {}", root.epoch, moment(root.live_at_s, place.now_s()?));
    Ok(After { lines: vec![("live", live)], facts: json!({ "live_at_s": root.live_at_s }) })
}

/// Drops the root that waits.
pub(super) fn void(args: &EpochVoidArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let epoch = args.epoch;
    let root = waiting(&place, epoch)?;
    let words = format!(
        "drop the root {} of epoch {epoch}; the next root, of this run's next epoch or of `essaim epoch post`, carries what it would have paid",
        short(&root)
    );
    let steps = vec![Step::new("drop it", place.contracts.void_pending(epoch))];
    let act = Act { words, steps, facts: json!({ "epoch": epoch, "root": root }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|_| Ok(After::default()))
}

/// Brings a case about the root that waits.
pub(super) fn challenge(args: &ChallengeArgs, context: &Context) -> Result<Ending> {
    let (mut place, wallet) = act::open(&args.send)?;
    let epoch = args.epoch;
    let root = waiting(&place, epoch)?;
    let rebuilt = ledger(&place, args.ledger.as_deref(), context.global.quiet || context.global.json)?;
    let ours = match &rebuilt {
        Some(rebuilt) => {
            let report = rebuilt.ledger.epochs().get(usize::try_from(epoch)?);
            Some(report.map_or(B256::ZERO, |report| B256::from(report.root)))
        }
        None => None,
    };
    ensure!(
        ours != Some(root) || args.force,
        "the root of epoch {epoch} is the one that follows from the ledger: a challenge would cost the bond (--force)"
    );
    let evidence = match (evidence(&args.evidence)?, &rebuilt) {
        (Some(evidence), _) => evidence,
        (None, Some(rebuilt)) => B256::from(rebuilt.ledger.head()),
        (None, None) => return Err(wrong_usage("what does it rest on? --evidence, --evidence-file, or --ledger")),
    };
    let bond = place.contracts.root_bond(&*place.chain)?;
    enough(&place, wallet.address(), bond, "for the bond")?;
    let mut steps = super::slash::bond_steps(&place, &wallet, bond)?;
    steps.push(Step::new("bring the case", place.contracts.challenge_root(epoch, root, evidence)));
    let by_ledger = match ours {
        None => String::new(),
        Some(B256::ZERO) => "; the ledger has not closed that epoch".to_owned(),
        Some(ours) => format!("; by the ledger it is {}", short(&ours)),
    };
    let words = format!("challenge the root {} of epoch {epoch} with a bond of {}{by_ledger}", short(&root), esm(bond));
    let facts = json!({ "epoch": epoch, "root": root, "root_by_the_ledger": ours, "bond": bond, "evidence": evidence });
    let act = Act { words, steps, facts };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| {
        let case = place.contracts.case_count(&*place.chain)?;
        Ok(After { lines: vec![("case", count(case))], facts: json!({ "case": case }) })
    })
}

/// The root of this epoch, if it waits.
fn waiting(place: &Place, epoch: u64) -> Result<B256> {
    match place.contracts.pending_root(&*place.chain).map_err(|error: ChainError| refusal::explain(error, None))? {
        Some(pending) if pending.epoch == epoch => Ok(pending.root),
        Some(pending) => bail!("the root of epoch {} waits, not that of epoch {epoch}", pending.epoch),
        None => bail!("no root waits: that of epoch {epoch} is live, was dropped, or was never posted"),
    }
}

/// The ledger that was named, or that of the run's folder.
pub(super) fn ledger(place: &Place, named: Option<&std::path::Path>, quiet: bool) -> Result<Option<Rebuilt>> {
    match named.map(std::path::Path::to_owned).or_else(|| place.ledger()) {
        Some(path) => log::read(&path, quiet).map(Some),
        None => Ok(None),
    }
}
