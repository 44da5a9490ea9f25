//! SIGKILL at any moment: what was paid stays paid, and nothing is paid twice.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chain::{Addresses, B256, Chain, Contracts, EpochToPost, Genesis, LocalChain, Settled, settle_epoch};

use crate::stage::{BUDGET, Stage, plan, wallet};

/// Names the folder of a run to the process that is to be killed.
const FOLDER: &str = "ESSAIM_CHAIN_TEST_FOLDER";
/// Processes killed, each a little later than the one before.
const KILLS: u64 = 12;

/// Settles one epoch after another, as a run does, until it is killed. Does nothing in an ordinary test run.
#[test]
fn settles_until_it_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let mut run = Run::open(Path::new(&folder));
        println!("settling");
        loop {
            run.settle_next();
        }
    }
}

#[test]
fn a_process_killed_at_any_moment_posts_and_pays_each_epoch_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("chain.jsonl");
    let stage = Stage::on(Box::new(LocalChain::open(&journal, Genesis::default()).unwrap()), |_, _| ());
    stage.contracts.addresses.save(&folder.path().join("addresses.json")).unwrap();
    drop(stage);
    let mut torn = 0;
    for kill in 0..KILLS {
        kill_after(folder.path(), Duration::from_millis(7 + 13 * kill));
        let bytes = std::fs::read(&journal).unwrap();
        torn += u64::from(bytes.last() != Some(&b'\n'));
        Run::open(folder.path()).check();
    }
    let mut run = Run::open(folder.path());
    let epochs = run.contracts.next_epoch(&run.chain).unwrap();
    println!("{epochs} epochs over {KILLS} kills, {torn} of them within a line");
    assert!(epochs >= KILLS, "each process got somewhere: {epochs} epochs");
    // As a process does whose ledger was killed before it could write down the last epoch.
    assert!(run.settle(epochs - 1).already);
    run.check();
}

/// Starts this test program again as the process above and kills it.
fn kill_after(folder: &Path, time: Duration) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["killed::settles_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("settling")), "it begins");
    std::thread::sleep(time);
    process.kill().unwrap(); // SIGKILL
    process.wait().unwrap();
}

struct Run {
    chain: LocalChain,
    contracts: Contracts,
}

impl Run {
    fn open(folder: &Path) -> Self {
        let chain = LocalChain::open(&folder.join("chain.jsonl"), Genesis::default()).unwrap();
        let addresses = Addresses::load(&folder.join("addresses.json")).unwrap();
        Self { contracts: Contracts::connect(&chain, addresses).unwrap(), chain }
    }

    /// The worker alone earns, the whole budget of each epoch.
    fn settle(&mut self, epoch: u64) -> Settled {
        let worker = wallet("worker", 0).address();
        let lifetime_total = (0..=epoch).map(|epoch| self.contracts.budget(&self.chain, epoch).unwrap()).sum();
        let root = self.contracts.leaf(&self.chain, worker, lifetime_total).unwrap();
        let post = EpochToPost { epoch, root, lifetime_total, file_hash: B256::ZERO, uri: String::new() };
        settle_epoch(&mut self.chain, &self.contracts, &wallet("poster", 0), &post).unwrap()
    }

    /// What a run does for an epoch. It begins where the chain stands, as it has no ledger.
    fn settle_next(&mut self) {
        let windows = plan().windows;
        let epoch = self.contracts.next_epoch(&self.chain).unwrap();
        self.chain.advance(windows.dispute_s + windows.epoch_s).unwrap();
        self.settle(epoch);
        self.chain.advance(windows.dispute_s).unwrap();
        let live = self.contracts.live_root(&self.chain).unwrap().expect("posted and live");
        let claim = self.contracts.claim(wallet("worker", 0).address(), live.lifetime_total, &[]);
        self.chain.send(&wallet("stranger", 0), claim).unwrap();
    }

    /// Minted, posted and paid agree.
    fn check(&self) {
        let chain = &self.chain;
        let released = self.contracts.next_release(chain).unwrap();
        let minted: u64 = (0..released).map(|epoch| self.contracts.budget(chain, epoch).unwrap()).sum();
        assert_eq!(self.contracts.total_supply(chain).unwrap(), plan().genesis + minted);
        let posted = self.contracts.next_epoch(chain).unwrap();
        assert!(posted <= released && released <= posted + 1, "{posted} posted, {released} minted");
        let paid = self.contracts.claimed_total(chain).unwrap();
        let worker = self.contracts.balance(chain, wallet("worker", 0).address()).unwrap();
        assert_eq!(worker, crate::stage::PURSE + paid);
        assert!(paid <= minted);
        assert!(minted - paid <= 2 * BUDGET, "at most the newest two epochs are unpaid");
    }
}
