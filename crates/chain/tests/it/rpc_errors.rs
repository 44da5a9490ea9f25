//! What nodes and gateways say against a question: their own words are told, what may pass is asked again, and no
//! signed bytes are built twice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, hex, keccak256};
use chain::{Address, Bytes, Call, Chain as _, ChainError, RpcChain, RpcOptions};
use serde_json::{Value, json};

use crate::stage::wallet;
use crate::strange::node;

/// Tries of each question here.
const TRIES: u32 = 2;
/// `Error("no")`, as a contract returns it.
const REVERT: &str = "0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000";

fn cases() -> Vec<Value> {
    let corpus: Value = serde_json::from_str(include_str!("../compat/rpc_errors.json")).unwrap();
    corpus["cases"].as_array().unwrap().clone()
}

/// What the node of a case says to a question.
fn said(case: &Value, question: &Value) -> (String, String) {
    let status = case["status"].as_str().unwrap_or("200 OK").to_owned();
    let body = case["body"].as_str().unwrap();
    (status, body.replace("{id}", &question["id"].to_string()).replace("{revert}", REVERT))
}

/// A chain whose node says the same to everything but the question for its number, and how often it was asked.
fn chain(case: &Value) -> (RpcChain, Arc<AtomicU32>) {
    let (case, asked) = (case.clone(), Arc::new(AtomicU32::new(0)));
    let count = asked.clone();
    let url = node(move |question| {
        let question: Value = serde_json::from_str(question).unwrap();
        if question["method"] == "eth_chainId" {
            return Some(("200 OK".to_owned(), json!({ "id": question["id"], "result": "0x7a69" }).to_string()));
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(said(&case, &question))
    });
    let options = RpcOptions { tries: TRIES, request_s: 5, ..RpcOptions::new(url) };
    (RpcChain::connect(options).unwrap(), asked)
}

#[test]
fn a_nodes_own_words_are_told_and_only_what_may_pass_is_asked_again() {
    for case in cases() {
        let (name, words) = (case["name"].as_str().unwrap(), case["words"].as_str().unwrap_or_default());
        let (chain, asked) = chain(&case);
        let start = Instant::now();
        let answer = chain.view(None, Address::ZERO, Bytes::new());
        let (asked, told) = (asked.load(Ordering::Relaxed), format!("{name}: {answer:?}"));
        let tries = match (case["is"].as_str().unwrap(), answer) {
            ("answered", Ok(bytes)) => {
                assert_eq!(bytes[..], [0x2a], "{told}");
                1
            }
            ("refused", Err(error @ ChainError::Refused { method: "eth_call", .. }))
            | ("bad answer", Err(error @ ChainError::BadAnswer { method: "eth_call", .. }))
            | ("closed", Err(error @ ChainError::Unreachable { attempts: 1, .. }))
            | ("reverted", Err(error @ ChainError::Reverted { transaction: None, .. })) => {
                assert!(error.to_string().contains(words), "{told}");
                1
            }
            ("busy", Err(error @ ChainError::Unreachable { attempts: TRIES, .. })) => {
                assert!(error.to_string().contains(words), "{told}");
                TRIES
            }
            _ => panic!("{told}"),
        };
        assert_eq!(asked, tries, "{told}");
        let pause = Duration::from_secs(case["pause_s"].as_u64().unwrap_or(0));
        assert!(start.elapsed() >= pause, "{name}: asked again after {:?}", start.elapsed());
    }
}

/// A chain on which all goes well but what is said `times` times to signed bytes; gives the bytes' hashes.
fn sending(case: &Value, times: usize) -> (RpcChain, Arc<Mutex<Vec<B256>>>) {
    let (case, given) = (case.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = given.clone();
    let url = node(move |question| {
        let question: Value = serde_json::from_str(question).unwrap();
        let result = match question["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x7a69"),
            "eth_getTransactionCount" => json!("0x7"),
            "eth_estimateGas" => json!("0x5208"),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_getBalance" => json!("0xffffffffffffffffff"),
            "eth_getTransactionByHash" => Value::Null,
            "eth_getBlockByNumber" => {
                json!({ "number": "0x5", "hash": B256::ZERO, "timestamp": "0x6b49d200", "baseFeePerGas": "0x1" })
            }
            "eth_sendRawTransaction" => {
                let hash = keccak256(hex::decode(question["params"][0].as_str().unwrap()).unwrap());
                seen.lock().unwrap().push(hash);
                if seen.lock().unwrap().len() <= times {
                    return Some(said(&case, &question));
                }
                json!(hash)
            }
            other => panic!("{other}"),
        };
        Some(("200 OK".into(), json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }).to_string()))
    });
    let options = RpcOptions { tries: TRIES, request_s: 5, settle_s: 0, ..RpcOptions::new(url) };
    (RpcChain::connect(options).unwrap(), given)
}

#[test]
fn whatever_is_said_to_signed_bytes_no_others_are_built_and_what_may_be_under_way_is_told_as_that() {
    let call = || Call::to(wallet("worker", 1).address(), Vec::new());
    for case in cases().into_iter().filter(|case| case["pause_s"].is_null()) {
        let (name, is_busy) = (case["name"].as_str().unwrap(), case["is"] == "busy");
        let (mut chain, given) = sending(&case, usize::MAX);
        let error = chain.submit(&wallet("worker", 0), call()).unwrap_err();
        let hashes = given.lock().unwrap().clone();
        let tries = if is_busy { TRIES as usize } else { 1 };
        assert_eq!(hashes, vec![hashes[0]; tries], "{name}: the same bytes, and no others");
        match &error {
            // Every answer arrived and the node has not got it.
            ChainError::Refused { .. } => assert!(!is_busy, "{name}: {error}"),
            ChainError::Uncertain { transaction, nonce: 7, .. } => assert_eq!(*transaction, hashes[0], "{name}"),
            other => panic!("{name}: {other}"),
        }
        if is_busy {
            let (mut chain, given) = sending(&case, 1);
            let sent = chain.submit(&wallet("worker", 0), call()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(*given.lock().unwrap(), [sent.transaction; 2], "{name}");
        }
    }
}

#[test]
fn a_transaction_that_a_flat_refusal_hides_is_not_taken_for_unknown() {
    // The node refuses the bytes with the words for a taken nonce, and then the question whether it has them.
    let sent = Arc::new(AtomicU32::new(0));
    let count = sent.clone();
    let url = node(move |question| {
        let question: Value = serde_json::from_str(question).unwrap();
        let result = match question["method"].as_str().unwrap() {
            "eth_sendRawTransaction" => {
                count.fetch_add(1, Ordering::Relaxed);
                return Some(("200 OK".into(), r#"{"error":{"code":-32000,"message":"nonce too low"}}"#.into()));
            }
            "eth_getTransactionByHash" => return Some(("200 OK".into(), r#"{"message":"plan exhausted"}"#.into())),
            "eth_chainId" => json!("0x7a69"),
            "eth_getTransactionCount" => json!("0x7"),
            "eth_estimateGas" => json!("0x5208"),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_getBalance" => json!("0xffffffffffffffffff"),
            _ => json!({ "number": "0x5", "hash": B256::ZERO, "timestamp": "0x6b49d200", "baseFeePerGas": "0x1" }),
        };
        Some(("200 OK".into(), json!({ "result": result }).to_string()))
    });
    let mut chain = RpcChain::connect(RpcOptions { tries: TRIES, ..RpcOptions::new(url) }).unwrap();
    let error = chain.submit(&wallet("worker", 0), Call::to(Address::ZERO, Vec::new())).unwrap_err();
    assert!(matches!(&error, ChainError::Uncertain { cause, .. } if cause.contains("plan exhausted")), "{error}");
    assert_eq!(sent.load(Ordering::Relaxed), 1);
}
