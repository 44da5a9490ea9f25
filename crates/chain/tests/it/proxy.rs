//! A wire that loses what it is told to lose: between us and a node.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lose {
    /// The question does not reach the node.
    Question,
    /// The node does what it was asked, and its answer gets lost.
    Answer,
}

type Loss = Arc<Mutex<Option<(Lose, String, u32)>>>;

/// Listens on a port of its own and hands on to a node's.
pub(crate) struct Proxy {
    port: u16,
    loss: Loss,
}

impl Proxy {
    pub(crate) fn start(node: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, loss) = (listener.local_addr().unwrap().port(), Loss::default());
        let shared = loss.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let loss = shared.clone();
                std::thread::spawn(move || serve(stream, node, &loss));
            }
        });
        Self { port, loss }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Loses the next `times` exchanges that ask for `method`.
    pub(crate) fn lose(&self, what: Lose, method: &str, times: u32) {
        *self.loss.lock().unwrap() = Some((what, method.to_owned(), times));
    }

    /// Losses that did not happen yet.
    pub(crate) fn left(&self) -> u32 {
        self.loss.lock().unwrap().as_ref().map_or(0, |(_, _, times)| *times)
    }
}

/// One connection: question after question until a loss or the end.
fn serve(mut us: TcpStream, node: u16, loss: &Loss) {
    let Ok(mut node) = TcpStream::connect(("127.0.0.1", node)) else { return };
    while let Some(question) = message(&mut us) {
        let question = String::from_utf8_lossy(&question).replacen("/v3/secret-key", "/", 1).into_bytes();
        let lost = take(loss, &String::from_utf8_lossy(&question));
        if lost == Some(Lose::Question) || node.write_all(&question).is_err() {
            break;
        }
        let Some(answer) = message(&mut node) else { break };
        if lost == Some(Lose::Answer) || us.write_all(&answer).is_err() {
            break;
        }
    }
    let _ = us.shutdown(Shutdown::Both);
}

fn take(loss: &Loss, question: &str) -> Option<Lose> {
    let mut loss = loss.lock().unwrap();
    let (what, method, times) = loss.as_mut()?;
    if *times == 0 || !question.contains(method.as_str()) {
        return None;
    }
    *times -= 1;
    Some(*what)
}

/// One HTTP message with a `content-length`.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse::<usize>().ok()?;
    let start = bytes.len();
    bytes.resize(start + length, 0);
    stream.read_exact(&mut bytes[start..]).ok()?;
    Some(bytes)
}
