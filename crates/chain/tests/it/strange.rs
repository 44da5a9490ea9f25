//! Nodes that answer strangely: each gets its named error, none a panic.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use chain::{Address, Bytes, Chain as _, ChainError, Filter, RpcChain, RpcOptions};

/// A node that answers each question as `answers` says: with a status and a text, or not at all. Gives its address.
pub(crate) fn node(mut answers: impl FnMut(&str) -> Option<(String, String)> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let (mut length, mut line) = (0, String::new());
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                if let Some(digits) = line.to_lowercase().strip_prefix("content-length:") {
                    length = digits.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let Some((status, answer)) = answers(&String::from_utf8(body).unwrap()) else { continue };
            let length = answer.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all((head + &answer).as_bytes());
        }
    });
    url
}

/// A chain whose node knows its number and answers everything else with `answer`.
fn chain(status: &'static str, answer: &'static str) -> RpcChain {
    let url = node(move |question| {
        let known = question.contains("eth_chainId");
        let (status, answer) = if known { ("200 OK", r#"{"result":"0x7a69"}"#) } else { (status, answer) };
        Some((status.to_owned(), answer.to_owned()))
    });
    let options = RpcOptions { tries: 2, request_s: 5, ..RpcOptions::new(url) };
    RpcChain::connect(options).unwrap()
}

#[test]
fn answers_that_are_none_are_named() {
    let cases = [
        ("200 OK", "<html>hello</html>"),
        ("200 OK", "{}"),
        ("200 OK", "[]"),
        ("200 OK", r#"{"result":{"number":"0x1"}}"#),
        ("200 OK", r#"{"result":{"number":"-1","hash":"0x00","timestamp":"0x1"}}"#),
        ("200 OK", r#"{"result":{"number":"0x10000000000000000","hash":"0x00","timestamp":"0x1"}}"#),
        ("200 OK", r#"{"result":null}"#),
    ];
    for (status, answer) in cases {
        let error = chain(status, answer).head().unwrap_err();
        assert!(matches!(error, ChainError::BadAnswer { method: "eth_getBlockByNumber", .. }), "{answer}: {error}");
    }
}

#[test]
fn a_busy_node_is_asked_again_and_a_closed_one_is_not() {
    for (status, attempts) in [("429 Too Many Requests", 2), ("503 Service Unavailable", 2), ("403 Forbidden", 1)] {
        let error = chain(status, "go away").head().unwrap_err();
        match error {
            ChainError::Unreachable { attempts: given, cause, .. } => {
                assert_eq!(given, attempts, "{status}");
                assert!(cause.contains(&status[..3]), "{cause}");
            }
            other => panic!("{status}: {other}"),
        }
    }
    let refused = chain("200 OK", r#"{"error":{"code":-32601,"message":"no such \u001b[31mmethod"}}"#).head();
    match refused.unwrap_err() {
        error @ ChainError::Refused { code: Some(-32_601), .. } => {
            assert!(!error.to_string().contains('\u{1b}'), "{error}")
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_refusal_is_read_in_the_forms_that_nodes_have() {
    let forms = [
        r#"{"error":{"code":3,"message":"execution reverted","data":"0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"}}"#,
        r#"{"error":{"code":-32015,"message":"VM execution error.","data":"Reverted 0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"}}"#,
        r#"{"error":{"code":-32000,"message":"reverted","data":{"data":"0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"}}}"#,
    ];
    for form in forms {
        match chain("200 OK", form).view(None, Address::ZERO, Bytes::new()).unwrap_err() {
            ChainError::Reverted { reason, transaction: None } => assert_eq!(reason.to_string(), "no"),
            other => panic!("{other}"),
        }
    }
    let silent = chain("200 OK", r#"{"error":{"code":-32000,"message":"execution reverted"}}"#);
    match silent.view(None, Address::ZERO, Bytes::new()).unwrap_err() {
        ChainError::Reverted { reason, .. } => assert_eq!(reason.to_string(), "no reason given"),
        other => panic!("{other}"),
    }
    let halted = chain("200 OK", r#"{"error":{"code":-32000,"message":"out of gas"}}"#);
    let error = halted.view(None, Address::ZERO, Bytes::new()).unwrap_err();
    assert!(matches!(error, ChainError::Halted { .. }), "{error}");
}

#[test]
fn a_node_that_never_gives_events_is_asked_a_bounded_number_of_times() {
    let error = chain("200 OK", r#"{"error":{"code":-32005,"message":"too many"}}"#)
        .logs(&Filter { from: 0, to: 100_000, ..Filter::default() })
        .unwrap_err();
    assert!(matches!(error, ChainError::Refused { method: "eth_getLogs", .. }), "{error}");
}

#[test]
fn an_event_without_a_block_is_no_event() {
    let pending = r#"{"result":[{"address":"0x0000000000000000000000000000000000000000","topics":[],"data":"0x","blockNumber":null,"blockHash":null,"transactionHash":null,"logIndex":null}]}"#;
    let error = chain("200 OK", pending).logs(&Filter::default()).unwrap_err();
    assert!(matches!(error, ChainError::BadAnswer { .. }), "{error}");
}

#[test]
fn a_page_in_an_answer_does_not_become_a_page_in_the_error() {
    let page: &'static str = format!(r#"{{"result":"{}"}}"#, "page ".repeat(1_000)).leak();
    let error = chain("200 OK", page).head().unwrap_err();
    assert!(matches!(error, ChainError::BadAnswer { .. }) && error.to_string().chars().count() < 400, "{error}");
    let data: &'static str =
        format!(r#"{{"error":{{"code":3,"message":"","data":"0x{}"}}}}"#, "ab".repeat(2_000)).leak();
    let error = chain("200 OK", data).view(None, Address::ZERO, Bytes::new()).unwrap_err();
    assert!(matches!(error, ChainError::Reverted { .. }) && error.to_string().chars().count() < 400, "{error}");
}
