//! A chain with our contracts on it, and people with wallets.

use chain::contracts::registration_digest;
use chain::units::ONE_ESM;
use chain::{
    Address, B256, Call, Chain, ChainError, Contracts, DeployPlan, Genesis, LocalChain, NodeKind, Parties, Receipt,
    Revert, Wallet, Windows, deploy,
};
use protocol::Keypair;

/// What each person has at the start.
pub(crate) const PURSE: u64 = 1_000 * ONE_ESM;
/// Budget of the first epoch.
pub(crate) const BUDGET: u64 = 100 * ONE_ESM;

/// A deployed set of contracts and everybody who uses it.
pub(crate) struct Stage {
    pub(crate) chain: Box<dyn Chain>,
    pub(crate) contracts: Contracts,
    pub(crate) plan: DeployPlan,
    pub(crate) deployer: Wallet,
    pub(crate) guardian: Wallet,
    pub(crate) poster: Wallet,
    pub(crate) committee: Vec<Wallet>,
    pub(crate) worker: Wallet,
    pub(crate) accuser: Wallet,
    pub(crate) stranger: Wallet,
}

pub(crate) fn wallet(role: &str, index: u32) -> Wallet {
    Wallet::derive(&[42; 32], role, index)
}

pub(crate) fn plan() -> DeployPlan {
    let parties = Parties {
        council: vec![wallet("council", 0).address()],
        guardian: wallet("guardian", 0).address(),
        poster: wallet("poster", 0).address(),
        committee: (0..3).map(|index| wallet("committee", index).address()).collect(),
        threshold: 2,
        genesis_holder: wallet("deployer", 0).address(),
    };
    let plan = DeployPlan::development(parties, 10 * PURSE, BUDGET, 1_000);
    // The clock of anvil goes on between two calls, and a busy machine may be slow.
    DeployPlan { windows: Windows { answer_s: 60, dispute_s: 60, ..plan.windows }, ..plan }
}

impl Stage {
    /// On the chain in this process.
    pub(crate) fn local() -> Self {
        Self::on(Box::new(LocalChain::in_memory(Genesis::default())), |_, _| ())
    }

    /// On any chain; `fund` gives an account what it needs for gas.
    pub(crate) fn on(mut chain: Box<dyn Chain>, fund: impl Fn(&mut dyn Chain, Address)) -> Self {
        let [deployer, guardian, poster, worker, accuser, stranger] =
            ["deployer", "guardian", "poster", "worker", "accuser", "stranger"].map(|role| wallet(role, 0));
        let committee: Vec<_> = (0..3).map(|index| wallet("committee", index)).collect();
        for someone in [&deployer, &guardian, &poster, &worker, &accuser, &stranger].into_iter().chain(&committee) {
            fund(&mut *chain, someone.address());
        }
        let plan = plan();
        let addresses = deploy(&mut *chain, &deployer, &plan).expect("the plan is sound");
        let contracts = Contracts::connect(&*chain, addresses).expect("just deployed");
        let mut stage =
            Self { chain, contracts, plan, deployer, guardian, poster, committee, worker, accuser, stranger };
        for someone in [stage.worker.clone(), stage.accuser.clone(), stage.stranger.clone()] {
            stage.does(&stage.deployer.clone(), stage.contracts.transfer(someone.address(), PURSE));
        }
        stage
    }

    /// Sends a call that works.
    pub(crate) fn does(&mut self, wallet: &Wallet, call: Call) -> Receipt {
        self.chain.send(wallet, call).unwrap_or_else(|error| panic!("{wallet:?}: {error}"))
    }

    /// Sends a call that the contract refuses.
    pub(crate) fn refused(&mut self, wallet: &Wallet, call: Call) -> Revert {
        match self.chain.send(wallet, call) {
            Err(ChainError::Reverted { reason, .. }) => reason,
            other => panic!("{wallet:?} was not refused: {other:?}"),
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, seconds: u64) {
        assert!(self.chain.advance(seconds).unwrap(), "the clock of a development chain can be moved");
    }

    pub(crate) fn balance(&self, account: Address) -> u64 {
        self.contracts.balance(&*self.chain, account).unwrap()
    }

    /// The worker puts `amount` at stake.
    pub(crate) fn stake(&mut self, amount: u64) {
        let call = self.contracts.stake_with_permit(&*self.chain, &self.worker, amount).unwrap();
        self.does(&self.worker.clone(), call);
    }

    /// `owner` registers the key of `peer`, which proves that it is its own.
    pub(crate) fn registration(&self, owner: &Wallet, peer: &Keypair) -> Call {
        let nonce = self.contracts.registration_nonce(&*self.chain, owner.address()).unwrap();
        let digest = registration_digest(&self.contracts.addresses, owner.address(), nonce);
        self.contracts.register(&peer.public(), NodeKind::Worker, B256::ZERO, &peer.sign(&digest))
    }

    /// The accuser brings a case over `amount` of the worker's stake. Gives its number.
    pub(crate) fn accuse(&mut self, amount: u64) -> u64 {
        let (accuser, court) = (self.accuser.clone(), self.contracts.addresses.court);
        let bond = self.contracts.bond_for(&*self.chain, amount).unwrap();
        self.does(&accuser, self.contracts.approve(court, bond));
        self.does(&accuser, self.contracts.open_case(self.worker.address(), amount, B256::repeat_byte(1)));
        self.contracts.case_count(&*self.chain).unwrap()
    }

    /// Money in all hands that there are; nothing may be lost or made between two looks.
    pub(crate) fn everywhere(&self) -> u64 {
        let at = &self.contracts.addresses;
        let people = [&self.deployer, &self.worker, &self.accuser, &self.stranger].map(Wallet::address);
        people
            .into_iter()
            .chain([at.vault, at.rewards, at.court, at.treasury])
            .map(|account| self.balance(account))
            .sum()
    }
}
