//! Reaching a chain behind an address.
//!
//! Promise: the run and every command wait for the same confirmations and move the same clocks.

use chain::{Chain as _, ChainError, RpcChain, RpcOptions};

/// The numbers of chains whose coin is worth nothing: anvil's and hardhat's, and geth's `--dev`.
const DEVELOPMENT_CHAINS: [u64; 2] = [31_337, 1_337];
/// Blocks that make a transaction settled where nothing else is said: Ethereum hardly ever replaces more than two.
const CONFIRMATIONS: u64 = 3;
/// Time that is waited for each block, in seconds: more than twice what Ethereum takes.
const BLOCK_S: u64 = 30;

/// Whether money is worth nothing on a chain of this number.
pub fn is_development(chain_id: u64) -> bool {
    DEVELOPMENT_CHAINS.contains(&chain_id)
}

/// Reaches a chain, and says for how many confirmations it waits. `is_ours` says by the chain's number whether its
/// clock is ours to move.
///
/// Errors: `BadAddress`, `Unreachable`, `WrongChain` if it changes meanwhile.
pub fn reach(
    url: &str,
    confirmations: Option<u64>,
    is_ours: impl FnOnce(u64) -> bool,
) -> Result<(RpcChain, u64), ChainError> {
    let chain_id = RpcChain::connect(RpcOptions::new(url))?.chain_id();
    let options = options(url, chain_id, confirmations, is_ours(chain_id));
    let confirmations = options.confirmations;
    Ok((RpcChain::connect(options)?, confirmations))
}

fn options(url: &str, chain_id: u64, confirmations: Option<u64>, development: bool) -> RpcOptions {
    let usual = if is_development(chain_id) { 1 } else { CONFIRMATIONS };
    let confirmations = confirmations.unwrap_or(usual);
    let options = RpcOptions::new(url);
    let settle_s = options.settle_s.max(confirmations.saturating_mul(BLOCK_S));
    RpcOptions { chain_id: Some(chain_id), development, confirmations, settle_s, ..options }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_with_money_waits_for_more_blocks_than_one_for_trying() {
        let options = |chain_id, asked| options("http://h", chain_id, asked, false);
        assert_eq!((options(31_337, None).confirmations, options(1, None).confirmations), (1, 3));
        assert_eq!((options(31_337, Some(5)).confirmations, options(1, Some(1)).confirmations), (5, 1));
        assert_eq!((options(1, Some(1)).settle_s, options(1, Some(64)).settle_s), (300, 64 * BLOCK_S));
    }
}
