//! From a fine to stake that is lost: the way through the court.
//!
//! Promise: one fine becomes one case, whatever was killed when: the chain is asked how far it is before
//! anything is sent. Stake is taken only after the time to answer and the time to appeal have passed.
//! Takes: a fine with the hash of its evidence. Gives: what was taken, or what it waits for.

use chain::bindings::StakeVault::StakeVaultEvents;
use chain::contracts::{Case, CaseState, Outcome, StakeRuling};
use chain::{Address, B256, Chain, ChainError, Contracts, Event, Filter, Receipt, U256, Wallet};
use protocol::Party;

/// Steps that a case can take at most, from its opening to its end, twice over for one that expired.
const STEPS_MAX: usize = 16;

/// A fine that is to cost stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accusation {
    /// Who was fined.
    pub party: Party,
    /// Whose stake.
    pub accused: Address,
    /// How much is asked for.
    pub amount: u64,
    /// Hash of the ledger's line that holds the fine and what it rests on.
    pub evidence: B256,
}

/// How far a case is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Over: the stake is taken.
    Taken {
        /// How much.
        amount: u64,
        /// In which block.
        block: u64,
    },
    /// Over, or without hope: nothing is taken.
    Nothing {
        /// Why, in words.
        why: String,
    },
    /// Goes on at this second of the chain's clock.
    Waits {
        /// The second.
        until_s: u64,
    },
}

/// The side that accuses, and those who rule.
pub(super) struct Court<'a> {
    pub(super) contracts: &'a Contracts,
    pub(super) challenger: &'a Wallet,
    /// Members of the committee that were not fined.
    pub(super) members: Vec<&'a Wallet>,
}

impl Court<'_> {
    /// Takes a case as far as it goes now.
    pub(super) fn pursue(&self, chain: &mut dyn Chain, accusation: &Accusation) -> Result<Standing, ChainError> {
        chain.idle(self.challenger.address())?; // what a killed try may have left under way
        for _ in 0..STEPS_MAX {
            let Some(case) = self.find(chain, accusation)? else {
                match self.open(chain, accusation)? {
                    None => continue,
                    Some(why) => return Ok(Standing::Nothing { why }),
                }
            };
            if let Some(standing) = self.step(chain, &case)? {
                return Ok(standing);
            }
        }
        Err(ChainError::Inconsistent { what: "pursuing a case", cause: format!("{accusation:?} does not end") })
    }

    /// The newest case about this fine; one on which nobody ruled in time counts for nothing.
    fn find(&self, chain: &dyn Chain, accusation: &Accusation) -> Result<Option<Case>, ChainError> {
        let count = self.contracts.case_count(chain)?;
        for number in (1..=count).rev() {
            let case = self.contracts.case(chain, number)?;
            let is_it = |case: &Case| {
                case.challenger == self.challenger.address()
                    && case.accused == accusation.accused
                    && case.evidence == accusation.evidence
            };
            if let Some(case) = case.filter(is_it) {
                return Ok((case.outcome != Some(Outcome::Expired)).then_some(case));
            }
        }
        Ok(None)
    }

    /// Brings the case; says why if it would be of no use.
    fn open(&self, chain: &mut dyn Chain, accusation: &Accusation) -> Result<Option<String>, ChainError> {
        let (contracts, accused) = (self.contracts, accusation.accused);
        let position = contracts.position(chain, accused)?;
        let amount = accusation.amount.min(position.active.saturating_add(position.leaving));
        if amount == 0 {
            return Ok(Some("it has no stake left".to_owned()));
        }
        let (_, needed) = contracts.committee(chain)?;
        if self.jury(accused).count() < usize::from(needed) {
            let have = self.jury(accused).count();
            return Ok(Some(format!("a ruling needs {needed} members of the committee, {have} are left to sign")));
        }
        let (bond, court) = (contracts.bond_for(chain, amount)?, contracts.addresses.court);
        if contracts.allowance(chain, self.challenger.address(), court)? < bond {
            chain.send(self.challenger, contracts.approve(court, bond))?;
        }
        chain.send(self.challenger, contracts.open_case(accused, amount, accusation.evidence))?;
        Ok(None)
    }

    /// The next step of a case; none if there may be another at once.
    fn step(&self, chain: &mut dyn Chain, case: &Case) -> Result<Option<Standing>, ChainError> {
        let now_s = chain.head()?.time_s;
        match case.state {
            CaseState::Open | CaseState::Answered if now_s > case.deadline_s => {
                chain.send(self.challenger, self.contracts.expire_case(case.case))?;
                Ok(None)
            }
            CaseState::Open if now_s <= case.answer_until_s => wait(chain, case.answer_until_s),
            CaseState::Open | CaseState::Answered => self.rule(chain, case),
            CaseState::Guilty | CaseState::Appealed if now_s <= case.deadline_s => wait(chain, case.deadline_s),
            CaseState::Guilty | CaseState::Appealed => {
                let receipt = chain.send(self.challenger, self.contracts.execute_case(case.case))?;
                Ok(Some(self.taken(&receipt, case)?))
            }
            CaseState::Closed => self.closed(chain, case).map(Some),
        }
    }

    /// Every member that is left signs that the accusation holds: the verdicts that say so are signed, and all
    /// of them have seen the same.
    fn rule(&self, chain: &mut dyn Chain, case: &Case) -> Result<Option<Standing>, ChainError> {
        let (committee, needed) = self.contracts.committee(chain)?;
        let ruling = StakeRuling {
            case: case.case,
            accused: case.accused,
            amount: case.amount,
            evidence: case.evidence,
            answer: case.answer,
            guilty: true,
            reasons: case.evidence,
            committee,
            signed_until: case.deadline_s,
        };
        let members = self.jury(case.accused).take(usize::from(needed));
        let ballots: Vec<_> = members.map(|member| ruling.sign(&self.contracts.addresses, member)).collect();
        if ballots.len() < usize::from(needed) {
            return wait(chain, case.deadline_s); // then it expires, and the bond comes back
        }
        chain.send(self.challenger, self.contracts.rule_stake(&ruling, ballots))?;
        Ok(None)
    }

    /// Members that may sit on this case.
    fn jury(&self, accused: Address) -> impl Iterator<Item = &Wallet> {
        let is_party =
            move |member: &&&Wallet| member.address() == accused || member.address() == self.challenger.address();
        self.members.iter().filter(move |member| !is_party(member)).copied()
    }

    fn closed(&self, chain: &dyn Chain, case: &Case) -> Result<Standing, ChainError> {
        match case.outcome {
            Some(Outcome::Convicted) => self.taken_before(chain, case),
            outcome => {
                let why = format!("case {} ended otherwise: {outcome:?}", case.case);
                Ok(Standing::Nothing { why })
            }
        }
    }

    fn taken(&self, receipt: &Receipt, case: &Case) -> Result<Standing, ChainError> {
        for log in &receipt.logs {
            if let Some(amount) = self.executed(log, case)? {
                return Ok(Standing::Taken { amount, block: receipt.block });
            }
        }
        // The guardian of the vault had cancelled the slash.
        Ok(Standing::Nothing { why: format!("case {} ended and took nothing", case.case) })
    }

    /// The slash of a case that an earlier process had ended.
    fn taken_before(&self, chain: &dyn Chain, case: &Case) -> Result<Standing, ChainError> {
        let at = &self.contracts.addresses;
        let to = chain.head()?.number;
        let logs = chain.logs(&Filter { addresses: vec![at.vault], signatures: Vec::new(), from: at.block, to })?;
        for log in logs.iter().rev() {
            if let Some(amount) = self.executed(log, case)? {
                return Ok(Standing::Taken { amount, block: log.block });
            }
        }
        Ok(Standing::Nothing { why: format!("case {} ended and took nothing", case.case) })
    }

    /// What this case took, if the event says so. Others may have taken stake from the same account.
    fn executed(&self, log: &chain::Log, case: &Case) -> Result<Option<u64>, ChainError> {
        match self.contracts.event(log)? {
            Some(Event::Vault(StakeVaultEvents::SlashExecuted(slash))) if slash.id == U256::from(case.slash) => {
                let too_large = |_| ChainError::Decode { what: "SlashExecuted", cause: "above 64 bits".to_owned() };
                u64::try_from(slash.taken).map(Some).map_err(too_large)
            }
            _ => Ok(None),
        }
    }
}

/// Moves the clock past `until_s` if it is ours to move.
fn wait(chain: &mut dyn Chain, until_s: u64) -> Result<Option<Standing>, ChainError> {
    let now_s = chain.head()?.time_s;
    match chain.advance(until_s.saturating_sub(now_s) + 1)? {
        true => Ok(None),
        false => Ok(Some(Standing::Waits { until_s })),
    }
}
