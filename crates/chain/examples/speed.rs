//! How fast the chain in this process is, in memory and with its journal, and how long it takes to open again.
//!
//! `cargo run --release -p chain --example speed`

use std::time::Instant;

use chain::units::ONE_ESM;
use chain::{Chain as _, Contracts, DeployPlan, Genesis, LocalChain, Parties, Wallet, deploy};

const TRANSFERS: u32 = 2_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let journal = folder.path().join("chain.jsonl");
    measure("in memory", LocalChain::in_memory(Genesis::default()));
    measure("with its journal", LocalChain::open(&journal, Genesis::default()).expect("a new journal"));
    let bytes = journal.metadata().expect("just written").len();
    let start = Instant::now();
    let chain = LocalChain::open(&journal, Genesis::default()).expect("just written");
    let blocks = chain.head().expect("a local chain has a head").number;
    println!("opened again: {blocks} blocks, {bytes} bytes, {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
}

fn measure(name: &str, mut chain: LocalChain) {
    let [deployer, guardian, poster, council, member] =
        ["deployer", "guardian", "poster", "council", "member"].map(|role| Wallet::derive(&[1; 32], role, 0));
    let parties = Parties {
        council: vec![council.address()],
        guardian: guardian.address(),
        poster: poster.address(),
        committee: vec![member.address()],
        threshold: 1,
        genesis_holder: deployer.address(),
    };
    let start = Instant::now();
    let plan = DeployPlan::development(parties, 1_000 * ONE_ESM, ONE_ESM, 10);
    let addresses = deploy(&mut chain, &deployer, &plan).expect("the plan is sound");
    println!("{name}: deployed and checked in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let contracts = Contracts { addresses };
    let start = Instant::now();
    for _ in 0..TRANSFERS {
        chain.send(&deployer, contracts.transfer(member.address(), 1)).expect("there is enough");
    }
    println!("{name}: {:.0} transfers/s", f64::from(TRANSFERS) / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..TRANSFERS {
        contracts.balance(&chain, member.address()).expect("a balance");
    }
    println!("{name}: {:.0} views/s", f64::from(TRANSFERS) / start.elapsed().as_secs_f64());
}
