//! Turns of a conversation, as data sets write them down.
//!
//! Promise: a list of messages is understood whole or refused with the place of the first message
//! that is not. Read are `{role, content}` (OpenAI, TRL, verl) and `{from, value}` (ShareGPT); a
//! content is a text or a list of text parts, which are joined.

use serde::{Deserialize, Serialize};

use crate::json::{self, Found};
use crate::{LineFault, MessageFault};

/// The most messages of one row, and the most parts of one message.
const MAX_MESSAGES: usize = 1024;
/// Keys that a chat template may read and that no text stands for: a message with one of them says
/// more than its content.
const KEYS_WITH_MEANING: [&str; 10] = [
    "tool_calls",
    "tool_call_id",
    "function_call",
    "name",
    "reasoning_content",
    "reasoning",
    "thinking",
    "images",
    "audio",
    "refusal",
];

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// Who asks.
    User,
    /// Who answers.
    Assistant,
}

impl Role {
    /// The word that chat templates know.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "system" => Self::System,
            "user" | "human" => Self::User,
            "assistant" | "gpt" | "chatgpt" => Self::Assistant,
            _ => return None,
        })
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text.
    pub content: String,
}

/// The messages of a JSON list; `field` is for the refusal.
/// Errors: `TooManyMessages`, `Message` with its place, `BadJson`.
pub(crate) fn read(field: &str, list: &str) -> Result<Vec<Message>, LineFault> {
    let mut messages = Vec::new();
    json::elements(list, LineFault::bad_json, |at, value| {
        if at == MAX_MESSAGES {
            return Err(LineFault::TooManyMessages { field: field.to_owned(), limit: MAX_MESSAGES });
        }
        let fault = |fault| LineFault::Message { field: field.to_owned(), place: at + 1, fault };
        messages.push(one(value).map_err(fault)?);
        Ok(())
    })?;
    Ok(messages)
}

/// One `{role, content}` or `{from, value}`.
fn one(value: &str) -> Result<Message, MessageFault> {
    if json::kind(value) != "an object" {
        return Err(MessageFault::NotAMessage { found: json::kind(value) });
    }
    let names: Vec<&str> = ["role", "content", "from", "value"].into_iter().chain(KEYS_WITH_MEANING).collect();
    let found = json::fields(value, &names).map_err(MessageFault::bad_json)?;
    let mut given = Vec::with_capacity(names.len());
    for (name, found) in names.iter().zip(found) {
        given.push(match found {
            Found::Twice => return Err(MessageFault::KeyTwice { key: (*name).to_owned() }),
            // `datasets` writes a null for every key that another message of the file has.
            Found::Once("null") | Found::Nothing => None,
            Found::Once(value) => Some(value),
        });
    }
    let means = |value: &&str| !matches!(*value, "\"\"" | "[]" | "{}" | "false");
    if let Some(at) = given[4..].iter().position(|value| value.as_ref().is_some_and(means)) {
        return Err(MessageFault::UnreadKey { key: KEYS_WITH_MEANING[at].to_owned() });
    }
    let (role, content) = match (given[0], given[1], given[2], given[3]) {
        (role, content, None, None) => (("role", role), ("content", content)),
        (None, None, from, value) => (("from", from), ("value", value)),
        _ => return Err(MessageFault::TwoForms),
    };
    let word = text(role.0, role.1)?;
    let role = Role::read(&word).ok_or(MessageFault::UnknownRole { given: shortened(&word) })?;
    Ok(Message { role, content: content_of(content.0, content.1)? })
}

fn text(key: &'static str, value: Option<&str>) -> Result<String, MessageFault> {
    let value = value.ok_or(MessageFault::MissingKey { key })?;
    if json::kind(value) != "text" {
        return Err(MessageFault::KeyNotText { key, found: json::kind(value) });
    }
    json::text(value).map_err(|message| MessageFault::BadText { key, message })
}

/// A text, or text parts put together: `"a"` or `[{"type": "text", "text": "a"}, …]`.
fn content_of(key: &'static str, value: Option<&str>) -> Result<String, MessageFault> {
    let Some(list) = value.filter(|value| json::kind(value) == "a list") else {
        return text(key, value);
    };
    let mut content = String::new();
    json::elements(list, MessageFault::bad_json, |at, part| {
        content += &part_of(at, part)?;
        Ok(())
    })?;
    Ok(content)
}

fn part_of(at: usize, part: &str) -> Result<String, MessageFault> {
    let not_text = |kind: String| MessageFault::PartNotText { part: at + 1, given: shortened(&kind) };
    if at == MAX_MESSAGES {
        return Err(MessageFault::TooManyParts { limit: MAX_MESSAGES });
    }
    if json::kind(part) != "an object" {
        return Err(not_text(json::kind(part).to_owned()));
    }
    match json::fields(part, &["type", "text"]).map_err(MessageFault::bad_json)?[..] {
        [Found::Once("\"text\""), Found::Once(value)] => text("text", Some(value)),
        [Found::Once(kind), _] => Err(not_text(kind.to_owned())),
        _ => Err(not_text("a part without a type".to_owned())),
    }
}

/// A stranger's word, cut for a message.
fn shortened(word: &str) -> String {
    word.chars().take(40).collect()
}

/// The conversation as one text, for people and for telling prompts apart: a lone turn of the user
/// is its content, else every turn begins on a line of its own with its role.
pub(crate) fn transcript(messages: &[Message]) -> String {
    match messages {
        [Message { role: Role::User, content }] => content.clone(),
        _ => {
            let turn = |message: &Message| format!("{}: {}", message.role.as_str(), message.content);
            messages.iter().map(turn).collect::<Vec<_>>().join("\n")
        }
    }
}
