//! The source against relays on this machine that tell the truth, lie, or say nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;

/// Rounds that drand really signed.
const ROUNDS: &str = include_str!("../../../../proof/tests/fixtures/drand_rounds.txt");

/// One such round.
struct Real {
    round: u64,
    signature: &'static str,
    previous: &'static str,
    randomness: &'static str,
}

fn real(chain: &str, round: u64) -> Real {
    let words = ROUNDS.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = words.into_iter().find(|line| line[0] == chain && line[1] == round.to_string()).unwrap();
    Real { round, signature: line[2], previous: line[3].trim_start_matches('-'), randomness: line[4] }
}

/// A relay's answer to a request.
enum Reply {
    /// These bytes as a whole HTTP answer.
    Bytes(Vec<u8>),
    /// The connection stays open and nothing comes.
    Silence,
}

fn ok(body: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into())
}

fn told(round: u64, signature: &str, previous: &str) -> String {
    format!(r#"{{"round":{round},"randomness":"00","signature":"{signature}","previous_signature":"{previous}"}}"#)
}

fn honest(real: &Real) -> Reply {
    ok(&told(real.round, real.signature, real.previous))
}

/// A relay on the loopback address.
struct Relay {
    url: String,
    asked: Arc<AtomicU32>,
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Answers each request by its path and by how many came before it.
    fn new(reply: impl Fn(&str, u32) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, closed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, is_closed) = (asked.clone(), closed.clone());
        let thread = thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream;
                let path = path_of(&mut stream);
                match reply(&path, count.fetch_add(1, Ordering::SeqCst)) {
                    // The client may have hung up before the end of a huge answer.
                    Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Silence => silent.push(stream),
                }
            }
        });
        Self { url, asked, closed, thread: Some(thread) }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // One more connection wakes the relay up; if it is gone already, so much the better.
        drop(TcpStream::connect(self.url.trim_start_matches("http://")));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn path_of(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A source that asks these relays, through no proxy, and hurries.
fn source(chain: &str, relays: &[&Relay]) -> DrandSource {
    let urls: Vec<String> = relays.iter().map(|relay| format!("{}/", relay.url)).collect();
    let patience = Patience { answer: Duration::from_millis(400), tries: 2, pause: Duration::from_millis(1) };
    let mut source = DrandSource::new(chain, &urls, patience).unwrap();
    let config = Agent::config_builder().proxy(None).timeout_global(Some(patience.answer));
    source.agent = config.http_status_as_error(false).build().new_agent();
    source
}

/// What the only relay did, as the source tells it after it gave up.
fn fault(chain: &str, round: u64, reply: impl Fn(&str, u32) -> Reply + Send + 'static) -> RelayFault {
    let relay = Relay::new(reply);
    let error = source(chain, &[&relay]).point(round).unwrap_err();
    assert_eq!(relay.asked(), 2, "each relay is asked as often as it may be, and no more: {error}");
    let DrandError::GaveUp { round: named, mut faults, .. } = error else { panic!("{error}") };
    assert_eq!((named, faults.len()), (round, 1));
    faults.remove(0).1
}

#[test]
fn real_rounds_of_both_chains_give_their_published_randomness() {
    for (chain, round) in [("quicknet", 123), ("quicknet", 1000), ("default", 1), ("default", 72785)] {
        let relay = Relay::new(move |path, _| {
            let due = format!("/{}/public/{round}", hex::encode(drand::named(chain).unwrap().hash));
            assert_eq!(path, due);
            honest(&real(chain, round))
        });
        let point = source(chain, &[&relay]).point(round).unwrap();
        assert_eq!((point.round, hex::encode(point.randomness).as_str()), (round, real(chain, round).randomness));
    }
}

#[test]
fn another_round_is_refused_even_if_drand_signed_it() {
    let given = fault("quicknet", 1000, |_, _| honest(&real("quicknet", 123)));
    assert!(matches!(given, RelayFault::OtherRound { asked: 1000, given: 123 }), "{given}");
    // The number is right, the signature is of another round.
    let given = fault("quicknet", 1000, |_, _| ok(&told(1000, real("quicknet", 123).signature, "")));
    let wrong = proof::beacon::BeaconError::SignatureWrong { round: 1000 };
    assert!(matches!(&given, RelayFault::Signature(error) if *error == wrong), "{given}");
}

#[test]
fn a_signature_that_is_altered_too_short_or_no_hex_is_refused() {
    let altered = real("quicknet", 1000).signature.replacen("b4", "b5", 1);
    let given = fault("quicknet", 1000, move |_, _| ok(&told(1000, &altered, "")));
    assert!(matches!(given, RelayFault::Signature(_)), "{given}");
    let given = fault("quicknet", 1000, |_, _| ok(&told(1000, "b446", "")));
    assert_eq!(given.to_string(), "signature of beacon round 1000 has 2 bytes, 48 are due");
    let given = fault("quicknet", 1000, |_, _| ok(&told(1000, "zz", "")));
    assert!(matches!(given, RelayFault::NotARound(_)), "{given}");
    // A linked chain signs the signature before.
    let given = fault("default", 72785, |_, _| ok(&told(72785, real("default", 72785).signature, "")));
    assert_eq!(given.to_string(), "previous signature of beacon round 72785 has 0 bytes, 96 are due");
}

#[test]
fn broken_huge_and_missing_answers_are_named() {
    let given = fault("quicknet", 1000, |_, _| {
        let Reply::Bytes(mut bytes) = honest(&real("quicknet", 1000)) else { panic!("an answer") };
        bytes.truncate(bytes.len() - 20);
        Reply::Bytes(bytes)
    });
    assert!(matches!(given, RelayFault::NoAnswer(_)), "{given}");
    let given = fault("quicknet", 1000, |_, _| ok(&"x".repeat(1 << 20)));
    assert!(matches!(given, RelayFault::TooLarge { limit: ANSWER_BYTES_MAX }), "{given}");
    let given = fault("quicknet", 1000, |_, _| ok("<html>not here</html>"));
    assert!(matches!(given, RelayFault::NotARound(_)), "{given}");
    let given =
        fault("quicknet", 1000, |_, _| Reply::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()));
    assert!(matches!(given, RelayFault::Status(404)), "{given}");
    let given = fault("quicknet", 1000, |_, _| Reply::Bytes(b"nonsense\r\n\r\n".into()));
    assert!(matches!(given, RelayFault::NoAnswer(_)), "{given}");
}

#[test]
fn a_relay_that_never_answers_is_left_after_its_time() {
    let start = Instant::now();
    let given = fault("quicknet", 1000, |_, _| Reply::Silence);
    assert!(matches!(given, RelayFault::NoAnswer(_)), "{given}");
    assert!(start.elapsed() < Duration::from_secs(10), "two answers of 0.4 s took {:?}", start.elapsed());
}

#[test]
fn one_honest_relay_among_liars_is_enough_and_is_asked_first_from_then_on() {
    let liar = Relay::new(|_, _| ok(&told(1000, real("quicknet", 123).signature, "")));
    let late = Relay::new(|_, before| match before {
        0 => Reply::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()),
        _ => honest(&real("quicknet", 1000)),
    });
    let mut source = source("quicknet", &[&liar, &late]);
    let randomness = real("quicknet", 1000).randomness;
    assert_eq!(hex::encode(source.point(1000).unwrap().randomness), randomness);
    assert_eq!((liar.asked(), late.asked()), (2, 2));
    assert!(source.point(1000).is_ok());
    assert_eq!((liar.asked(), late.asked()), (2, 3));
}

#[test]
fn a_question_gets_the_first_round_that_was_not_due_and_questions_of_one_round_share_it() {
    let relay = Relay::new(|_, _| honest(&real("quicknet", 1000)));
    let mut source = source("quicknet", &[&relay]);
    // Round 1 was due at the genesis, a round every 3 s: round 999 at + 2994 s, round 1000 at + 2997 s.
    let genesis_ms = 1_692_803_367_000;
    assert_eq!((source.due_ms(1), source.due_ms(1000)), (genesis_ms, genesis_ms + 2_997_000));
    assert_eq!(source.round_after(genesis_ms + 2_993_999), 999);
    for asked in [2_994_000, 2_995_500, 2_996_999] {
        assert_eq!(source.later_than(genesis_ms + asked, 0).unwrap().round, 1000);
    }
    assert_eq!(relay.asked(), 1);
    // At the moment that round 1000 is due it may be known: the next one is asked for, which the relay does not have.
    let error = source.later_than(genesis_ms + 2_997_000, 0).unwrap_err().to_string();
    assert!(error.contains("drand round 1001 of quicknet") && error.contains("about round 1000"), "{error}");
}

#[test]
fn a_clock_that_was_put_back_gives_no_round_that_is_out_already() {
    let relay = Relay::new(|_, _| honest(&real("quicknet", 1000)));
    let mut source = source("quicknet", &[&relay]);
    let genesis_ms = 1_692_803_367_000;
    assert_eq!(source.later_than(genesis_ms + 2_994_000, 0).unwrap().round, 1000);
    // An hour back: the next round after the one given, also in the process after this one.
    assert_eq!(source.answering(genesis_ms, 0), 1001);
    assert_eq!(source.answering(genesis_ms, 1005), 1006);
    // A lease that names round 1000 is never drawn by round 1000, even within one period.
    assert_eq!(source.answering(genesis_ms + 2_994_000, 1000), 1001);
    let again = DrandSource::new("quicknet", &[], Patience::default()).unwrap().opened_up_to(1000);
    // At + 6000 s round 2001 is due itself.
    assert_eq!((again.answering(genesis_ms, 0), again.answering(genesis_ms + 6_000_000, 0)), (1001, 2002));
}

#[test]
fn unknown_chains_and_addresses_are_refused_before_anything_is_asked() {
    let new = |chain: &str, url: &str| DrandSource::new(chain, &[url.to_owned()], Patience::default()).map(drop);
    let error = new("slownet", "https://api.drand.sh").unwrap_err().to_string();
    assert_eq!(error, "there is no drand chain \"slownet\" here; known: quicknet, default");
    assert!(matches!(new("quicknet", "file:///etc/passwd"), Err(DrandError::Address { .. })));
    let many = vec!["http://a".to_owned(); URLS_MAX + 1];
    let error = DrandSource::new("quicknet", &many, Patience::default()).map(drop).unwrap_err();
    assert!(matches!(error, DrandError::Relays { given } if given == URLS_MAX + 1), "{error}");
    assert!(DrandSource::new("default", &[], Patience::default()).unwrap().is_of(&drand::DEFAULT.hash));
}
