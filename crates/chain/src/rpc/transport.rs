//! Questions and answers over HTTP.
//!
//! Promise: a question has a time limit and a number of tries, and only what may pass (the network's fault, a node
//! that is busy) is tried again, after a pause that grows or that the node asks for. The path of the address, where
//! providers put their keys, is in no error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, Uri};

use super::refusal::{EMPTY, RpcError, Said};
use crate::ChainError;
use crate::revert::shown;

/// Largest answer: ten thousand events fit.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Pause after the first fault; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest pause that a node can ask for; if it asks for a longer one, it is not asked again.
const ASKED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A node behind an address.
pub(super) struct Transport {
    agent: Agent,
    url: String,
    /// Host and port: what of the address may be shown.
    pub(super) host: String,
    tries: u32,
    request: Duration,
    /// Number of the next question: an answer to another one is not taken for its.
    next_id: AtomicU64,
}

/// Whether a question that got no answer may be asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Asking twice does what asking once does.
    Yes,
    /// It would do its work twice.
    No,
}

/// What went wrong with a question.
pub(super) enum Fault {
    /// No answer, or that the node is busy: it may go better later.
    Lost(Lost),
    /// No answer, and none to come.
    Hopeless(String),
    /// The node's own refusal.
    Refused(RpcError),
    /// An answer of another kind.
    Strange(String),
}

/// A try that may go better later.
pub(super) struct Lost {
    cause: String,
    /// The pause that the node asks for.
    pause: Option<Duration>,
    /// Tries so far.
    tries: u32,
}

impl Lost {
    fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), pause: None, tries: 1 }
    }
}

impl Transport {
    pub(super) fn new(url: &str, tries: u32, request: Duration) -> Result<Self, ChainError> {
        let unfit = |cause: &str| ChainError::BadAddress { cause: cause.into() };
        let uri: Uri = url.trim().parse().map_err(|_| unfit("it is no URL"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if scheme != "http" && scheme != "https" {
            return Err(unfit("it must begin with http:// or https://"));
        }
        let authority = uri.authority().ok_or_else(|| unfit("it names no host"))?.as_str();
        let host = authority.rsplit('@').next().unwrap_or(authority).to_owned();
        let mut config =
            Agent::config_builder().timeout_global(Some(request)).http_status_as_error(false).max_redirects(0); // a key in the address is for this host only
        if matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]")) {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        Ok(Self { agent, url: url.trim().to_owned(), host, tries: tries.max(1), request, next_id: 1.into() })
    }

    /// Asks until there is an answer, or the tries are used up.
    pub(super) fn ask<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, ChainError> {
        self.ask_fault(method, &params, Again::Yes).map_err(|fault| self.error(method, fault))
    }

    /// Asks exactly once.
    pub(super) fn ask_once<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, ChainError> {
        self.ask_fault(method, &params, Again::No).map_err(|fault| self.error(method, fault))
    }

    /// As `ask`, for callers that tell one fault from another.
    pub(super) fn ask_fault<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &Value,
        again: Again,
    ) -> Result<T, Fault> {
        self.ask_counting(method, params, again).0
    }

    /// As `ask_fault`, and how many earlier tries got no answer: the node may have done what they asked.
    pub(super) fn ask_counting<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &Value,
        again: Again,
    ) -> (Result<T, Fault>, u32) {
        let mut pause = PAUSE_FIRST;
        for lost in 0.. {
            match self.attempt(method, params) {
                Err(Fault::Lost(Lost { pause: asked, .. }))
                    if again == Again::Yes
                        && lost + 1 < self.tries
                        && asked.is_none_or(|asked| asked <= ASKED_PAUSE_MAX) =>
                {
                    sleep(asked.unwrap_or_default().max(pause));
                }
                Err(Fault::Lost(fault)) => return (Err(Fault::Lost(Lost { tries: lost + 1, ..fault })), lost),
                done => return (done, lost),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        unreachable!("the loop ends with the last try")
    }

    pub(super) fn error(&self, method: &'static str, fault: Fault) -> ChainError {
        let host = self.host.clone();
        let unreachable = |attempts, cause: &str| {
            let cause = shown(cause);
            ChainError::Unreachable { host: host.clone(), method, attempts, cause }
        };
        match fault {
            Fault::Lost(Lost { cause, pause: Some(pause), tries }) => {
                unreachable(tries, &format!("{cause}; it asks to be left alone for {} s", pause.as_secs()))
            }
            Fault::Lost(Lost { cause, tries, .. }) => unreachable(tries, &cause),
            Fault::Hopeless(cause) => unreachable(1, &cause),
            Fault::Refused(RpcError { code, message, .. }) => {
                ChainError::Refused { host, method, code, message: shown(&message) }
            }
            Fault::Strange(cause) => ChainError::BadAnswer { method, cause: shown(&cause) },
        }
    }

    fn attempt<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<T, Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let question = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        let sent = self.agent.post(&self.url).header("content-type", "application/json").send(question);
        let mut response = sent.map_err(|error| self.fault(error))?;
        let (status, pause) = (response.status(), asked_pause(response.headers()));
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.fault(error))?;
        let result = judge(method, status, Said::read(&body, id)).map_err(|fault| match fault {
            Fault::Lost(lost) => Fault::Lost(Lost { pause, ..lost }),
            other => other,
        })?;
        let is_null = result.is_null();
        serde_json::from_value(result).map_err(|cause| match is_null {
            true => Fault::Strange("the result is null, without a word why".to_owned()),
            false => Fault::Strange(cause.to_string()),
        })
    }

    fn fault(&self, error: ureq::Error) -> Fault {
        match error {
            ureq::Error::Timeout(_) => {
                Fault::Lost(Lost::new(format!("no answer within {} s", self.request.as_secs_f32())))
            }
            ureq::Error::BodyExceedsLimit(limit) => Fault::Strange(format!("an answer of more than {limit} bytes")),
            ureq::Error::Io(cause) => Fault::Lost(Lost::new(cause.to_string())),
            ureq::Error::HostNotFound => Fault::Lost(Lost::new("the host was not found")),
            ureq::Error::ConnectionFailed => Fault::Lost(Lost::new("no connection")),
            other => Fault::Hopeless(other.to_string().replace(&self.url, &self.host)),
        }
    }
}

/// The result, or what stands in its place.
fn judge(method: &str, status: StatusCode, said: Said) -> Result<Value, Fault> {
    let (is_busy, is_error) = (is_busy(status), status.is_server_error());
    let with_status = |words: &str| format!("{status}: {words}");
    match said {
        Said::Result(result) if status.is_success() => Ok(result),
        // A contract's refusal is one whatever the status.
        Said::Refused(error) if error.reverted().is_some() || error.nonce_taken() => Err(Fault::Refused(error)),
        Said::Refused(error) if is_busy || (is_error && error.code.is_none()) => {
            Err(Fault::Lost(Lost::new(with_status(&error.told()))))
        }
        Said::Refused(error) if error.is_temporary(method == "eth_getLogs") => {
            Err(Fault::Lost(Lost::new(error.told())))
        }
        Said::Refused(error) => Err(Fault::Refused(error)),
        Said::Misplaced(words) => Err(Fault::Lost(Lost::new(words))),
        // Some gateways say so in a page under a status of success.
        Said::Other(words) if status.is_success() && is_passing(&words) => Err(Fault::Lost(Lost::new(words))),
        Said::Other(words) if status.is_success() => Err(Fault::Strange(words)),
        Said::Other(words) if is_busy || is_error => Err(Fault::Lost(Lost::new(with_status(&words)))),
        Said::Other(words) => Err(Fault::Hopeless(with_status(&words))),
        Said::Result(_) if is_busy || is_error => Err(Fault::Lost(Lost::new(status.to_string()))),
        Said::Result(_) => Err(Fault::Hopeless(status.to_string())),
    }
}

/// Whether the words of an answer that is none say that another try may go better.
fn is_passing(words: &str) -> bool {
    words == EMPTY || RpcError::in_words(words.to_owned()).is_temporary(false)
}

/// Whether a status says of itself that it may pass: too early, too many, and what gateways say of the node behind.
fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 502..=504 | 520..=530)
}

/// The pause that a node asks for, in whole seconds; its other form, a date, is left to our own pauses.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
