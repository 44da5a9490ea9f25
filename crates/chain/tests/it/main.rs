//! One list of stories, played on the chain in this process and on a real anvil.

#[cfg(feature = "rpc")]
mod anvil;
mod deploying;
mod following;
#[cfg(feature = "rpc")]
mod handed_over;
mod journal;
mod keystores;
mod killed;
mod local;
#[cfg(feature = "rpc")]
mod proxy;
#[cfg(feature = "rpc")]
mod rpc_errors;
mod stage;
mod stories;
#[cfg(feature = "rpc")]
mod strange;
mod token;
mod wrapped;
