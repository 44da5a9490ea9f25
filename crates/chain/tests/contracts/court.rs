//! Random histories of the court, with the vault and the rewards behind it, against a model.
//!
//! Invariants, after every step: each case closes exactly once (the model refuses a second close); bonds in = bonds
//! out + held, and the court's balance is what it holds; stake is lost by conviction only, once, and goes to
//! accuser and treasury (I6); no ruling, appeal or execution outside its time (by the model's answer to every call).

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolError, SolStruct, eip712_domain};
use chain::Wallet;
use chain::bindings::{Committee, DisputeCourt as Court, EpochRewards as Rewards, StakeVault as Vault};
use proptest::prop_assert_eq;

use super::court_model::{About, Case, Model, Outcome, STAKE, State, accused_of};
use super::evm::{CHAIN_ID, Done, Failed};
use super::play::{Expected, FLOOR_CASES, Played, Step, Tally, campaign, histories};
use super::world::{ADMIN, Code, GUARDIAN, POSTER, STRANGER, TREASURY, World, committee, named, person};

mod typed {
    alloy_sol_types::sol! {
        struct StakeRuling {
            uint256 caseId; address accused; uint128 amount; bytes32 evidence; bytes32 answer; bool guilty;
            bytes32 reasons; uint64 committee; uint64 deadline;
        }
        struct RootRuling {
            uint256 caseId; uint64 epoch; bytes32 root; bytes32 evidence; bool guilty; bytes32 reasons;
            uint64 committee; uint64 deadline;
        }
    }
}

const LENGTH: usize = 64;
/// openCase, challengeRoot, postRoot, respond, rule, appeal, ruleAppeal, close, cancelCase, wait, deadline.
const WEIGHTS: &[u32] = &[10, 4, 5, 10, 14, 8, 8, 6, 1, 3, 30];
/// Of each act, how often it must work and be refused in 300 histories; about half of what is seen.
const FLOORS: &[(&str, u32, u32)] = &[
    ("openCase", 850, 70),
    ("challengeRoot", 100, 250),
    ("postRoot", 300, 150),
    ("respond", 230, 900),
    ("rule", 250, 2300),
    ("appeal", 90, 800),
    ("ruleAppeal", 45, 750),
    ("execute", 110, 300),
    ("expire", 280, 280),
    ("cancelCase", 40, 45),
];

struct Play<'a> {
    world: World,
    tally: &'a Tally,
    model: Model,
    posted: u64,
}

/// Plays `cases` histories; the first that goes wrong is the error.
pub(crate) fn explore(code: &Code, cases: u32, shrinks: u32, tally: &Tally) -> Result<u32, String> {
    let mut world = World::new(code);
    for account in world.people {
        world.does(account, world.vault, &Vault::stakeCall { amount: STAKE.into() });
    }
    let play = |steps: Vec<Step>| Play { world: world.clone(), tally, model: Model::new(), posted: 0 }.play(&steps);
    campaign(cases, shrinks, histories(WEIGHTS, LENGTH), play).map_err(|error| error.to_string())
}

#[test]
fn court_does_what_its_model_says() {
    let tally = Tally::default();
    let cases = explore(&Code::committed(), FLOOR_CASES, 2_000, &tally).unwrap_or_else(|error| panic!("{error}"));
    tally.hold_floors(cases, FLOORS);
}

impl Play<'_> {
    fn play(mut self, steps: &[Step]) -> Played {
        for step in steps {
            self.step(step)?;
            self.invariants()?;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.world.evm.now
    }

    fn at(&mut self, now: u64) {
        self.world.evm.now = now;
        self.model.at(now);
    }

    /// A case in one of these states, three times in four; else any number, zero and one not opened yet among them.
    fn picked(&self, step: &Step, states: &[State]) -> usize {
        let fits = |id: &usize| states.contains(&self.model.cases[id - 1].state);
        let fitting: Vec<_> = (1..=self.model.cases.len()).filter(fits).collect();
        match fitting.get(step.other % fitting.len().max(1)) {
            Some(&id) if !step.ppm.is_multiple_of(4) => id,
            _ => step.other % (self.model.cases.len() + 2),
        }
    }

    fn case(&self, id: usize) -> Option<&Case> {
        id.checked_sub(1).and_then(|index| self.model.cases.get(index))
    }

    fn step(&mut self, step: &Step) -> Played {
        let undecided = [State::Open, State::Answered];
        match step.act {
            0 => self.open(step),
            1 => self.challenge(step),
            2 => self.post(),
            3 => self.respond(self.picked(step, &[State::Open]), step.way),
            4 => self.rule(self.picked(step, &undecided), step.way),
            5 => self.appeal(self.picked(step, &[State::Guilty]), step.way),
            6 => self.rule_appeal(self.picked(step, &[State::Appealed]), step.way),
            7 if step.way.is_multiple_of(2) => self.execute(self.picked(step, &[State::Guilty, State::Appealed])),
            7 => self.expire(self.picked(step, &undecided)),
            8 => self.cancel(self.picked(step, &undecided), step.way),
            9 => {
                self.at(self.now() + step.ppm / 20_000);
                Ok(())
            }
            _ => self.deadline(step),
        }
    }

    fn open(&mut self, step: &Step) -> Played {
        let (challenger, accused) =
            (step.who, (step.who + usize::from(!step.way.is_multiple_of(16)) + step.other % 2) % 4);
        let held = self.model.held[accused];
        let amount = if step.ppm > 1_000_000 { held + step.ppm % 2 } else { held * step.ppm / 1_000_000 };
        let evidence = named("evidence", self.model.cases.len() as u64);
        let call = Court::openCaseCall { accused: self.world.people[accused], amount: amount.into(), evidence };
        let got = self.world.ask_court(self.world.people[challenger], &call);
        let expected = match () {
            () if amount == 0 => Err(Court::NoAmount::SELECTOR),
            () if accused == challenger => Err(Court::SelfAccused::SELECTOR),
            () if amount > held => Err(Vault::NotEnoughStake::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("openCase", got, expected)?.is_some() {
            self.model.open_stake(self.now(), challenger, accused, amount, evidence);
        }
        Ok(())
    }

    fn post(&mut self) -> Played {
        self.posted += 1;
        let root = named("root", self.posted);
        let (epoch, file) = (self.model.next_epoch, B256::ZERO);
        let call = Rewards::postRootCall { epoch, root, lifetimeTotal: 0, fileHash: file, uri: String::new() };
        let got = self.world.ask_rewards(POSTER, &call);
        let expected = if self.model.pending.is_some() { Err(Rewards::RootPending::SELECTOR) } else { Ok(()) };
        if self.tally.hold("postRoot", got, expected)?.is_some() {
            self.model.post(self.now(), root);
        }
        Ok(())
    }

    fn challenge(&mut self, step: &Step) -> Played {
        let pending = self.model.pending;
        let right = pending.is_some() && !step.way.is_multiple_of(8);
        let epoch = pending.map_or(0, |pending| pending.epoch);
        let root = if right { pending.map(|pending| pending.root).unwrap_or_default() } else { named("other", 0) };
        let evidence = named("evidence", self.model.cases.len() as u64);
        let call = Court::challengeRootCall { epoch, root, evidence };
        let got = self.world.ask_court(self.world.people[step.who], &call);
        let expected = if right { Ok(()) } else { Err(Court::NotPending::SELECTOR) };
        if self.tally.hold("challengeRoot", got, expected)?.is_some() {
            self.model.open_root(self.now(), step.who, evidence);
        }
        Ok(())
    }

    /// The accused, and one time in eight somebody else.
    fn as_accused(&self, id: usize, way: u8) -> (Address, Option<usize>) {
        match self.case(id).map(|case| case.about) {
            Some(About::Stake { accused, .. }) if !way.is_multiple_of(8) => (self.world.people[accused], Some(accused)),
            _ => (STRANGER, None),
        }
    }

    fn respond(&mut self, id: usize, way: u8) -> Played {
        let (caller, accused) = self.as_accused(id, way);
        let answer = named("answer", id as u64);
        let got = self.world.ask_court(caller, &Court::respondCall { id: U256::from(id), answer });
        let expected = match self.case(id) {
            Some(case) if case.state == State::Open && matches!(case.about, About::Stake { .. }) => match () {
                () if accused.is_none() => Err(Court::NotAccused::SELECTOR),
                () if self.now() > case.answer_until => Err(Court::TooLate::SELECTOR),
                () => Ok(()),
            },
            _ => Err(Court::WrongState::SELECTOR),
        };
        if self.tally.hold("respond", got, expected)?.is_some() {
            let case = &mut self.model.cases[id - 1];
            (case.state, case.answer) = (State::Answered, answer);
        }
        Ok(())
    }

    /// What members sign in case `id`, built here and not asked of the court.
    fn digest(&self, id: usize, guilty: bool, number: u64, signed_until: u64) -> B256 {
        let domain = eip712_domain! {
            name: "Essaim DisputeCourt", version: "1", chain_id: CHAIN_ID, verifying_contract: self.world.court,
        };
        let (case, reasons) = (U256::from(id), named("reasons", id as u64));
        let Some(about) = self.case(id) else { return B256::ZERO };
        match about.about {
            About::Stake { amount, .. } => typed::StakeRuling {
                caseId: case,
                accused: accused_of(about, &self.world.people),
                amount: amount.into(),
                evidence: about.evidence,
                answer: about.answer,
                guilty,
                reasons,
                committee: number,
                deadline: signed_until,
            }
            .eip712_signing_hash(&domain),
            About::Root { epoch, root } => typed::RootRuling {
                caseId: case,
                epoch,
                root,
                evidence: about.evidence,
                guilty,
                reasons,
                committee: number,
                deadline: signed_until,
            }
            .eip712_signing_hash(&domain),
        }
    }

    /// Members that are no party to the case; person 0 sits on the committee.
    fn judges(&self, id: usize) -> Vec<Wallet> {
        let Some(case) = self.case(id) else { return committee() };
        let parties = [accused_of(case, &self.world.people), self.world.people[case.challenger]];
        committee().into_iter().filter(|member| !parties.contains(&member.address())).collect()
    }

    /// Who signs what, and how the court must answer if nothing else is wrong.
    fn ballots(&self, id: usize, guilty: bool, way: u8) -> (Vec<Wallet>, bool, u64, u64, Expected) {
        let judges = self.judges(id);
        let pair: Vec<_> = judges.iter().take(2).cloned().collect();
        let (said, until) = (guilty, self.now());
        match way % 16 {
            0 => (vec![pair[0].clone()], said, 1, until, Err(Court::Ballots::SELECTOR)),
            1 => (vec![pair[0].clone(), pair[0].clone()], said, 1, until, Err(Court::NotAscending::SELECTOR)),
            2 => (pair.into_iter().rev().collect(), said, 1, until, Err(Court::NotAscending::SELECTOR)),
            3 => (pair, !said, 1, until, Err(Court::BadBallot::SELECTOR)),
            4 => (pair, said, 2, until, Err(Court::OtherCommittee::SELECTOR)),
            5 => (pair, said, 1, until - 1, Err(Court::TooLate::SELECTOR)),
            6 => {
                let mut two = vec![person(3), person(2)];
                two.sort_by_key(Wallet::address);
                (two, said, 1, until, Err(Court::NotMember::SELECTOR))
            }
            7 if judges.len() < 3 => {
                let all = committee();
                (all, said, 1, until, Err(Court::MemberIsParty::SELECTOR))
            }
            _ => (pair, said, 1, until, Ok(())),
        }
    }

    fn rule(&mut self, id: usize, way: u8) -> Played {
        let guilty = !(way / 16).is_multiple_of(8);
        let (signers, said, number, signed_until, signed) = self.ballots(id, guilty, way);
        let digest = self.digest(id, said, number, signed_until);
        let ballots = signers.iter().map(|member| Committee::Ballot {
            member: member.address(),
            signature: member.sign(&digest).as_bytes().into(),
        });
        let call = Court::ruleCall {
            id: U256::from(id),
            guilty,
            reasons: named("reasons", id as u64),
            number,
            signedUntil: signed_until,
            ballots: ballots.collect(),
        };
        let got = self.world.ask_court(STRANGER, &call);
        let now = self.now();
        let expected = match self.case(id) {
            Some(case) if matches!(case.state, State::Open | State::Answered) => match case.about {
                About::Stake { .. } if case.state == State::Open && now <= case.answer_until => {
                    Err(Court::TooEarly::SELECTOR)
                }
                _ if now > case.deadline => Err(Court::TooLate::SELECTOR),
                About::Root { .. } if signed.is_ok() && !self.model.is_pending(id - 1) => {
                    Err(Court::NotPending::SELECTOR)
                }
                _ => signed,
            },
            _ => Err(Court::WrongState::SELECTOR),
        };
        if self.tally.hold("rule", got, expected)?.is_some() {
            self.model.rule(now, id - 1, guilty);
        }
        Ok(())
    }

    fn appeal(&mut self, id: usize, way: u8) -> Played {
        let (caller, accused) = self.as_accused(id, way);
        let got = self.world.ask_court(caller, &Court::appealCall { id: U256::from(id), reasons: B256::ZERO });
        let expected = match self.case(id) {
            Some(case) if case.state == State::Guilty => match () {
                () if accused.is_none() => Err(Court::NotAccused::SELECTOR),
                () if self.now() > case.deadline => Err(Court::TooLate::SELECTOR),
                () => Ok(()),
            },
            _ => Err(Court::WrongState::SELECTOR),
        };
        if self.tally.hold("appeal", got, expected)?.is_some() {
            self.model.appeal(self.now(), id - 1, accused.expect("else it would have been refused"));
        }
        Ok(())
    }

    /// The vault's own answer to taking the stake of case `id` now.
    fn taking(&self, id: usize) -> Expected {
        match self.case(id).map(|case| case.about) {
            Some(About::Stake { ready_at, .. }) if self.now() < ready_at => Err(Vault::TooEarly::SELECTOR),
            _ => Ok(()),
        }
    }

    fn rule_appeal(&mut self, id: usize, way: u8) -> Played {
        let (caller, upheld) = (if way.is_multiple_of(8) { STRANGER } else { ADMIN }, (way / 8).is_multiple_of(2));
        let got = self.world.ask_court(caller, &Court::ruleAppealCall { id: U256::from(id), upheld });
        let expected = match self.case(id) {
            _ if caller == STRANGER => Err(Court::AccessControlUnauthorizedAccount::SELECTOR),
            Some(case) if case.state == State::Appealed => match () {
                () if self.now() > case.deadline => Err(Court::TooLate::SELECTOR),
                () if upheld => Ok(()),
                () => self.taking(id),
            },
            _ => Err(Court::WrongState::SELECTOR),
        };
        if self.tally.hold("ruleAppeal", got, expected)?.is_some() {
            self.model.rule_appeal(id - 1, upheld);
        }
        Ok(())
    }

    fn execute(&mut self, id: usize) -> Played {
        let got = self.world.ask_court(STRANGER, &Court::executeCall { id: U256::from(id) });
        let expected = match self.case(id) {
            Some(case) if matches!(case.state, State::Guilty | State::Appealed) => match () {
                () if self.now() <= case.deadline => Err(Court::TooEarly::SELECTOR),
                () => self.taking(id),
            },
            _ => Err(Court::WrongState::SELECTOR),
        };
        self.closed("execute", got, expected, id, Outcome::Convicted)
    }

    fn expire(&mut self, id: usize) -> Played {
        let got = self.world.ask_court(STRANGER, &Court::expireCall { id: U256::from(id) });
        let expected = match self.case(id) {
            Some(case) if matches!(case.state, State::Open | State::Answered) => {
                let gone = matches!(case.about, About::Root { .. }) && !self.model.is_pending(id - 1);
                if self.now() > case.deadline || gone { Ok(()) } else { Err(Court::TooEarly::SELECTOR) }
            }
            _ => Err(Court::WrongState::SELECTOR),
        };
        self.closed("expire", got, expected, id, Outcome::Expired)
    }

    fn cancel(&mut self, id: usize, way: u8) -> Played {
        let caller = if way.is_multiple_of(8) { STRANGER } else { GUARDIAN };
        let got = self.world.ask_court(caller, &Court::cancelCaseCall { id: U256::from(id) });
        let expected = match self.case(id) {
            _ if caller == STRANGER => Err(Court::AccessControlUnauthorizedAccount::SELECTOR),
            Some(case) if case.state != State::Closed => Ok(()),
            _ => Err(Court::WrongState::SELECTOR),
        };
        self.closed("cancelCase", got, expected, id, Outcome::Cancelled)
    }

    fn closed(
        &mut self,
        act: &'static str,
        got: Result<Done, Failed>,
        expected: Expected,
        id: usize,
        outcome: Outcome,
    ) -> Played {
        if self.tally.hold(act, got, expected)?.is_some() {
            self.model.close_evenly(id - 1, outcome);
        }
        Ok(())
    }

    /// Jumps to the last second of a case's step, or the one after, and does what is due then or just too late.
    fn deadline(&mut self, step: &Step) -> Played {
        let open: Vec<_> =
            (1..=self.model.cases.len()).filter(|&id| self.model.cases[id - 1].state != State::Closed).collect();
        let Some(&id) = open.get(step.other % open.len().max(1)) else { return Ok(()) };
        let case = &self.model.cases[id - 1];
        let answering = case.state == State::Open && case.answer_until > self.now() && step.way % 4 < 3;
        let last = if answering { case.answer_until } else { case.deadline };
        let state = case.state;
        self.at((last + u64::from(step.way % 2)).max(self.now()));
        let well = step.way | 8; // a way in which nothing is wrong with the signatures or the caller
        match (state, answering) {
            (State::Open, true) if step.ppm.is_multiple_of(2) => self.respond(id, well),
            (State::Open | State::Answered, _) if !step.ppm.is_multiple_of(5) => self.rule(id, well),
            (State::Open | State::Answered, _) => self.expire(id),
            (State::Guilty, _) if step.ppm.is_multiple_of(2) => self.appeal(id, step.way | 1),
            (State::Appealed, _) if !step.ppm.is_multiple_of(3) => self.rule_appeal(id, step.way | 1),
            _ => self.execute(id),
        }
    }

    fn invariants(&mut self) -> Played {
        let court = self.world.court;
        let held = self.world.balance(court);
        prop_assert_eq!(held, self.model.bonds_in - self.model.bonds_out, "balance of the court");
        let bonds = [
            self.world.evm.ask(court, &Court::bondsInCall {}),
            self.world.evm.ask(court, &Court::bondsOutCall {}),
            self.world.evm.ask(court, &Court::bondsHeldCall {}),
        ];
        prop_assert_eq!(bonds, [self.model.bonds_in.into(), self.model.bonds_out.into(), held.into()], "bonds");
        prop_assert_eq!(self.world.balance(TREASURY), self.model.treasury, "I6: treasury");
        for (index, account) in self.world.people.into_iter().enumerate() {
            prop_assert_eq!(self.world.balance(account), self.model.purses[index], "purse of {}", index);
            let position = self.world.evm.ask(self.world.vault, &Vault::positionOfCall { account });
            let wanted = [self.model.held[index].into(), self.model.claimed[index].into()];
            prop_assert_eq!([position.active, position.claimed], wanted, "stake of {}", index);
        }
        self.last_cases()
    }

    /// The newest three cases and one older, as the court sees them.
    fn last_cases(&mut self) -> Played {
        let count = self.model.cases.len();
        for index in (count.saturating_sub(3)..count).chain((count > 3).then_some(0)) {
            let id = U256::from(index + 1);
            let got = self.world.evm.ask(self.world.court, &Court::caseOfCall { id });
            let case = &self.model.cases[index];
            prop_assert_eq!((got.state, got.outcome), (case.state as u8, case.outcome as u8), "case {}", id);
            prop_assert_eq!(
                (got.deadline, got.bond, got.appealBond),
                (case.deadline, case.bond.into(), case.appeal_bond.into())
            );
        }
        Ok(())
    }
}
