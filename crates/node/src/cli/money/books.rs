//! `essaim ledger` and `essaim chain`: what is written down, and where it is settled.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{LEDGER_EXAMPLES, PlaceArgs, SendArgs, SignerArgs, amount, seconds};
use crate::config::CONFIRMATIONS_MAX;

/// `essaim ledger …`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Rebuild every number from the log alone; exit code 1 at the first bad entry, with its position
    #[command(after_help = LEDGER_EXAMPLES)]
    Audit(AuditArgs),
    /// Show what a ledger adds up to
    #[command(after_help = LEDGER_EXAMPLES)]
    Show(ShowArgs),
}

/// `essaim ledger audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// A ledger's log, or the folder of a run
    #[arg(value_name = "LOG|RUN_DIR")]
    pub log: PathBuf,
    /// Compare with the roots that were posted there: the folder of a run, or a JSON-RPC address
    #[arg(long, value_name = "RUN_DIR|URL")]
    pub chain: Option<String>,
    /// File with the contracts' addresses [default: that of the run, else ./addresses.json]
    #[arg(long, value_name = "FILE", requires = "chain")]
    pub addresses: Option<PathBuf>,
}

/// `essaim ledger show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// A ledger's log, or the folder of a run
    #[arg(value_name = "LOG|RUN_DIR")]
    pub log: PathBuf,
    /// Who was paid what in this epoch; with --account and --claims, as it stood after it
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// One account with its proof: an address, worker:3, validator:0, trainer or treasury
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Write the proofs of all accounts into this file
    #[arg(long, value_name = "FILE")]
    pub claims: Option<PathBuf>,
}

/// `essaim chain …`.
#[derive(Debug, Subcommand)]
pub enum ChainCommand {
    /// Put all contracts on a chain, check who may do what, write the addresses
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(Box<DeployArgs>),
    /// Make a new key and write it into an encrypted file
    NewWallet(NewWalletArgs),
    /// Show the account of a wallet, and what it holds
    Wallet(WalletArgs),
    /// Show contracts, windows, committee, time
    Show(ChainShowArgs),
    /// Tell what the contracts did, event by event, and what a reorganisation of the chain undid
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(EventsArgs),
    /// Hand ESM to another account
    Transfer(TransferArgs),
    /// Let time pass on the chain of a run's folder, or on a development chain
    Advance(AdvanceArgs),
}

const DEPLOY_EXAMPLES: &str = "\
Examples:
  essaim chain deploy --chain http://127.0.0.1:8545 --wallet me.json --run my.toml
  essaim chain deploy --chain URL --wallet me.json --windows live --preset open --genesis 1000000 \\
      --poster 0x… --guardian 0x… --council 0x… --committee 0x… --committee 0x… --committee 0x…
  essaim chain deploy --chain URL --wallet me.json --plan plan.json --dry-run

With --run the roles go to that run's parties, whose keys follow from its seed, so it is for development
chains only; the wallet receives the first ESM, and `essaim run` with `[chain] url` pays stakes and gas from it.
--dry-run --json prints the whole plan, and --plan reads the part `plan` of it.";

const EVENTS_EXAMPLES: &str = "\
Examples:
  essaim chain events --chain runs/liars
  essaim chain events --chain URL --from 1200 --json             one event a line
  essaim chain events --chain URL --cursor seen.json --follow    go on where the last call ended

An event is told once it has its confirmations. If the chain replaces its block later, it is told as undone, as long
as the call goes on or --cursor remembers it.";

/// How long people have to look and object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WindowsWord {
    /// Seconds: for trying things out.
    Development,
    /// Days: for money that is worth something.
    Live,
}

/// The numbers of a shipped economy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetWord {
    /// A run of one process.
    Local,
    /// People who know each other.
    Team,
    /// Strangers.
    Open,
}

/// `essaim chain deploy`.
#[derive(Debug, Clone, Args)]
pub struct DeployArgs {
    /// JSON-RPC address of the chain
    #[arg(long, value_name = "URL")]
    pub chain: String,
    /// Whose wallet.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// Where to write the addresses
    #[arg(long, value_name = "FILE", default_value = "addresses.json")]
    pub out: PathBuf,
    /// Roles, amounts and windows as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "poster", "guardian", "council", "committee", "holder"])]
    pub plan: Option<PathBuf>,
    /// Run files whose parties get the roles, for development chains (may be given several times)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["poster", "guardian", "council", "committee", "holder"])]
    pub run: Vec<PathBuf>,
    /// Change one setting of the run files
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "run")]
    pub sets: Vec<String>,
    /// Who is who, if no file says it.
    #[command(flatten)]
    pub roles: RolesArgs,
    /// How long people have to look and object [default: development with --run, else live]
    #[arg(long, value_enum)]
    pub windows: Option<WindowsWord>,
    /// Blocks that make a transaction settled, its own included [default: 1 on a development chain, 3 on others]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CONFIRMATIONS_MAX))]
    pub confirmations: Option<u64>,
    /// Say what would be deployed and what gas it would take; send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before sending
    #[arg(long, short)]
    pub yes: bool,
}

/// Roles and amounts of a deployment, one by one.
#[derive(Debug, Clone, Default, Args)]
pub struct RolesArgs {
    /// Posts the roots of epochs
    #[arg(long, value_name = "ACCOUNT")]
    pub poster: Option<String>,
    /// May pause and cancel, nothing else
    #[arg(long, value_name = "ACCOUNT")]
    pub guardian: Option<String>,
    /// Schedules administrative acts (may be given several times)
    #[arg(long, value_name = "ACCOUNT")]
    pub council: Vec<String>,
    /// Rules on cases (may be given several times)
    #[arg(long, value_name = "ACCOUNT")]
    pub committee: Vec<String>,
    /// How many of the committee must sign [default: more than half]
    #[arg(long, value_name = "N")]
    pub threshold: Option<u16>,
    /// Receives the first ESM [default: who deploys]
    #[arg(long, value_name = "ACCOUNT")]
    pub holder: Option<String>,
    /// ESM that there are at the start [default: 1000000]
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    pub genesis: Option<u64>,
    /// Budget and halving of a shipped economy [default: open]
    #[arg(long, value_enum)]
    pub preset: Option<PresetWord>,
}

/// `essaim chain new-wallet`.
#[derive(Debug, Clone, Args)]
pub struct NewWalletArgs {
    /// The file to write; never over another
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `essaim chain wallet`.
#[derive(Debug, Clone, Args)]
pub struct WalletArgs {
    /// The folder of a run, or the JSON-RPC address of a chain, to see what the wallet holds there
    #[arg(long, value_name = "RUN_DIR|URL")]
    pub chain: Option<String>,
    /// File with the contracts' addresses [default: that of the run, else ./addresses.json]
    #[arg(long, value_name = "FILE", requires = "chain")]
    pub addresses: Option<PathBuf>,
    /// Whose wallet.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// `essaim chain show`.
#[derive(Debug, Clone, Args)]
pub struct ChainShowArgs {
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `essaim chain events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// First block [default: that of the first contract]
    #[arg(long, value_name = "BLOCK")]
    pub from: Option<u64>,
    /// Remember in this file what was told, and go on from there; --from counts only if there is none yet
    #[arg(long, value_name = "FILE")]
    pub cursor: Option<PathBuf>,
    /// Wait for more until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `essaim chain transfer`.
#[derive(Debug, Clone, Args)]
pub struct TransferArgs {
    /// To whom: an address, or a party of the run such as worker:3
    #[arg(value_name = "ACCOUNT")]
    pub to: String,
    /// How much, in ESM
    #[arg(value_name = "AMOUNT", value_parser = amount)]
    pub amount: u64,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim chain advance`.
#[derive(Debug, Clone, Args)]
pub struct AdvanceArgs {
    /// How long: 90s, 15m, 2h, 3d
    #[arg(value_name = "TIME", value_parser = seconds)]
    pub seconds: u64,
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}
