//! All contracts on a bare EVM, with people who have tokens.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolConstructor};
use chain::Wallet;
use chain::bindings::{DisputeCourt, EpochRewards, EssaimToken, IDisputeCourt, StakeVault};

use super::evm::{Done, Evm, Failed};

/// Second at which every world begins.
pub(crate) const START: u64 = 1_800_000_000;
/// Tokens of each person and of the poster at the start.
pub(crate) const PURSE: u64 = 1_000_000_000_000;
/// Windows of the vault, in seconds.
pub(crate) const COOLDOWN: u64 = 1_000;
pub(crate) const DETECTION: u64 = 300;
pub(crate) const SLASH: u64 = 200;
/// Share of a slash that goes to who accused, in millionths.
pub(crate) const BOUNTY_PPM: u64 = 400_000;
/// Windows of the rewards, in seconds.
pub(crate) const DISPUTE: u64 = 100;
pub(crate) const HOLD: u64 = 150;
/// Windows of the court, in seconds.
pub(crate) const ANSWER: u64 = 50;
pub(crate) const RULING: u64 = 120;
pub(crate) const APPEAL: u64 = 210;
pub(crate) const APPEAL_RULING: u64 = 220;
pub(crate) const ROOT_RULING: u64 = 90;
/// Prices of the court: the least bond, the share of the stake at risk in millionths, a root's bond.
pub(crate) const BOND_LEAST: u64 = 1_000;
pub(crate) const BOND_PPM: u64 = 100_000;
pub(crate) const BOND_ROOT: u64 = 5_000;

/// Bytecode of the three contracts that hold money: the committed one, or a mutant's.
#[derive(Clone)]
pub(crate) struct Code {
    vault: Vec<u8>,
    rewards: Vec<u8>,
    court: Vec<u8>,
}

impl Code {
    pub(crate) fn committed() -> Self {
        Self {
            vault: StakeVault::BYTECODE.to_vec(),
            rewards: EpochRewards::BYTECODE.to_vec(),
            court: DisputeCourt::BYTECODE.to_vec(),
        }
    }

    /// The committed code with one contract in another's place.
    pub(crate) fn with(contract: &str, code: Vec<u8>) -> Self {
        let mut all = Self::committed();
        match contract {
            "StakeVault" => all.vault = code,
            "EpochRewards" => all.rewards = code,
            "DisputeCourt" => all.court = code,
            other => panic!("{other} has no mutants"),
        }
        all
    }
}

/// The folder of the contracts' sources.
pub(crate) fn contracts() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"))
}

/// The contracts and everybody who uses them.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) evm: Evm,
    pub(crate) token: Address,
    pub(crate) vault: Address,
    pub(crate) rewards: Address,
    pub(crate) court: Address,
    pub(crate) people: [Address; 4],
}

/// Stands for the timelock: holds every administrator's role.
pub(crate) const ADMIN: Address = Address::repeat_byte(0xAD);
pub(crate) const GUARDIAN: Address = Address::repeat_byte(0x6A);
pub(crate) const POSTER: Address = Address::repeat_byte(0x90);
pub(crate) const TREASURY: Address = Address::repeat_byte(0x7E);
/// Holds the roles of the court beside it, so that the vault and the rewards can be tried by themselves.
pub(crate) const SLASHER: Address = Address::repeat_byte(0x51);
/// Holds no role and no token.
pub(crate) const STRANGER: Address = Address::repeat_byte(0x57);

/// Wallet of person `index`.
pub(crate) fn person(index: usize) -> Wallet {
    Wallet::derive(&[7; 32], "person", index as u32)
}

/// The committee's wallets, ascending by address; `person(0)` is one of them, so that a member can be a party.
pub(crate) fn committee() -> Vec<Wallet> {
    let mut members = vec![person(0), Wallet::derive(&[7; 32], "member", 1), Wallet::derive(&[7; 32], "member", 2)];
    members.sort_by_key(Wallet::address);
    members
}

impl World {
    pub(crate) fn new(code: &Code) -> Self {
        let mut evm = Evm::new(START);
        let genesis = U256::from(8 * PURSE);
        let arguments =
            EssaimToken::constructorCall { cap_: U256::from(u64::MAX), genesisHolder: ADMIN, genesis, admin: ADMIN };
        let (token, _) = evm.create(ADMIN, &EssaimToken::BYTECODE, &arguments.abi_encode());
        let (vault, _) = evm.create(ADMIN, &code.vault, &vault_arguments(token).abi_encode());
        let arguments =
            EpochRewards::constructorCall { token_: token, disputeWindow_: DISPUTE, holdWindow_: HOLD, admin: ADMIN };
        let (rewards, _) = evm.create(ADMIN, &code.rewards, &arguments.abi_encode());
        let (court, _) = evm.create(ADMIN, &code.court, &court_arguments(token, vault, rewards).abi_encode());
        let people = [0, 1, 2, 3].map(|index| person(index).address());
        let mut world = Self { evm, token, vault, rewards, court, people };
        world.grant();
        for purse in people.into_iter().chain([POSTER]) {
            world.does(ADMIN, token, &EssaimToken::transferCall { to: purse, value: U256::from(PURSE) });
            for spender in [vault, rewards, court] {
                world.does(purse, token, &EssaimToken::approveCall { spender, value: U256::MAX });
            }
        }
        world
    }

    fn grant(&mut self) {
        let (vault, rewards, court) = (self.vault, self.rewards, self.court);
        for (contract, role, account) in [
            (vault, "SLASHER_ROLE", SLASHER),
            (vault, "SLASHER_ROLE", court),
            (vault, "GUARDIAN_ROLE", GUARDIAN),
            (rewards, "POSTER_ROLE", POSTER),
            (rewards, "COURT_ROLE", SLASHER),
            (rewards, "COURT_ROLE", court),
            (rewards, "GUARDIAN_ROLE", GUARDIAN),
            (court, "GUARDIAN_ROLE", GUARDIAN),
        ] {
            self.grant_role(contract, role, account);
        }
    }

    /// Gives an account a role.
    pub(crate) fn grant_role(&mut self, contract: Address, role: &str, account: Address) {
        self.does(ADMIN, contract, &StakeVault::grantRoleCall { role: keccak256(role), account });
    }

    /// Sends a call that must work.
    pub(crate) fn does<C: SolCall>(&mut self, from: Address, to: Address, call: &C) -> Done {
        self.evm.send(from, to, call).unwrap_or_else(|failed| panic!("{} failed: {failed:?}", C::SIGNATURE))
    }

    pub(crate) fn balance(&mut self, account: Address) -> u64 {
        let balance = self.evm.ask(self.token, &EssaimToken::balanceOfCall { account });
        balance.try_into().expect("the cap fits 64 bits")
    }

    /// Sends a call to the vault.
    pub(crate) fn ask_vault<C: SolCall>(&mut self, from: Address, call: &C) -> Result<Done, Failed> {
        self.evm.send(from, self.vault, call)
    }

    /// Sends a call to the rewards.
    pub(crate) fn ask_rewards<C: SolCall>(&mut self, from: Address, call: &C) -> Result<Done, Failed> {
        self.evm.send(from, self.rewards, call)
    }

    /// Sends a call to the court.
    pub(crate) fn ask_court<C: SolCall>(&mut self, from: Address, call: &C) -> Result<Done, Failed> {
        self.evm.send(from, self.court, call)
    }
}

pub(crate) fn vault_arguments(token: Address) -> StakeVault::constructorCall {
    StakeVault::constructorCall {
        token_: token,
        treasury_: TREASURY,
        windows: StakeVault::Windows { cooldown: COOLDOWN, detection: DETECTION, slash: SLASH },
        bountyPpm_: BOUNTY_PPM as u32,
        admin: ADMIN,
    }
}

pub(crate) fn court_arguments(token: Address, vault: Address, rewards: Address) -> DisputeCourt::constructorCall {
    DisputeCourt::constructorCall {
        parts: IDisputeCourt::Parts { token, vault, rewards, treasury: TREASURY, admin: ADMIN },
        windows: IDisputeCourt::Windows {
            answer: ANSWER,
            ruling: RULING,
            appeal: APPEAL,
            appealRuling: APPEAL_RULING,
            rootRuling: ROOT_RULING,
        },
        price: IDisputeCourt::Bonds {
            least: U256::from(BOND_LEAST).to(),
            ppm: BOND_PPM as u32,
            root: U256::from(BOND_ROOT).to(),
        },
        members: committee().iter().map(Wallet::address).collect(),
        needed: 2,
    }
}

/// A hash that says which one it is.
pub(crate) fn named(what: &str, number: u64) -> B256 {
    keccak256(format!("{what} {number}"))
}
