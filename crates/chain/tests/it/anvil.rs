//! The same stories over JSON-RPC with a real anvil, and what only a network can do to us.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use chain::{
    Address, B256, Call, Chain, ChainError, EpochToPost, Follower, RpcChain, RpcOptions, StuckCause, U256, Wallet,
    settle_epoch,
};

use crate::proxy::{Lose, Proxy};
use crate::stage::{PURSE, Stage};
use crate::stories::play_all;

/// An anvil of our own, stopped when dropped.
pub(crate) struct Anvil {
    process: Child,
    pub(crate) port: u16,
}

impl Anvil {
    /// None, with a line that says so, where there is no anvil.
    pub(crate) fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            println!("skipped: no anvil; `npm ci --ignore-scripts` in contracts brings it, or set ESSAIM_ANVIL");
            return None;
        };
        let arguments = ["--host", "127.0.0.1", "--port", "0", "--chain-id", "31337", "--hardfork", "cancun"];
        let mut process =
            Command::new(binary).args(arguments).stdout(Stdio::piped()).spawn().expect("anvil can be started");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut lines = lines.map_while(Result::ok);
        let listening = lines.find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").map(str::to_owned));
        let port = listening.expect("anvil says where it listens").trim().parse().expect("a port");
        std::thread::spawn(move || lines.for_each(drop)); // or the pipe fills and anvil stops
        Some(Self { process, port })
    }

    pub(crate) fn options(&self) -> RpcOptions {
        RpcOptions { development: true, ..RpcOptions::new(format!("http://127.0.0.1:{}", self.port)) }
    }

    pub(crate) fn connect(&self) -> RpcChain {
        RpcChain::connect(self.options()).expect("anvil answers")
    }

    /// A question that only a development node knows.
    pub(crate) fn control(&self, method: &str, params: &str) -> String {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let url = format!("http://127.0.0.1:{}", self.port);
        let sent = ureq::post(&url).header("content-type", "application/json").send(body);
        let answer = sent.unwrap().body_mut().read_to_string().unwrap();
        assert!(!answer.contains("\"error\""), "{method}: {answer}");
        answer
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> Option<PathBuf> {
    const IN_MODULES: &str = "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let named = std::env::var_os("ESSAIM_ANVIL").map(PathBuf::from);
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts").join(IN_MODULES);
    let cached =
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/essaim/contracts").join(IN_MODULES));
    named.into_iter().chain([ours]).chain(cached).find(|path| path.is_file())
}

/// The first of the accounts that anvil gives coins to.
pub(crate) fn rich() -> Wallet {
    let key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    Wallet::from_environment(|name| (name == "ESSAIM_KEY").then(|| key.to_owned())).unwrap().unwrap()
}

/// Coins for gas, from an account that has some.
fn fund(chain: &mut dyn Chain, account: Address) {
    chain.send(&rich(), Call::pay(account, U256::from(10u64.pow(18)))).unwrap();
}

/// A stage whose anvil lives as long as the story.
struct Theatre {
    stage: Stage,
    anvil: Anvil,
}

impl Theatre {
    fn open(change: impl Fn(RpcOptions) -> RpcOptions) -> Option<Self> {
        let anvil = Anvil::start()?;
        let stage = Stage::on(Box::new(anvil.connect()), fund);
        let chain = RpcChain::connect(change(anvil.options())).unwrap();
        Some(Self { stage: Stage { chain: Box::new(chain), ..stage }, anvil })
    }
}

impl std::ops::Deref for Theatre {
    type Target = Stage;
    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl std::ops::DerefMut for Theatre {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

play_all!(Theatre::open(|options| options));

#[test]
fn a_stuck_transaction_says_what_it_waits_for() {
    let Some(mut theatre) = Theatre::open(|options| RpcOptions { settle_s: 1, ..options }) else { return };
    let worker = theatre.worker.clone();
    theatre.anvil.control("evm_setAutomine", "[false]");
    let call = theatre.contracts.approve(worker.address(), 1);
    let stuck = |error: ChainError| match error {
        ChainError::Stuck { cause, transaction, .. } => (cause, transaction),
        other => panic!("{other}"),
    };

    let (cause, first) = stuck(theatre.stage.chain.send(&worker, call.clone()).unwrap_err());
    assert!(matches!(cause, StuckCause::NoBlocks { .. }), "{cause}");
    theatre.anvil.control("anvil_dropTransaction", &format!("[\"{first}\"]"));
    let second = theatre.stage.chain.submit(&worker, call.clone()).unwrap();
    theatre.anvil.control("anvil_dropTransaction", &format!("[\"{}\"]", second.transaction));
    let (cause, _) = stuck(theatre.stage.chain.wait(&second).unwrap_err());
    assert_eq!(cause, StuckCause::Forgotten);

    theatre.stage.chain.submit(&worker, call).unwrap();
    let busy = theatre.stage.chain.idle(worker.address()).unwrap_err();
    assert!(matches!(busy, ChainError::Busy { waiting: 1, .. }), "{busy}");
}

#[test]
fn a_transaction_whose_predecessor_was_undone_says_so() {
    let Some(mut theatre) = Theatre::open(|options| RpcOptions { settle_s: 1, ..options }) else { return };
    let worker = theatre.worker.clone();
    let call = theatre.contracts.approve(worker.address(), 1);
    let before = theatre.anvil.control("evm_snapshot", "[]");
    let before = before.split("\"result\":").nth(1).unwrap().trim_end_matches('}').to_owned();
    theatre.does(&worker, call.clone());
    theatre.anvil.control("evm_setAutomine", "[false]");
    let next = theatre.stage.chain.submit(&worker, call).unwrap();
    theatre.anvil.control("evm_revert", &format!("[{before}]"));
    match theatre.stage.chain.wait(&next).unwrap_err() {
        ChainError::Stuck { cause, .. } => assert_eq!(cause, StuckCause::NonceGap { next: next.nonce - 1 }),
        other => panic!("{other}"),
    }
}

#[test]
fn a_transaction_whose_answer_was_lost_is_sent_once() {
    let Some(theatre) = Theatre::open(|options| options) else { return };
    let proxy = Proxy::start(theatre.anvil.port);
    let options = RpcOptions { url: proxy.url(), ..theatre.anvil.options() };
    let mut chain = RpcChain::connect(options).unwrap();
    let (worker, stranger) = (theatre.worker.clone(), theatre.stranger.address());
    for (lost, times) in [(Lose::Question, 2), (Lose::Answer, 1), (Lose::Answer, 3)] {
        let before = theatre.balance(stranger);
        proxy.lose(lost, "eth_sendRawTransaction", times);
        let receipt = chain.send(&worker, theatre.contracts.transfer(stranger, 1_000)).unwrap();
        assert_eq!(receipt.logs.len(), 1);
        assert_eq!(theatre.balance(stranger), before + 1_000, "{times} lost");
        assert_eq!(proxy.left(), 0, "all losses happened");
    }
    assert_eq!(theatre.balance(worker.address()), PURSE - 3_000);
    // Every answer is lost: whether it was taken cannot be known, and its hash says where to look.
    proxy.lose(Lose::Answer, "eth_sendRawTransaction", 99);
    let before = theatre.balance(stranger);
    match chain.send(&worker, theatre.contracts.transfer(stranger, 1_000)).unwrap_err() {
        ChainError::Uncertain { transaction, .. } => assert!(chain.receipt(transaction).unwrap().is_some()),
        other => panic!("{other}"),
    }
    assert_eq!(theatre.balance(stranger), before + 1_000);
}

#[test]
fn a_connection_that_stays_lost_is_named_and_the_key_in_its_address_is_not() {
    let Some(anvil) = Anvil::start() else { return };
    let proxy = Proxy::start(anvil.port);
    let url = format!("{}/v3/secret-key", proxy.url());
    let chain = RpcChain::connect(RpcOptions { tries: 3, ..RpcOptions::new(url) }).unwrap();
    assert!(!format!("{:?} {}", RpcOptions::new("http://h/secret-key"), chain.name()).contains("secret"));
    proxy.lose(Lose::Question, "eth_getBlockByNumber", 99);
    let error = chain.head().unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { method: "eth_getBlockByNumber", attempts: 3, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    assert_eq!(proxy.left(), 96, "three tries");
    drop(proxy);
    let nobody = RpcChain::connect(RpcOptions { tries: 2, ..RpcOptions::new("http://127.0.0.1:9/secret-key") });
    let error = nobody.err().unwrap();
    assert!(matches!(error, ChainError::Unreachable { method: "eth_chainId", attempts: 2, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    for url in ["ftp://host", "127.0.0.1", "", "http://"] {
        let error = RpcChain::connect(RpcOptions::new(url)).err().unwrap();
        assert!(matches!(error, ChainError::BadAddress { .. }), "{url}: {error}");
    }
}

#[test]
fn another_chain_than_the_one_that_is_meant_is_refused() {
    let Some(anvil) = Anvil::start() else { return };
    let error = RpcChain::connect(RpcOptions { chain_id: Some(1), ..anvil.options() }).err().unwrap();
    assert!(matches!(error, ChainError::WrongChain { expected: 1, given: 31_337, .. }), "{error}");
}

#[test]
fn an_account_without_coins_is_told_before_it_sends() {
    let Some(mut theatre) = Theatre::open(|options| options) else { return };
    let poor = Wallet::derive(&[9; 32], "poor", 0);
    let error = theatre.stage.chain.send(&poor, theatre.stage.contracts.approve(poor.address(), 1)).unwrap_err();
    assert!(matches!(error, ChainError::NoGas { account, .. } if account == poor.address()), "{error}");
}

#[test]
fn a_root_left_in_the_queue_by_a_killed_process_is_not_posted_again() {
    let Some(mut theatre) = Theatre::open(|options| options) else { return };
    let (poster, contracts) = (theatre.poster.clone(), theatre.contracts);
    let lifetime = 5_000_000;
    let root = contracts.leaf(&*theatre.chain, theatre.worker.address(), lifetime).unwrap();
    let post = EpochToPost { epoch: 0, root, lifetime_total: lifetime, file_hash: B256::ZERO, uri: String::new() };
    theatre.does(&poster, contracts.release(0));
    theatre.anvil.control("evm_setAutomine", "[false]");
    // What a process did right before it was killed: handed over, and told nobody.
    let left = theatre.stage.chain.submit(&poster, contracts.post_root(&post)).unwrap();
    let anvil = &theatre.anvil;
    let settled = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            anvil.control("evm_mine", "[]");
        });
        settle_epoch(&mut *theatre.stage.chain, &contracts, &poster, &post).unwrap()
    });
    assert!(settled.already);
    assert_eq!(settled.transaction, left.transaction);
}

#[test]
fn a_transaction_is_settled_only_with_its_blocks_on_top() {
    let Some(mut theatre) = Theatre::open(|options| RpcOptions { confirmations: 3, settle_s: 1, ..options }) else {
        return;
    };
    let worker = theatre.worker.clone();
    let call = theatre.contracts.approve(worker.address(), 1);
    let submitted = theatre.stage.chain.submit(&worker, call).unwrap();
    match theatre.stage.chain.wait(&submitted).unwrap_err() {
        ChainError::Stuck { cause, .. } => assert_eq!(cause, StuckCause::Unconfirmed { have: 1, need: 3 }),
        other => panic!("{other}"),
    }
    theatre.anvil.control("anvil_mine", "[\"0x2\"]");
    assert_eq!(theatre.stage.chain.wait(&submitted).unwrap().transaction, submitted.transaction);
}

#[test]
fn events_that_anvil_replaced_are_told_back() {
    let Some(mut theatre) = Theatre::open(|options| options) else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = theatre.contracts.addresses;
    let place = folder.path().join("place.json");
    let mut follower = Follower::open(&place, &*theatre.chain, vec![at.token], at.block, 1).unwrap();
    let first = follower.look(&*theatre.chain).unwrap();
    follower.take(first).unwrap();
    let (worker, stranger) = (theatre.worker.clone(), theatre.stranger.address());
    let contracts = theatre.contracts;
    for amount in [1, 2] {
        theatre.does(&worker, contracts.transfer(stranger, amount));
    }
    let news = follower.look(&*theatre.chain).unwrap();
    assert_eq!(news.logs.len(), 2);
    let replaced: Vec<_> = news.logs.iter().rev().cloned().collect();
    follower.take(news).unwrap();
    theatre.anvil.control("anvil_reorg", "[2, []]");
    theatre.does(&worker, contracts.transfer(stranger, 3));
    let news = follower.look(&*theatre.chain).unwrap();
    assert_eq!(news.undone, replaced);
    assert_eq!(news.logs.len(), 1);
    assert_eq!(theatre.balance(stranger), PURSE + 3);
}

#[test]
fn transactions_that_rest_on_each_other_share_a_block() {
    let Some(mut theatre) = Theatre::open(|options| options) else { return };
    let (worker, contracts) = (theatre.worker.clone(), theatre.contracts);
    theatre.anvil.control("evm_setAutomine", "[false]");
    let calls = [contracts.approve(contracts.addresses.vault, 5), contracts.stake(3), contracts.stake(2)];
    let sent = calls.map(|call| theatre.stage.chain.submit(&worker, call).unwrap());
    theatre.anvil.control("evm_mine", "[]");
    let blocks = sent.map(|submitted| theatre.stage.chain.wait(&submitted).unwrap().block);
    assert_eq!(blocks, [blocks[0]; 3]);
    assert_eq!(contracts.stake_of(&*theatre.chain, worker.address()).unwrap(), 5);
}
