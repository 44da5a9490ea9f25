//! What the committee signs, each member for itself, and entering it.
//!
//! Promise: a member signs what its own machine reads of the case, never a digest that somebody hands it; ballots
//! that do not say the same are refused before anything is sent.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use chain::contracts::{Ballot, Case, CaseKind, RootRuling, StakeRuling};
use chain::{Address, B256, Bytes, Call};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{case, standing};
use crate::cli::{RuleArgs, SignArgs};
use crate::commands::money::act::{self, Act, Step};
use crate::commands::money::place::{Access, Place};
use crate::commands::money::signer;
use crate::commands::money::words::some;
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// Longest ballot file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a ruling says, besides what the case is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Finding {
    /// The court, and its chain.
    chain_id: u64,
    court: Address,
    case: u64,
    guilty: bool,
    reasons: B256,
    committee: u64,
    signed_until_s: u64,
}

/// One member's ballot as a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct BallotFile {
    #[serde(flatten)]
    finding: Finding,
    member: Address,
    signature: Bytes,
}

/// A ruling on what a case is about.
enum Ruling {
    Stake(StakeRuling),
    Root(RootRuling),
}

impl Ruling {
    fn of(case: &Case, finding: &Finding) -> Self {
        let Finding { guilty, reasons, committee, signed_until_s: signed_until, .. } = *finding;
        match case.kind {
            CaseKind::Stake => Self::Stake(StakeRuling {
                case: case.case,
                accused: case.accused,
                amount: case.amount,
                evidence: case.evidence,
                answer: case.answer,
                guilty,
                reasons,
                committee,
                signed_until,
            }),
            CaseKind::Root => Self::Root(RootRuling {
                case: case.case,
                epoch: case.epoch,
                root: case.root,
                evidence: case.evidence,
                guilty,
                reasons,
                committee,
                signed_until,
            }),
        }
    }

    fn call(&self, place: &Place, ballots: Vec<Ballot>) -> Call {
        match self {
            Self::Stake(ruling) => place.contracts.rule_stake(ruling, ballots),
            Self::Root(ruling) => place.contracts.rule_root(ruling, ballots),
        }
    }
}

/// Signs a ruling and prints the ballot, which is JSON with or without `--json`.
pub(super) fn sign(args: &SignArgs, _: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    let member = signer::wallet(&args.signer, &place)?;
    let case = case(&place, args.case)?;
    let (committee, _) = place.contracts.committee(&*place.chain)?;
    let addresses = &place.contracts.addresses;
    let finding = Finding {
        chain_id: addresses.chain_id,
        court: addresses.court,
        case: case.case,
        guilty: args.guilty,
        reasons: args.reasons.unwrap_or(case.evidence),
        committee,
        signed_until_s: case.deadline_s,
    };
    let ballot = match Ruling::of(&case, &finding) {
        Ruling::Stake(ruling) => ruling.sign(addresses, &member),
        Ruling::Root(ruling) => ruling.sign(addresses, &member),
    };
    let file = BallotFile { finding, member: ballot.member, signature: ballot.signature };
    output::print_line(&serde_json::to_string(&file)?)?;
    Ok(Ending::Done)
}

/// Enters a ruling.
pub(super) fn rule(args: &RuleArgs, context: &Context) -> Result<Ending> {
    let ballots = args.ballots.iter().map(|path| read(path)).collect::<Result<Vec<BallotFile>>>()?;
    let first = ballots.first().context("at least one ballot was given")?.finding.clone();
    if let Some(other) = ballots.iter().find(|ballot| ballot.finding != first) {
        bail!("the ballots of {} and {} do not say the same", ballots[0].member, other.member);
    }
    let (mut place, wallet) = act::open(&args.send)?;
    let number = args.case;
    let case = case(&place, number)?;
    let addresses = &place.contracts.addresses;
    ensure!(
        first.case == number && first.chain_id == addresses.chain_id && first.court == addresses.court,
        "the ballots are about case {} of court {} on chain {}",
        first.case,
        first.court,
        first.chain_id
    );
    let (_, needed) = place.contracts.committee(&*place.chain)?;
    let finding = if first.guilty { "guilty" } else { "not guilty" };
    let words = format!(
        "rule in case {number}: {finding}, signed by {} of {needed} needed",
        some(ballots.len() as u64, "member")
    );
    let signed =
        ballots.into_iter().map(|ballot| Ballot { member: ballot.member, signature: ballot.signature }).collect();
    let call = Ruling::of(&case, &first).call(&place, signed);
    let act = Act { words, steps: vec![Step::new("enter the ruling", call)], facts: json!({ "guilty": first.guilty }) };
    act::carry_out(&mut place, &wallet, &act, &args.send, context, &|place| standing(place, number))
}

fn read(path: &Path) -> Result<BallotFile> {
    let named = || format!("cannot read the ballot {}", path.display());
    let bytes = std::fs::metadata(path).with_context(named)?.len();
    ensure!(bytes <= FILE_BYTES_MAX, "{}: limit {FILE_BYTES_MAX} bytes, given {bytes}", path.display());
    serde_json::from_slice(&std::fs::read(path).with_context(named)?).with_context(named)
}
