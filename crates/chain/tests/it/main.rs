//! One list of stories, played on the chain in this process and on a real anvil.

#[cfg(feature = "rpc")]
mod anvil;
mod following;
mod journal;
mod local;
#[cfg(feature = "rpc")]
mod proxy;
mod stage;
mod stories;
mod token;
