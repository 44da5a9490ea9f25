//! Questions and answers over HTTP.
//!
//! Promise: a question has a time limit and a number of tries, and only what may have been the network's
//! fault is tried again. The path of the address, where providers put their keys, is in no error.

use std::thread::sleep;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{StatusCode, Uri};

use super::answers::{Answer, RpcError};
use crate::ChainError;
use crate::revert::shown;

/// Largest answer: ten thousand events fit.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Pause after the first fault; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A node behind an address.
pub(super) struct Transport {
    agent: Agent,
    url: String,
    /// Host and port: what of the address may be shown.
    pub(super) host: String,
    tries: u32,
    request: Duration,
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
    /// No answer: perhaps the network's fault.
    Lost(String),
    /// No answer, and none to come.
    Hopeless(String),
    /// The node's own refusal.
    Refused(RpcError),
    /// An answer of another kind.
    Strange(String),
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
        Ok(Self { agent, url: url.trim().to_owned(), host, tries: tries.max(1), request })
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
                Err(Fault::Lost(_)) if again == Again::Yes && lost + 1 < self.tries => sleep(pause),
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
            Fault::Lost(cause) => unreachable(self.tries, &cause),
            Fault::Hopeless(cause) => unreachable(1, &cause),
            Fault::Refused(RpcError { code, message, .. }) => {
                ChainError::Refused { host, method, code, message: shown(&message) }
            }
            Fault::Strange(cause) => ChainError::BadAnswer { method, cause: shown(&cause) },
        }
    }

    fn attempt<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<T, Fault> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let sent = self.agent.post(&self.url).header("content-type", "application/json").send(question);
        let mut response = sent.map_err(|error| self.fault(error))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.fault(error))?;
        match serde_json::from_slice::<Answer>(&body) {
            Ok(Answer { error: Some(error), .. }) if status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Fault::Lost(error.message))
            }
            Ok(Answer { error: Some(error), .. }) => Err(Fault::Refused(error)),
            Ok(Answer { result, .. }) if status.is_success() => {
                serde_json::from_value(result).map_err(|cause| Fault::Strange(cause.to_string()))
            }
            Err(cause) if status.is_success() => Err(Fault::Strange(cause.to_string())),
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Fault::Lost(status.to_string()))
            }
            _ => Err(Fault::Hopeless(status.to_string())),
        }
    }

    fn fault(&self, error: ureq::Error) -> Fault {
        match error {
            ureq::Error::Timeout(_) => Fault::Lost(format!("no answer within {} s", self.request.as_secs_f32())),
            ureq::Error::BodyExceedsLimit(limit) => Fault::Strange(format!("an answer of more than {limit} bytes")),
            ureq::Error::Io(cause) => Fault::Lost(cause.to_string()),
            ureq::Error::HostNotFound => Fault::Lost("the host was not found".into()),
            ureq::Error::ConnectionFailed => Fault::Lost("no connection".into()),
            other => Fault::Hopeless(other.to_string().replace(&self.url, &self.host)),
        }
    }
}
