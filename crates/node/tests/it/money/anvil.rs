//! The whole loop on a real node: deploy, a run with a liar that is paid through it, claims, a case, the sum.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chain::{Chain as _, RpcChain, RpcOptions};
use serde_json::{Value, json};

use super::{ESM, adds_up, bad, code, essaim, good, good_with, settings};
use crate::resume::essaim as start;
use crate::support::{run, stderr};

/// The first account of anvil's published test phrase: it has coin for gas.
const RICH: (&str, &str) = ("ESSAIM_KEY", "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
/// The second.
const OTHER: (&str, &str) = ("ESSAIM_KEY", "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");

/// The file beside the addresses that holds them until they are whole.
const BESIDE: &str = "addresses.json.part";

/// An anvil of our own, stopped when dropped.
struct Anvil {
    process: Child,
    url: String,
}

impl Anvil {
    /// None, with a line that says so, where there is no anvil.
    fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            println!("skipped: no anvil; `npm ci --ignore-scripts` in contracts brings it, or set ESSAIM_ANVIL");
            return None;
        };
        let arguments = ["--host", "127.0.0.1", "--port", "0", "--chain-id", "31337", "--hardfork", "cancun"];
        let mut process = Command::new(binary).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let listening = lines.find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").map(str::to_owned));
        let url = format!("http://127.0.0.1:{}", listening.expect("anvil says where it listens").trim());
        std::thread::spawn(move || lines.for_each(drop)); // or the pipe fills and anvil stops
        Some(Self { process, url })
    }
}

impl Anvil {
    fn connect(&self) -> RpcChain {
        RpcChain::connect(RpcOptions::new(self.url.as_str())).unwrap()
    }

    /// Height of the newest block.
    fn blocks(&self) -> u64 {
        self.connect().head().unwrap().number
    }

    /// A question that only an anvil answers.
    fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = ureq::post(&self.url).send_json(body).unwrap();
        answer.body_mut().read_json().unwrap()
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
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cached = home.map(|home| home.join(".cache/essaim/contracts").join(IN_MODULES));
    named.into_iter().chain([ours]).chain(cached).find(|path| path.is_file())
}

/// A chain with the contracts of a run that paid through it.
struct Paid {
    anvil: Anvil,
    _place: tempfile::TempDir,
    folder: PathBuf,
    addresses: String,
}

impl Paid {
    fn run() -> Option<Self> {
        let anvil = Anvil::start()?;
        let place = tempfile::tempdir().unwrap();
        let addresses = place.path().join("addresses.json").to_str().unwrap().to_owned();
        let chain = [format!("chain.url={}", anvil.url), format!("chain.addresses={addresses}")];
        let mut sets = settings(&["chain.development=true"]);
        sets.extend(chain.iter().map(String::as_str));
        let file = place.path().join("run.toml");
        let settings = start(&["--dry-run"], &sets).stdout(Stdio::piped()).output().unwrap();
        fs::write(&file, settings.stdout).unwrap();
        let deploy = ["chain", "deploy", "--chain", &anvil.url, "--run", file.to_str().unwrap(), "--out", &addresses];
        let tried = good_with(&[&deploy[..], &["--dry-run"]].concat(), &[RICH]);
        assert!(tried["gas"].as_u64().unwrap() > 10_000_000 && !Path::new(&addresses).exists(), "{tried}");
        let refused = run(essaim(&deploy).env(RICH.0, RICH.1));
        assert!(code(&refused) == 2 && stderr(&refused).contains("--yes"), "{}", stderr(&refused));
        // All is deployed, and the addresses cannot be written down: the same command goes on, and pays nothing twice.
        let beside = place.path().join(BESIDE);
        fs::create_dir(&beside).unwrap();
        let lost = run(essaim(&[&deploy[..], &["--yes"]].concat()).env(RICH.0, RICH.1));
        assert!(code(&lost) == 1 && stderr(&lost).contains("not written down"), "{}", stderr(&lost));
        fs::remove_dir(&beside).unwrap();
        let blocks = anvil.blocks();
        let done = good_with(&[&deploy[..], &["--yes"]].concat(), &[RICH]);
        assert_eq!(anvil.blocks(), blocks, "nothing was sent");
        assert!(stderr(&lost).contains(done["addresses"]["vault"].as_str().unwrap()), "{}", stderr(&lost));
        assert!(!place.path().join("addresses.json.deploying").exists());
        let again = run(essaim(&[&deploy[..], &["--yes"]].concat()).env(RICH.0, RICH.1));
        assert!(code(&again) == 1 && stderr(&again).contains("would be forgotten"), "{}", stderr(&again));
        let folder = place.path().join("run");
        let status = start(&["--out", folder.to_str().unwrap()], &sets).env(RICH.0, RICH.1).status().unwrap();
        assert!(status.success());
        // The run has its own copy of the addresses, so its folder does without the file.
        let moved = place.path().join("elsewhere.json").to_str().unwrap().to_owned();
        fs::rename(&addresses, &moved).unwrap();
        Some(Self { anvil, _place: place, folder, addresses: moved })
    }

    /// Which chain, as words.
    fn chain(&self) -> [&str; 4] {
        ["--chain", &self.anvil.url, "--addresses", &self.addresses]
    }

    fn ask(&self, words: &[&str]) -> Value {
        good(&[words, &self.chain()].concat())
    }

    fn act(&self, wallet: (&str, &str), words: &[&str]) -> Value {
        good_with(&[words, &self.chain(), &["--yes"]].concat(), &[wallet])
    }

    fn refused(&self, wallet: (&str, &str), words: &[&str]) -> String {
        let output = run(essaim(&[words, &self.chain(), &["--yes"]].concat()).env(wallet.0, wallet.1));
        assert_eq!(code(&output), 1, "{words:?} was not refused: {}", stderr(&output));
        stderr(&output)
    }

    /// As a party of the run, whose folder names the chain.
    fn party(&self, party: &str, words: &[&str]) -> Value {
        let folder = self.folder.to_str().unwrap();
        good(&[words, &["--chain", folder, "--as", party, "--yes"]].concat())
    }

    fn sum(&self) -> u64 {
        let [_, url, addresses, file] = self.chain();
        adds_up(&[url, addresses, file])
    }
}

#[test]
fn a_run_is_paid_through_a_real_node_and_every_coin_is_accounted_for() {
    let Some(paid) = Paid::run() else { return };
    let folder = paid.folder.to_str().unwrap().to_owned();
    let supply = paid.sum();
    let told = good(&[&["ledger", "audit", &folder][..], &paid.chain()].concat());
    assert_eq!((&told["is_good"], &told["chain"]["agree"]), (&true.into(), &2.into()), "{told}");
    // The liar has lost half of its stake in the run; its case is closed.
    let cases = paid.ask(&["slash", "list"]);
    assert_eq!((&cases["cases"][0]["outcome"], cases["cases"].as_array().unwrap().len()), (&"convicted".into(), 1));
    assert_eq!(good(&["balance", "worker:1", "--chain", &folder])["active"].as_u64(), Some(375 * ESM));
    let coin = good(&["chain", "wallet", "--chain", &folder, "--as", "trainer"])["coin_wei"].clone();
    assert_ne!(coin, "0", "the trainer can pay for the gas of its claim");
    claims(&paid, &folder);
    assert_eq!(paid.sum(), supply);
    reorganised(&paid);
    assert_eq!(paid.sum(), supply);
    a_case(&paid);
    assert_eq!(paid.sum(), supply);
    stakes(&paid);
    assert_eq!(paid.sum(), supply);
}

/// Proofs as they were printed, sent by a wallet that has nothing to do with the run.
fn claims(paid: &Paid, folder: &str) {
    let shown = good(&["ledger", "show", folder, "--account", "worker:0"]);
    let account = shown["account"].as_str().unwrap();
    let lifetime = shown["claim"]["lifetime"].as_u64().unwrap();
    let proof: Vec<&str> =
        shown["claim"]["proof"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap()).collect();
    let (proof, amount) = (proof.join(","), chain::units::format(lifetime));
    let words = ["claim", "--account", account, "--lifetime", &amount, "--proof", &proof];
    let tried = good_with(&[&words[..], &paid.chain(), &["--dry-run"]].concat(), &[OTHER]);
    assert!(tried["dry_run"] == true && tried["steps"][0]["gas"].as_u64().unwrap() > 21_000, "{tried}");
    assert_eq!(paid.ask(&["balance", account])["holds"], 0);
    assert_eq!(paid.act(OTHER, &words)["paid"].as_u64(), Some(lifetime));
    assert_eq!(paid.ask(&["balance", account])["holds"].as_u64(), Some(lifetime));
    assert!(paid.refused(OTHER, &words).contains("nothing is due to"));
    let file = paid.folder.join("claims.json");
    let all = paid.act(OTHER, &["claim", "--all", "--claims", file.to_str().unwrap()]);
    assert_eq!(all["paid"].as_u64().unwrap() + lifetime, 200 * ESM, "{all}");
}

/// A payment that the chain takes back is told as undone, and told again where it is now.
fn reorganised(paid: &Paid) {
    let cursor = paid.folder.join("seen.json");
    let events = || {
        let words = ["chain", "events", "--json", "--cursor", cursor.to_str().unwrap()];
        let output = run(&mut essaim(&[&words[..], &paid.chain()].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    assert!(events().iter().any(|event| event["event"] == "RootPosted"));
    let before = paid.anvil.ask("evm_snapshot", json!([]))["result"].clone();
    paid.party("worker:2", &["chain", "transfer", "worker:0", "1"]);
    let [told] = &events()[..] else { panic!("one transfer was told") };
    assert_eq!((&told["event"], &told["undone"]), (&"Transfer".into(), &false.into()));
    paid.anvil.ask("evm_revert", json!([before]));
    paid.anvil.ask("evm_mine", json!([]));
    let [undone] = &events()[..] else { panic!("one transfer was undone") };
    assert_eq!((&undone["transaction"], &undone["undone"]), (&told["transaction"], &true.into()));
}

/// Somebody outside the run accuses a worker, and the committee finds nothing against it.
fn a_case(paid: &Paid) {
    let other = good_with(&["chain", "wallet"], &[OTHER])["account"].as_str().unwrap().to_owned();
    let paid_by = paid.party("worker:2", &["chain", "transfer", &other, "10"]);
    let accused = paid_by["from"].as_str().unwrap();
    let evidence = format!("0x{}", "cd".repeat(32));
    let words = ["slash", "open", accused, "30", "--evidence", &evidence];
    // The second step rests on the first, so on a chain behind an address it cannot be tried alone.
    let tried = good_with(&[&words[..], &paid.chain(), &["--dry-run"]].concat(), &[OTHER]);
    assert!(tried["steps"][0]["gas"].is_u64() && tried["steps"][1]["gas"].is_null(), "{tried}");
    let opened = paid.act(OTHER, &words);
    let case = opened["case"]["case"].to_string();
    paid.party("worker:2", &["slash", "answer", &case, "--evidence", &evidence]);
    let folder = paid.folder.to_str().unwrap();
    let ballots = [0, 2].map(|member| {
        let sign = ["slash", "sign", &case, "--acquit", "--chain", folder, "--as", &format!("validator:{member}")];
        let file = paid.folder.join(format!("ballot-{member}.json"));
        fs::write(&file, good(&sign).to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let rule = ["slash", "rule", &case, "--ballot", &ballots[0], "--ballot", &ballots[1]];
    assert_eq!(paid.act(OTHER, &rule)["case"]["outcome"], "acquitted");
    assert!(paid.refused(OTHER, &rule).contains("is closed"));
}

/// In by one signature, out after the cooldown, on a clock that only a development chain lets us move.
fn stakes(paid: &Paid) {
    assert_eq!(paid.act(OTHER, &["stake", "2.5"])["active"].as_u64(), Some(2_500_000));
    paid.act(OTHER, &["unstake", "2.5"]);
    assert!(paid.refused(OTHER, &["unstake", "--withdraw"]).contains("2.5 ESM can be withdrawn from"));
    good(&[&["chain", "advance", "61s"][..], &paid.chain()].concat());
    assert_eq!(paid.act(OTHER, &["unstake", "--withdraw"])["leaving"], 0);
}

#[test]
fn the_parties_of_a_run_have_their_keys_from_its_seed_so_a_chain_with_money_does_not_take_them() {
    let Some(binary) = binary() else { return println!("skipped: no anvil") };
    let arguments = ["--host", "127.0.0.1", "--port", "0", "--chain-id", "1", "--hardfork", "cancun"];
    let mut process = Command::new(binary).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let listening = lines.find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").map(str::to_owned));
    let anvil = Anvil { process, url: format!("http://127.0.0.1:{}", listening.unwrap().trim()) };
    std::thread::spawn(move || lines.for_each(drop));
    let run_file = super::finished().join("config.toml");
    let words = ["chain", "deploy", "--chain", &anvil.url, "--run", run_file.to_str().unwrap(), "--yes"];
    let output = run(essaim(&words).env(RICH.0, RICH.1));
    let message = stderr(&output);
    assert!(code(&output) == 1 && message.contains("chain 1 is no development chain"), "{message}");
    // Nor is the address shown, which may hold a provider's key.
    let (_, message) = bad(&[
        "chain",
        "advance",
        "5s",
        "--chain",
        "http://127.0.0.1:9/secret-path",
        "--addresses",
        super::finished().join("addresses.json").to_str().unwrap(),
    ]);
    assert!(message.contains("127.0.0.1:9") && !message.contains("secret-path"), "{message}");
}

#[test]
fn a_transaction_is_waited_for_until_it_has_the_blocks_that_were_asked_for() {
    let Some(paid) = Paid::run() else { return };
    let folder = paid.folder.to_str().unwrap();
    // It goes on with its own copy of the addresses: the file that the settings name is gone.
    let status = start(&["--resume", folder], &["stop.steps=30"]).status().unwrap();
    assert!(status.success());
    let words = ["epoch", "show", "--chain", folder];
    assert_eq!(good(&words)["live"]["epoch"], 2);
    paid.anvil.ask("evm_setIntervalMining", json!([1]));
    let words = ["chain", "transfer", "worker:0", "1", "--chain", folder, "--as", "orchestrator", "--yes"];
    let words = [&words[..], &["--confirmations", "3"]].concat();
    let block = good(&words)["steps"][0]["block"].as_u64().unwrap();
    assert!(paid.anvil.blocks() >= block + 2, "block {block} has two on top");
}
