//! What is said of a transaction once it was handed over, by nodes that lose answers and count strangely.

use std::sync::{Arc, Mutex};

use alloy_primitives::{B256, hex, keccak256};
use chain::{Call, Chain as _, ChainError, Follower, RpcChain, RpcOptions, Submitted, Wallet, deploy};
use serde_json::{Value, json};

use crate::stage::{plan, wallet};
use crate::strange::node;

/// What a node answers to signed bytes.
#[derive(Clone, Copy)]
enum Sent {
    /// Their hash.
    Hash,
    /// Another hash.
    OtherHash,
    /// Nothing.
    Lost,
    /// That it is busy.
    Busy,
    /// A refusal with these words.
    Refused(&'static str),
}

/// A node's answers, each the last one for ever once those before it are used up.
#[derive(Clone)]
struct Script {
    sent: Vec<Sent>,
    /// The answer to a question for a receipt; none is none.
    receipt: Option<Value>,
    head: u64,
    nonce: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self { sent: vec![Sent::Hash], receipt: Some(Value::Null), head: 5, nonce: 7 }
    }
}

impl Script {
    /// A chain whose node plays this, and the signed bytes that it is given.
    fn play(self) -> (RpcChain, Arc<Mutex<Vec<B256>>>) {
        let given = Arc::new(Mutex::new(Vec::new()));
        let seen = given.clone();
        let url = node(move |question| self.answer(question, &seen));
        let options = RpcOptions { tries: 3, request_s: 5, settle_s: 0, ..RpcOptions::new(url) };
        (RpcChain::connect(options).unwrap(), given)
    }

    fn answer(&self, question: &str, seen: &Mutex<Vec<B256>>) -> Option<(String, String)> {
        let question: Value = serde_json::from_str(question).unwrap();
        let result = match question["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x7a69"),
            "eth_getTransactionCount" => json!(format!("{:#x}", self.nonce)),
            "eth_estimateGas" => json!("0x5208"),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_getBalance" => json!("0xffffffffffffffffff"),
            "eth_getCode" => json!("0x"),
            "eth_getLogs" => json!([]),
            "eth_getTransactionByHash" => Value::Null,
            "eth_getTransactionReceipt" => self.receipt.clone()?,
            "eth_getBlockByNumber" => {
                let asked = question["params"][0].as_str().filter(|which| which.starts_with("0x"));
                let number = asked.map_or(format!("{:#x}", self.head), str::to_owned);
                json!({ "number": number, "hash": B256::ZERO, "timestamp": "0x6b49d200", "baseFeePerGas": "0x1" })
            }
            "eth_sendRawTransaction" => return self.sent(question["params"][0].as_str().unwrap(), seen),
            other => panic!("{other}"),
        };
        Some(("200 OK".into(), json!({ "result": result }).to_string()))
    }

    fn sent(&self, bytes: &str, seen: &Mutex<Vec<B256>>) -> Option<(String, String)> {
        let hash = keccak256(hex::decode(bytes).unwrap());
        let mut seen = seen.lock().unwrap();
        let answer = match self.sent[seen.len().min(self.sent.len() - 1)] {
            Sent::Hash => Some(("200 OK", json!({ "result": hash }))),
            Sent::OtherHash => Some(("200 OK", json!({ "result": B256::repeat_byte(1) }))),
            Sent::Lost => None,
            Sent::Busy => Some(("503 Service Unavailable", json!({}))),
            Sent::Refused(message) => Some(("200 OK", json!({ "error": { "code": -32_000, "message": message } }))),
        };
        seen.push(hash);
        answer.map(|(status, text)| (status.to_owned(), text.to_string()))
    }
}

fn someone() -> Wallet {
    wallet("worker", 0)
}

fn call() -> Call {
    Call::to(someone().address(), Vec::new())
}

#[test]
fn after_a_lost_answer_a_refusal_proves_nothing_and_nothing_else_is_sent() {
    use Sent::{Busy, Hash, Lost, Refused};
    for first in [Lost, Busy] {
        for words in ["nonce too low", "replacement transaction underpriced", "insufficient funds"] {
            let script = Script { sent: vec![first, Refused(words), Hash], ..Script::default() };
            let (mut chain, given) = script.play();
            let error = chain.submit(&someone(), call()).unwrap_err();
            let given = given.lock().unwrap().clone();
            assert_eq!(given, [given[0]; 2], "the same bytes, and no others");
            match &error {
                ChainError::Uncertain { transaction, nonce: 7, cause, .. } => {
                    assert_eq!(*transaction, given[0]);
                    assert!(cause.contains(words), "{cause}");
                }
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_refusal_without_a_lost_answer_is_final_or_tried_anew() {
    let (mut chain, given) =
        Script { sent: vec![Sent::Refused("nonce too low"), Sent::Hash], ..Script::default() }.play();
    chain.submit(&someone(), call()).unwrap();
    assert_eq!(given.lock().unwrap().len(), 2);
    let (mut chain, given) = Script { sent: vec![Sent::Refused("insufficient funds")], ..Script::default() }.play();
    let error = chain.submit(&someone(), call()).unwrap_err();
    assert!(matches!(error, ChainError::Refused { .. }), "{error}");
    assert_eq!(given.lock().unwrap().len(), 1);
}

#[test]
fn an_answer_that_names_another_transaction_leaves_it_uncertain() {
    let (mut chain, given) = Script { sent: vec![Sent::OtherHash], ..Script::default() }.play();
    let error = chain.submit(&someone(), call()).unwrap_err();
    let given = given.lock().unwrap()[0];
    assert!(matches!(error, ChainError::Uncertain { transaction, nonce: 7, .. } if transaction == given), "{error}");
}

#[test]
fn a_node_that_is_lost_while_waiting_leaves_the_hash_and_the_nonce() {
    for receipt in [None, Some(json!("nonsense")), Some(json!({ "status": "0x1" }))] {
        let (mut chain, given) = Script { receipt, ..Script::default() }.play();
        let error = chain.send(&someone(), call()).unwrap_err();
        let given = given.lock().unwrap()[0];
        assert!(
            matches!(error, ChainError::Uncertain { transaction, nonce: 7, .. } if transaction == given),
            "{error}"
        );
        assert!(error.to_string().contains(&given.to_string()), "{error}");
    }
    let (mut chain, _) = Script::default().play();
    let error = chain.send(&someone(), call()).unwrap_err();
    assert!(matches!(error, ChainError::Stuck { nonce: 7, .. }), "a node that answers says it is stuck: {error}");
}

#[test]
fn the_largest_numbers_that_a_node_can_name_are_no_panic() {
    let receipt = json!({
        "transactionHash": B256::repeat_byte(3), "status": "0x1", "blockNumber": "0x5", "blockHash": B256::ZERO,
        "gasUsed": "0x1", "contractAddress": null, "logs": [],
    });
    let script = Script { head: u64::MAX, nonce: u64::MAX, receipt: Some(receipt), ..Script::default() };
    let (mut chain, _) = script.play();
    let submitted = Submitted { transaction: B256::repeat_byte(3), nonce: 0 };
    assert_eq!(chain.wait(&submitted).unwrap().block, 5);

    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("place.json");
    for start in [0, u64::MAX - 3, u64::MAX] {
        let mut follower = Follower::open(&place, &chain, Vec::new(), start, 1).unwrap();
        for _ in 0..3 {
            let news = follower.look(&chain).unwrap();
            follower.take(news).unwrap();
        }
        let _ = std::fs::remove_file(&place);
    }

    let error = deploy(&mut chain, &wallet("deployer", 0), &plan()).unwrap_err();
    assert!(matches!(error, ChainError::Inconsistent { .. }), "{error}");
}
