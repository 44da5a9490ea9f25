//! What people do with the contracts, and what they are refused.

use std::collections::BTreeMap;

use chain::bindings::StakeVault::StakeVaultEvents;
use chain::bindings::{DisputeCourt, EpochRewards, NodeRegistry, StakeVault};
use chain::contracts::{CaseKind, CaseState, Outcome, RootRuling, StakeRuling};
use chain::units::ONE_ESM;
use chain::{Addresses, B256, ChainError, Contracts, EpochToPost, Event, U256, Wallet, account, address, settle_epoch};
use ledger::merkle;
use protocol::Keypair;

use crate::stage::{BUDGET, PURSE, Stage};

/// Plays every story on the stage that `$stage` sets.
macro_rules! play_all {
    ($stage:expr) => {
        play_all!($stage;
            the_roles_are_with_contracts_and_the_deployer_has_none
            a_node_enters_its_own_key_and_nobody_elses
            stake_goes_in_with_one_signature_and_comes_out_after_the_cooldown
            a_convicted_liar_loses_its_stake_and_every_coin_is_accounted_for
            an_accusation_on_which_nobody_rules_frees_the_stake_and_returns_the_bond
            the_committee_signs_what_the_contract_asks_for
            an_epoch_is_posted_once_however_often_it_is_settled
            a_claim_pays_once_and_anybody_may_send_it
            everybody_in_the_ledgers_tree_claims_with_its_proof
            a_wrong_root_is_challenged_and_voided_by_the_committee
            a_voided_root_is_told_as_voided
            an_epoch_waits_for_the_root_before_it
            what_is_refused_is_never_sent
            an_address_without_a_contract_is_named
        );
    };
    ($stage:expr; $($story:ident)*) => {
        $(#[test]
        fn $story() {
            if let Some(mut stage) = $stage {
                $crate::stories::$story(&mut stage);
            }
        })*
    };
}
pub(crate) use play_all;

pub(crate) fn the_roles_are_with_contracts_and_the_deployer_has_none(stage: &mut Stage) {
    let deployer = stage.deployer.clone();
    let mint = chain::Call::to(
        stage.contracts.addresses.token,
        chain::encode(chain::bindings::EssaimToken::mintCall { to: deployer.address(), amount: U256::from(1) }),
    );
    assert!(stage.refused(&deployer, mint).to_string().starts_with("AccessControlUnauthorizedAccount"));
    let post = epoch(0, B256::repeat_byte(9), 1);
    assert!(stage.refused(&deployer, stage.contracts.post_root(&post)).to_string().contains("Unauthorized"));
}

pub(crate) fn a_node_enters_its_own_key_and_nobody_elses(stage: &mut Stage) {
    let (worker, stranger) = (stage.worker.clone(), stage.stranger.clone());
    let peer = Keypair::from_seed(&[5; 32]);
    let call = stage.registration(&worker, &peer);
    let stolen = stage.refused(&stranger, call.clone());
    assert!(stolen.is::<NodeRegistry::NoPossession>(), "{stolen}");
    stage.does(&worker, call);
    let node = stage.contracts.node(&*stage.chain, &peer.public()).unwrap().expect("registered");
    assert_eq!((node.owner, node.kind, node.active), (worker.address(), 1, true));
    let again = stage.registration(&stranger, &peer);
    assert!(stage.refused(&stranger, again).is::<NodeRegistry::KeyTaken>());
    assert_eq!(stage.contracts.node(&*stage.chain, &Keypair::from_seed(&[6; 32]).public()).unwrap(), None);
}

pub(crate) fn stake_goes_in_with_one_signature_and_comes_out_after_the_cooldown(stage: &mut Stage) {
    let worker = stage.worker.clone();
    stage.stake(100 * ONE_ESM);
    assert_eq!(stage.contracts.stake_of(&*stage.chain, worker.address()).unwrap(), 100 * ONE_ESM);
    stage.does(&worker, stage.contracts.request_leave(40 * ONE_ESM));
    let position = stage.contracts.position(&*stage.chain, worker.address()).unwrap();
    assert_eq!((position.active, position.leaving, position.reserved), (60 * ONE_ESM, 40 * ONE_ESM, 0));
    let early = stage.refused(&worker, stage.contracts.withdraw());
    assert_eq!(early.decode::<StakeVault::TooEarly>().unwrap().readyAt, position.leave_at_s);
    assert_eq!(early.to_string(), format!("TooEarly {{ readyAt: {} }}", position.leave_at_s));
    stage.pass(stage.plan.windows.cooldown_s);
    stage.does(&worker, stage.contracts.withdraw());
    assert_eq!(stage.balance(worker.address()), PURSE - 60 * ONE_ESM);
}

pub(crate) fn a_convicted_liar_loses_its_stake_and_every_coin_is_accounted_for(stage: &mut Stage) {
    let before = stage.everywhere();
    let (worker, accuser, stranger) = (stage.worker.clone(), stage.accuser.clone(), stage.stranger.clone());
    stage.stake(100 * ONE_ESM);
    let case = stage.accuse(50 * ONE_ESM);
    let position = stage.contracts.position(&*stage.chain, worker.address()).unwrap();
    assert_eq!(position.reserved, 50 * ONE_ESM);
    stage.does(&worker, stage.contracts.respond(case, B256::repeat_byte(2)));
    let ruling = ruling(stage, case, true);
    let ballots = stage.committee[..2].iter().map(|member| ruling.sign(&stage.contracts.addresses, member)).collect();
    stage.does(&stranger, stage.contracts.rule_stake(&ruling, ballots));
    let early = stage.refused(&stranger, stage.contracts.execute_case(case));
    assert!(early.is::<DisputeCourt::TooEarly>(), "{early}");
    stage.pass(stage.plan.windows.appeal_s + 1);
    let receipt = stage.does(&stranger, stage.contracts.execute_case(case));
    let events: Vec<_> = receipt.logs.iter().filter_map(|log| stage.contracts.event(log).unwrap()).collect();
    let told = stage.contracts.case(&*stage.chain, case).unwrap().expect("a case");
    let executed: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Vault(StakeVaultEvents::SlashExecuted(slash)) => Some(slash.id),
            _ => None,
        })
        .collect();
    assert_eq!(executed, [U256::from(told.slash)], "{events:?}");
    assert_eq!(told.slash, 1, "the vault counts its slashes from 1");
    assert_eq!((told.state, told.outcome), (CaseState::Closed, Some(Outcome::Convicted)));
    // 50 ESM are lost: a quarter of them to who accused, the rest to the treasury.
    assert_eq!(stage.contracts.stake_of(&*stage.chain, worker.address()).unwrap(), 50 * ONE_ESM);
    assert_eq!(stage.balance(accuser.address()), PURSE + 12_500_000);
    assert_eq!(stage.balance(stage.contracts.addresses.treasury), 37_500_000);
    assert_eq!(stage.everywhere(), before);
}

pub(crate) fn an_accusation_on_which_nobody_rules_frees_the_stake_and_returns_the_bond(stage: &mut Stage) {
    let stranger = stage.stranger.clone();
    stage.stake(100 * ONE_ESM);
    let case = stage.accuse(50 * ONE_ESM);
    assert_eq!(stage.balance(stage.accuser.address()), PURSE - 5 * ONE_ESM);
    stage.pass(stage.plan.windows.answer_s + stage.plan.windows.ruling_s + 1);
    stage.does(&stranger, stage.contracts.expire_case(case));
    let told = stage.contracts.case(&*stage.chain, case).unwrap().expect("a case");
    assert_eq!((told.outcome, told.slash), (Some(Outcome::Expired), 1));
    let next = stage.accuse(50 * ONE_ESM);
    assert_eq!(stage.contracts.case(&*stage.chain, next).unwrap().expect("a case").slash, 2);
    stage.pass(stage.plan.windows.answer_s + stage.plan.windows.ruling_s + 1);
    stage.does(&stranger, stage.contracts.expire_case(next));
    assert_eq!(stage.balance(stage.accuser.address()), PURSE);
    assert_eq!(stage.contracts.position(&*stage.chain, stage.worker.address()).unwrap().reserved, 0);
}

pub(crate) fn the_committee_signs_what_the_contract_asks_for(stage: &mut Stage) {
    stage.stake(100 * ONE_ESM);
    let case = stage.accuse(50 * ONE_ESM);
    for guilty in [true, false] {
        let ruling = ruling(stage, case, guilty);
        let asked = DisputeCourt::rulingDigestCall {
            id: U256::from(case),
            guilty,
            reasons: ruling.reasons,
            number: ruling.committee,
            signedUntil: ruling.signed_until,
        };
        let answer = stage.chain.view(None, stage.contracts.addresses.court, chain::encode(asked)).unwrap();
        assert_eq!(answer.as_ref(), ruling.digest(&stage.contracts.addresses).as_slice());
    }
}

pub(crate) fn an_epoch_is_posted_once_however_often_it_is_settled(stage: &mut Stage) {
    let post = alone(stage, 0, 70 * ONE_ESM);
    let (poster, contracts) = (stage.poster.clone(), stage.contracts);
    let first = settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    assert!(!first.already);
    let supply = contracts.total_supply(&*stage.chain).unwrap();
    assert_eq!(supply, stage.plan.genesis + BUDGET);
    let head = stage.chain.head().unwrap().number;
    let second = settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    assert_eq!((second.already, second.voided), (true, false));
    assert_eq!((second.block, second.transaction, second.live_at_s), (first.block, first.transaction, first.live_at_s));
    assert_eq!(stage.chain.head().unwrap().number, head, "nothing was sent");
    assert_eq!(contracts.total_supply(&*stage.chain).unwrap(), supply, "and nothing minted");
    let other = EpochToPost { root: B256::repeat_byte(7), ..post };
    let taken = settle_epoch(&mut *stage.chain, &contracts, &poster, &other).unwrap_err();
    assert!(matches!(taken, ChainError::EpochTaken { epoch: 0, posted: Some(_), .. }), "{taken}");
}

pub(crate) fn a_claim_pays_once_and_anybody_may_send_it(stage: &mut Stage) {
    let (worker, stranger) = (stage.worker.clone(), stage.stranger.clone());
    let post = alone(stage, 0, 70 * ONE_ESM);
    let (poster, contracts) = (stage.poster.clone(), stage.contracts);
    settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    let claim = contracts.claim(worker.address(), 70 * ONE_ESM, &[]);
    assert!(stage.refused(&stranger, claim.clone()).is::<EpochRewards::BadProof>(), "not live yet");
    stage.pass(stage.plan.windows.dispute_s);
    stage.does(&stranger, claim.clone());
    assert_eq!(stage.balance(worker.address()), PURSE + 70 * ONE_ESM);
    assert_eq!(stage.balance(stranger.address()), PURSE);
    assert!(stage.refused(&stranger, claim).is::<EpochRewards::NothingDue>());
    let more = contracts.claim(worker.address(), 71 * ONE_ESM, &[]);
    assert!(stage.refused(&worker, more).is::<EpochRewards::BadProof>());
    assert_eq!(contracts.claimed(&*stage.chain, worker.address()).unwrap(), 70 * ONE_ESM);
    assert_eq!(contracts.claimed_total(&*stage.chain).unwrap(), 70 * ONE_ESM);
}

pub(crate) fn everybody_in_the_ledgers_tree_claims_with_its_proof(stage: &mut Stage) {
    let (poster, stranger, contracts) = (stage.poster.clone(), stage.stranger.clone(), stage.contracts);
    let payees: Vec<_> = (0..5).map(|index| account(Wallet::derive(&[8; 32], "payee", index).address())).collect();
    let mut lifetimes = BTreeMap::new();
    for number in 0..2 {
        for (index, payee) in (1..).zip(&payees) {
            *lifetimes.entry(*payee).or_default() += (number + index) * ONE_ESM; // 15 ESM, then 20
        }
        let leaves = merkle::leaves(31_337, &account(contracts.addresses.rewards), &lifetimes);
        let post = epoch(number, B256::from(merkle::root(&leaves)), lifetimes.values().sum());
        stage.pass(2); // the budget may be minted
        settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
        stage.pass(stage.plan.windows.dispute_s);
        for (index, (payee, lifetime)) in lifetimes.iter().enumerate() {
            let claim = ledger::Claim { account: *payee, lifetime: *lifetime, proof: merkle::proof(&leaves, index) };
            let more = ledger::Claim { lifetime: lifetime + 1, ..claim.clone() };
            assert!(stage.refused(&stranger, contracts.claim_of(&more)).is::<EpochRewards::BadProof>());
            stage.does(&stranger, contracts.claim_of(&claim));
            assert_eq!(stage.balance(address(*payee)), *lifetime);
        }
    }
    assert_eq!(contracts.claimed_total(&*stage.chain).unwrap(), 35 * ONE_ESM);
}

pub(crate) fn a_wrong_root_is_challenged_and_voided_by_the_committee(stage: &mut Stage) {
    let (poster, accuser, contracts) = (stage.poster.clone(), stage.accuser.clone(), stage.contracts);
    let post = alone(stage, 0, 70 * ONE_ESM);
    settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    let bond = contracts.root_bond(&*stage.chain).unwrap();
    stage.does(&accuser, contracts.approve(contracts.addresses.court, bond));
    stage.does(&accuser, contracts.challenge_root(0, post.root, B256::repeat_byte(5)));
    assert_eq!(stage.balance(accuser.address()), PURSE - bond);
    let case = contracts.case_count(&*stage.chain).unwrap();
    let told = contracts.case(&*stage.chain, case).unwrap().expect("a case");
    assert_eq!((told.kind, told.epoch, told.root), (CaseKind::Root, 0, post.root));
    let (committee, needed) = contracts.committee(&*stage.chain).unwrap();
    let ruling = RootRuling {
        case,
        epoch: 0,
        root: post.root,
        evidence: told.evidence,
        guilty: true,
        reasons: B256::repeat_byte(6),
        committee,
        signed_until: told.deadline_s,
    };
    let ballots: Vec<_> = stage.committee.iter().map(|member| ruling.sign(&contracts.addresses, member)).collect();
    let too_few = contracts.rule_root(&ruling, ballots[..usize::from(needed) - 1].to_vec());
    assert!(stage.refused(&accuser, too_few).to_string().starts_with("Ballots"));
    let another = RootRuling { reasons: B256::ZERO, ..ruling };
    let moved = stage.refused(&accuser, contracts.rule_root(&another, ballots.clone()));
    assert!(moved.to_string().starts_with("BadBallot"), "{moved}");
    stage.does(&accuser, contracts.rule_root(&ruling, ballots));
    assert_eq!(contracts.pending_root(&*stage.chain).unwrap(), None);
    assert_eq!(stage.balance(accuser.address()), PURSE);
    assert!(settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap().voided);
}

pub(crate) fn a_voided_root_is_told_as_voided(stage: &mut Stage) {
    let post = alone(stage, 0, 70 * ONE_ESM);
    let (poster, contracts, guardian) = (stage.poster.clone(), stage.contracts, stage.guardian.clone());
    settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    stage.does(&guardian, contracts.void_pending(0));
    let again = settle_epoch(&mut *stage.chain, &contracts, &poster, &post).unwrap();
    assert!(again.already && again.voided, "{again:?}");
    stage.pass(stage.plan.windows.dispute_s);
    assert_eq!(contracts.live_root(&*stage.chain).unwrap(), None);
    let next = alone(stage, 1, 140 * ONE_ESM);
    settle_epoch(&mut *stage.chain, &contracts, &poster, &next).unwrap();
}

pub(crate) fn an_epoch_waits_for_the_root_before_it(stage: &mut Stage) {
    let (poster, contracts) = (stage.poster.clone(), stage.contracts);
    let first = alone(stage, 0, 70 * ONE_ESM);
    let posted = settle_epoch(&mut *stage.chain, &contracts, &poster, &first).unwrap();
    stage.pass(2); // the second budget may be minted
    let second = alone(stage, 1, 140 * ONE_ESM);
    let waits = settle_epoch(&mut *stage.chain, &contracts, &poster, &second).unwrap_err();
    assert!(matches!(waits, ChainError::NotYet { ready_at_s, .. } if ready_at_s == posted.live_at_s), "{waits}");
    stage.pass(stage.plan.windows.dispute_s);
    settle_epoch(&mut *stage.chain, &contracts, &poster, &second).unwrap();
    assert_eq!(contracts.next_epoch(&*stage.chain).unwrap(), 2);
}

pub(crate) fn what_is_refused_is_never_sent(stage: &mut Stage) {
    let worker = stage.worker.clone();
    let head = stage.chain.head().unwrap();
    let too_much = stage.contracts.transfer(stage.stranger.address(), 2 * PURSE);
    let reason = stage.refused(&worker, too_much.clone());
    assert!(reason.to_string().starts_with("ERC20InsufficientBalance"), "{reason}");
    assert_eq!(stage.chain.head().unwrap(), head);
    assert!(matches!(stage.chain.estimate(worker.address(), &too_much), Err(ChainError::Reverted { .. })));
    let fits = stage.contracts.transfer(stage.stranger.address(), PURSE / 2);
    assert!((30_000..70_000).contains(&stage.chain.estimate(worker.address(), &fits).unwrap()));
}

pub(crate) fn an_address_without_a_contract_is_named(stage: &mut Stage) {
    let elsewhere = Addresses { vault: Wallet::derive(&[1; 32], "nobody", 0).address(), ..stage.contracts.addresses };
    let missing = Contracts::connect(&*stage.chain, elsewhere).unwrap_err();
    assert!(matches!(missing, ChainError::NoContract { contract: "StakeVault", .. }), "{missing}");
    let another = Addresses { chain_id: 5, ..stage.contracts.addresses };
    let wrong = Contracts::connect(&*stage.chain, another).unwrap_err();
    assert!(matches!(wrong, ChainError::WrongChain { expected: 5, .. }), "{wrong}");
}

fn ruling(stage: &Stage, case: u64, guilty: bool) -> StakeRuling {
    let told = stage.contracts.case(&*stage.chain, case).unwrap().expect("a case");
    let (committee, _) = stage.contracts.committee(&*stage.chain).unwrap();
    StakeRuling {
        case,
        accused: told.accused,
        amount: told.amount,
        evidence: told.evidence,
        answer: told.answer,
        guilty,
        reasons: B256::repeat_byte(3),
        committee,
        signed_until: told.deadline_s,
    }
}

fn epoch(epoch: u64, root: B256, lifetime_total: u64) -> EpochToPost {
    EpochToPost { epoch, root, lifetime_total, file_hash: B256::repeat_byte(4), uri: "ledger.jsonl".into() }
}

/// An epoch in which the worker alone has earned: its leaf is the root, and its proof is empty.
fn alone(stage: &Stage, number: u64, lifetime: u64) -> EpochToPost {
    let leaf = stage.contracts.leaf(&*stage.chain, stage.worker.address(), lifetime).unwrap();
    epoch(number, leaf, lifetime)
}
