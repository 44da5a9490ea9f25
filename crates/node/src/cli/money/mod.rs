//! What a person can type about money: ledgers, chains, stakes, claims, cases.
//!
//! Promise: whatever moves money takes the same options: which chain, whose wallet, try it only, do not ask.

mod acts;
mod books;

use std::path::PathBuf;

use chain::units;
use clap::{Args, Subcommand};

use crate::config::CONFIRMATIONS_MAX;

pub use acts::*;
pub use books::*;

const LEDGER_EXAMPLES: &str = "\
Examples:
  essaim ledger audit runs/liars               rebuild every number from the log; exit code 1 if an entry is bad
  essaim ledger audit runs/liars --chain runs/liars      and compare with the roots on the chain
  essaim ledger show runs/liars --epoch 0      who was paid what, for what
  essaim ledger show runs/liars --account worker:3       one party, with the proof to claim with";

const CHAIN_EXAMPLES: &str = "\
Examples:
  essaim chain new-wallet me.json              a new key in an encrypted file
  essaim chain deploy --chain http://127.0.0.1:8545 --wallet me.json --run my.toml
  essaim chain show --chain runs/liars         contracts, windows, committee
  essaim chain events --chain runs/liars       what the contracts did, the oldest first
  essaim chain events --follow --cursor seen.json --chain URL      from where the last call ended, and on
  essaim chain advance 60s --chain runs/liars  let time pass on the chain of a run's folder";

const STAKE_EXAMPLES: &str = "\
Examples:
  essaim stake 250 --chain http://127.0.0.1:8545 --wallet me.json
  essaim stake 12.5 --chain runs/liars --as worker:0 --dry-run
  essaim stake 100 --for 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --chain URL --wallet me.json";

const UNSTAKE_EXAMPLES: &str = "\
Examples:
  essaim unstake 250 --chain URL --wallet me.json        begin to leave; the cooldown starts
  essaim unstake --withdraw --chain URL --wallet me.json take out what has left
  essaim unstake --cancel --chain URL --wallet me.json   put what is leaving back to work";

const CLAIM_EXAMPLES: &str = "\
Examples:
  essaim claim --chain runs/liars --as worker:0          what worker 0 has earned
  essaim claim --chain URL --claims runs/x/claims.json --account 0x… --wallet me.json
  essaim claim --chain runs/liars --all --as trainer --yes
  essaim claim --chain URL --account 0x… --lifetime 12.5 --proof 0x…,0x… --wallet me.json

Money goes to the account that earned it, whoever sends the claim. Proofs come from the run's folder,
from --claims (claims.json), from --ledger (rebuilt from the log), or are typed.";

const BALANCE_EXAMPLES: &str = "\
Examples:
  essaim balance worker:0 --chain runs/liars
  essaim balance --all --chain runs/liars      everybody who holds any, and whether it sums to all there is
  essaim balance 0x… --chain URL --addresses addresses.json --json";

const SLASH_EXAMPLES: &str = "\
Examples:
  essaim slash list --chain runs/liars
  essaim slash open worker:3 --chain runs/liars --as orchestrator
  essaim slash open 0x… 50 --evidence-file lie.json --chain URL --wallet me.json
  essaim slash sign 1 --guilty --chain runs/liars --as validator:0 > ballot-0.json
  essaim slash rule 1 --ballot ballot-0.json --ballot ballot-1.json --chain runs/liars --as trainer
  essaim slash execute 1 --chain runs/liars --as trainer

A case is opened with a bond, ruled by the committee, and carried out by anybody after the time to appeal.";

const CHALLENGE_EXAMPLES: &str = "\
Examples:
  essaim challenge 4 --ledger ledger.jsonl --evidence-file why.txt --chain URL --wallet me.json

With a ledger (a run's folder has one) a root that follows from it is not challenged: that would cost the bond.";

const EPOCH_EXAMPLES: &str = "\
Examples:
  essaim epoch show --chain runs/liars         what is live, what waits, what was posted
  essaim epoch post --ledger ledger.jsonl --chain URL --wallet poster.json
  essaim epoch void 4 --chain URL --wallet guardian.json";

/// Commands about money.
#[derive(Debug, Subcommand)]
pub enum MoneyCommand {
    /// Audit a run's ledger from its log alone, or look into it
    #[command(subcommand, after_help = LEDGER_EXAMPLES)]
    Ledger(LedgerCommand),
    /// Put the contracts on a chain, make wallets, look at a chain
    #[command(subcommand, after_help = CHAIN_EXAMPLES)]
    Chain(ChainCommand),
    /// Put ESM at stake
    #[command(after_help = STAKE_EXAMPLES)]
    Stake(StakeArgs),
    /// Take stake back: begin to leave, withdraw, or stay after all
    #[command(after_help = UNSTAKE_EXAMPLES)]
    Unstake(UnstakeArgs),
    /// Claim what the ledger owes
    #[command(after_help = CLAIM_EXAMPLES)]
    Claim(ClaimArgs),
    /// Show what an account holds, has at stake, has earned and can claim
    #[command(after_help = BALANCE_EXAMPLES)]
    Balance(BalanceArgs),
    /// Cases about stake: open, answer, rule, appeal, carry out
    #[command(subcommand, after_help = SLASH_EXAMPLES)]
    Slash(SlashCommand),
    /// Say, for a bond, that the root of an epoch is wrong
    #[command(after_help = CHALLENGE_EXAMPLES)]
    Challenge(ChallengeArgs),
    /// Epochs on the chain: show, post, void
    #[command(subcommand, after_help = EPOCH_EXAMPLES)]
    Epoch(EpochCommand),
}

/// Which chain.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The folder of a run, or the JSON-RPC address of a chain
    #[arg(long, value_name = "RUN_DIR|URL")]
    pub chain: String,
    /// File with the contracts' addresses [default: that of the run, else ./addresses.json]
    #[arg(long, value_name = "FILE")]
    pub addresses: Option<PathBuf>,
    /// Blocks that make a transaction or an event settled, its own included [default: that of the run's settings,
    /// else 1 on a development chain and 3 on others]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CONFIRMATIONS_MAX))]
    pub confirmations: Option<u64>,
}

/// Whose wallet.
#[derive(Debug, Clone, Default, Args)]
pub struct SignerArgs {
    /// Encrypted key file; its password is asked for, or taken from ESSAIM_PASSWORD or ESSAIM_PASSWORD_FILE
    #[arg(long, value_name = "KEYSTORE")]
    pub wallet: Option<PathBuf>,
    /// Act as a party of the run whose folder is given: worker:3, validator:0, trainer, orchestrator, holder,
    /// guardian, council. Their keys follow from the run's seed, so only its own chain or a development chain
    /// takes this
    #[arg(long = "as", value_name = "PARTY", conflicts_with = "wallet")]
    pub acting: Option<String>,
}

/// What every command takes that sends a transaction.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Whose wallet.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// Say what would happen and what gas it would take; send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before sending
    #[arg(long, short)]
    pub yes: bool,
}

/// Reads `12.5` or `12.5 ESM` as micro-ESM.
pub fn amount(text: &str) -> Result<u64, String> {
    units::parse(text).map_err(|error| error.to_string())
}

/// Reads `90`, `90s`, `15m`, `2h` or `3d` as seconds.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "a time such as 90s, 15m, 2h or 3d is needed".to_owned();
    let (digits, unit_s) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        Some(b'd') => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(unit_s).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_nothing_else() {
        assert_eq!(
            ["90", "90s", "15m", "2h", "3d", "0"].map(|text| seconds(text).unwrap()),
            [90, 90, 900, 7_200, 259_200, 0]
        );
        for text in ["", "s", "1.5h", "-1", "1w", "9999999999999999999d", "3 d", "é"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
