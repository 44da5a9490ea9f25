//! `essaim stake`, `unstake`, `claim`, `balance`, `slash`, `challenge`, `epoch`: what moves money.

use std::path::PathBuf;

use chain::B256;
use clap::{Args, Subcommand};

use super::{PlaceArgs, SendArgs, SignerArgs, amount};

/// `essaim stake`.
#[derive(Debug, Clone, Args)]
pub struct StakeArgs {
    /// How much, in ESM
    #[arg(value_name = "AMOUNT", value_parser = amount)]
    pub amount: u64,
    /// Whose stake it becomes [default: the wallet's own]
    #[arg(long = "for", value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim unstake`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("step").required(true))]
pub struct UnstakeArgs {
    /// How much shall leave, in ESM
    #[arg(value_name = "AMOUNT", value_parser = amount, group = "step")]
    pub amount: Option<u64>,
    /// Take out what has left
    #[arg(long, group = "step")]
    pub withdraw: bool,
    /// Put all that is leaving back to work
    #[arg(long, group = "step")]
    pub cancel: bool,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim claim`.
#[derive(Debug, Clone, Args)]
pub struct ClaimArgs {
    /// Who is paid: an address, or a party of the run such as worker:3 [default: the wallet's account]
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Claim for everybody to whom something is due
    #[arg(long, conflicts_with_all = ["account", "lifetime", "proof"])]
    pub all: bool,
    /// File with proofs: claims.json of a run, or what `ledger show --claims` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    pub claims: Option<PathBuf>,
    /// A ledger's log to rebuild the proof from
    #[arg(long, value_name = "LOG|RUN_DIR")]
    pub ledger: Option<PathBuf>,
    /// The account's earnings since the beginning, as printed with its proof
    #[arg(long, value_name = "AMOUNT", value_parser = amount, requires = "proof", conflicts_with_all = ["claims", "ledger"])]
    pub lifetime: Option<u64>,
    /// The proof as it was printed: hashes with commas between; empty if the account is the only one
    #[arg(long, value_name = "HASHES", requires = "lifetime")]
    pub proof: Option<String>,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim balance`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("whose"))]
pub struct BalanceArgs {
    /// An address, or a party of the run such as worker:3 [default: the wallet's account]
    #[arg(value_name = "ACCOUNT", group = "whose")]
    pub account: Option<String>,
    /// Everybody who holds ESM, and whether that sums to all there is
    #[arg(long, group = "whose")]
    pub all: bool,
    /// File with proofs, which tell what was earned [default: that of the run]
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    pub claims: Option<PathBuf>,
    /// A ledger's log, which tells the same
    #[arg(long, value_name = "LOG|RUN_DIR")]
    pub ledger: Option<PathBuf>,
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Whose wallet.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// What an accusation, an answer or an appeal rests on.
#[derive(Debug, Clone, Default, Args)]
pub struct EvidenceArgs {
    /// Hash of what it rests on, 0x and 64 digits
    #[arg(long, value_name = "HASH", conflicts_with = "evidence_file")]
    pub evidence: Option<B256>,
    /// A file that it rests on; its keccak256 goes on the chain, publish the file itself
    #[arg(long, value_name = "FILE")]
    pub evidence_file: Option<PathBuf>,
}

/// `essaim slash …`.
#[derive(Debug, Subcommand)]
pub enum SlashCommand {
    /// List all cases
    List(CasesArgs),
    /// Show one case
    Show(CaseArgs),
    /// Accuse: reserves stake, takes a bond
    Open(OpenArgs),
    /// Answer, as the accused
    Answer(AnswerArgs),
    /// Sign a ruling, as a member of the committee; prints the ballot
    Sign(SignArgs),
    /// Enter a ruling that enough members have signed; anybody may
    Rule(RuleArgs),
    /// Ask the timelock to look again, as the convicted
    Appeal(AnswerArgs),
    /// Carry out a conviction after the time to appeal; anybody may
    Execute(CaseActArgs),
    /// Close a case on which nobody ruled in time; anybody may
    Expire(CaseActArgs),
    /// Stop a case, as the guardian
    Cancel(CaseActArgs),
}

/// `essaim slash list`.
#[derive(Debug, Clone, Args)]
pub struct CasesArgs {
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `essaim slash show`.
#[derive(Debug, Clone, Args)]
pub struct CaseArgs {
    /// Number of the case
    #[arg(value_name = "CASE")]
    pub case: u64,
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `essaim slash open`.
#[derive(Debug, Clone, Args)]
pub struct OpenArgs {
    /// Whose stake: an address, or a party of the run such as worker:3
    #[arg(value_name = "ACCUSED")]
    pub accused: String,
    /// How much of it, in ESM [default: what the ledger's fine costs]
    #[arg(value_name = "AMOUNT", value_parser = amount)]
    pub amount: Option<u64>,
    /// What it rests on [default: the ledger's line with the fine].
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// The ledger's log with the fine [default: that of the run's folder]
    #[arg(long, value_name = "LOG|RUN_DIR")]
    pub ledger: Option<PathBuf>,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim slash answer` and `appeal`.
#[derive(Debug, Clone, Args)]
pub struct AnswerArgs {
    /// Number of the case
    #[arg(value_name = "CASE")]
    pub case: u64,
    /// What it rests on.
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim slash sign`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("finding").required(true))]
pub struct SignArgs {
    /// Number of the case
    #[arg(value_name = "CASE")]
    pub case: u64,
    /// The accusation holds
    #[arg(long, group = "finding")]
    pub guilty: bool,
    /// The accusation does not hold
    #[arg(long, group = "finding")]
    pub acquit: bool,
    /// Hash of the reasons [default: that of the evidence]
    #[arg(long, value_name = "HASH")]
    pub reasons: Option<B256>,
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Whose wallet.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// `essaim slash rule`.
#[derive(Debug, Clone, Args)]
pub struct RuleArgs {
    /// Number of the case
    #[arg(value_name = "CASE")]
    pub case: u64,
    /// A ballot that `slash sign` printed (may be given several times)
    #[arg(long = "ballot", value_name = "FILE", required = true)]
    pub ballots: Vec<PathBuf>,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim slash execute`, `expire` and `cancel`.
#[derive(Debug, Clone, Args)]
pub struct CaseActArgs {
    /// Number of the case
    #[arg(value_name = "CASE")]
    pub case: u64,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim challenge`.
#[derive(Debug, Clone, Args)]
pub struct ChallengeArgs {
    /// The epoch whose root waits for its window
    #[arg(value_name = "EPOCH")]
    pub epoch: u64,
    /// What it rests on [default: hash of the ledger's last line].
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// The ledger's log, to see whether the root follows from it [default: that of the run's folder]
    #[arg(long, value_name = "LOG|RUN_DIR")]
    pub ledger: Option<PathBuf>,
    /// Challenge a root that follows from the ledger all the same
    #[arg(long)]
    pub force: bool,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim epoch …`.
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// Show what is live, what waits, and what was posted
    Show(EpochShowArgs),
    /// Mint the budget and post the root of the ledger's last closed epoch, as the poster; never twice
    Post(EpochPostArgs),
    /// Drop the root that waits, as the guardian
    Void(EpochVoidArgs),
}

/// `essaim epoch show`.
#[derive(Debug, Clone, Args)]
pub struct EpochShowArgs {
    /// Which chain.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `essaim epoch post`.
#[derive(Debug, Clone, Args)]
pub struct EpochPostArgs {
    /// The ledger's log [default: that of the run's folder]
    #[arg(long, value_name = "LOG|RUN_DIR")]
    pub ledger: Option<PathBuf>,
    /// Which closed epoch [default: the last]
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// Where the log can be had; goes on the chain
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub uri: String,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}

/// `essaim epoch void`.
#[derive(Debug, Clone, Args)]
pub struct EpochVoidArgs {
    /// The epoch whose root waits
    #[arg(value_name = "EPOCH")]
    pub epoch: u64,
    /// How to send.
    #[command(flatten)]
    pub send: SendArgs,
}
