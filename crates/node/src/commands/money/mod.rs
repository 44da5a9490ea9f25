//! Commands about money: ledgers, chains, stakes, claims, cases.
//!
//! Promise: nothing is sent that was not shown before and agreed to; what a contract would refuse is told in
//! words and not sent; a secret is read from a file, a terminal or the environment, and printed nowhere.
//! Each command does the same on the chain in a run's folder and on one behind an address.

mod account;
mod act;
mod audit;
mod balance;
mod chains;
mod claim;
mod deploy;
mod epoch;
mod event;
mod events;
mod log;
mod place;
mod proofs;
mod refusal;
mod show;
mod signer;
mod slash;
mod stake;
mod words;

use crate::cli::{ChainCommand, EpochCommand, LedgerCommand, MoneyCommand};
use crate::context::Context;
use crate::ending::{Ending, WrongUsage};

/// Ends a command with wrong usage.
fn wrong_usage(message: impl Into<String>) -> anyhow::Error {
    WrongUsage::from(message.into()).into()
}

/// Runs a command about money.
pub(crate) fn dispatch(command: MoneyCommand, context: &Context) -> anyhow::Result<Ending> {
    match command {
        MoneyCommand::Ledger(LedgerCommand::Audit(args)) => audit::audit(&args, context),
        MoneyCommand::Ledger(LedgerCommand::Show(args)) => show::show(&args, context),
        MoneyCommand::Chain(ChainCommand::Deploy(args)) => deploy::deploy(&args, context),
        MoneyCommand::Chain(ChainCommand::NewWallet(args)) => chains::new_wallet(&args, context),
        MoneyCommand::Chain(ChainCommand::Wallet(args)) => chains::wallet(&args, context),
        MoneyCommand::Chain(ChainCommand::Show(args)) => chains::show(&args, context),
        MoneyCommand::Chain(ChainCommand::Events(args)) => events::events(&args, context),
        MoneyCommand::Chain(ChainCommand::Transfer(args)) => stake::transfer(&args, context),
        MoneyCommand::Chain(ChainCommand::Advance(args)) => chains::advance(&args, context),
        MoneyCommand::Stake(args) => stake::stake(&args, context),
        MoneyCommand::Unstake(args) => stake::unstake(&args, context),
        MoneyCommand::Claim(args) => claim::claim(&args, context),
        MoneyCommand::Balance(args) => balance::balance(&args, context),
        MoneyCommand::Slash(command) => slash::slash(&command, context),
        MoneyCommand::Challenge(args) => epoch::challenge(&args, context),
        MoneyCommand::Epoch(EpochCommand::Show(args)) => epoch::show(&args, context),
        MoneyCommand::Epoch(EpochCommand::Post(args)) => epoch::post(&args, context),
        MoneyCommand::Epoch(EpochCommand::Void(args)) => epoch::void(&args, context),
    }
}
