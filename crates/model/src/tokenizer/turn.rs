//! How an assistant's turn begins and ends, found by asking the chat template.
//!
//! Promise: one rule for training and generation. The token that the template writes after an assistant's turn ends
//! it; supervised training learns that one, and generation stops at it and at every end of text that the folder names.
//! Takes: a tokenizer with its template. Gives: stop ids, prompts and supervised examples as token ids.
//!
//! An instruction of the role `system` must reach the model. Templates that refuse such a message, or leave it out
//! without a word, get it at the head of the first question.

use super::{Message, Tokenizer};
use crate::error::{ModelError, Result};

/// Texts that no template takes for anything else. Those of a pair have one length and begin and end with other letters,
/// so that two renderings differ wherever the text is written, trimmed or in other case as it may be. The answers hold
/// what templates escape, to see whether this one does.
const QUESTION: &str = "Qquestion7";
const ANSWERS: [&str; 2] = ["Qanswer \"'<&>\\\n s7", "Zbcktmd \"'<&>\\\n k4"];
const INSTRUCTIONS: [&str; 2] = ["Qinstruction7", "Zbefehlywpgk4"];

/// What becomes of a system message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemRole {
    /// The template writes it.
    #[default]
    Written,
    /// The template refuses it: it is put at the head of the first question.
    Refused,
    /// The template leaves it out: it is put at the head of the first question.
    LeftOut,
}

/// What the template told.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// The first added token behind the answer, and all text up to its end.
    end: Option<(u32, String)>,
    /// Whether the template writes another text for an answer than the answer itself.
    rewrites: bool,
    /// Why the template rendered no answer, in its own words.
    refusal: Option<String>,
    system: SystemRole,
    stop_ids: Vec<u32>,
}

impl Turn {
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let answered = answered(tokenizer);
        let (written, refusal) = match &answered {
            Ok(texts) => (Written::of(texts), None),
            Err(ModelError::NoChatTemplate) => (None, None),
            Err(ModelError::ChatTemplate { reason, .. }) => (None, Some(reason.clone())),
            Err(error) => (None, Some(error.to_string())),
        };
        let end = written.as_ref().and_then(|written| first_added(tokenizer, written.behind));
        let rewrites = written.is_some_and(|written| written.rewritten);
        let end_id = end.as_ref().map(|(id, _)| *id).filter(|id| tokenizer.check_id(*id).is_ok());
        let stop_ids = super::distinct(end_id.into_iter().chain(tokenizer.eos_ids.iter().copied()).collect());
        Self { end, rewrites, refusal, system: system_role(tokenizer), stop_ids }
    }
}

/// A question with each of two answers, under an instruction if the template takes none without.
///
/// Errors: those of the chat without an instruction.
fn answered(tokenizer: &Tokenizer) -> Result<[String; 2]> {
    let under = |instruction: &[Message]| {
        let text = |answer: &str| {
            let turns = [Message::user(QUESTION), Message::assistant(answer)];
            tokenizer.probe(&[instruction, &turns].concat(), false)
        };
        Ok([text(ANSWERS[0])?, text(ANSWERS[1])?])
    };
    under(&[]).or_else(|error| under(&[Message::new("system", INSTRUCTIONS[0])]).map_err(|_| error))
}

/// How a template wrote an answer.
struct Written<'a> {
    /// All text behind it.
    behind: &'a str,
    rewritten: bool,
}

impl<'a> Written<'a> {
    /// What two chats that differ in the answer have in common at the end; nothing if they are the same.
    fn of([text, other]: &'a [String; 2]) -> Option<Self> {
        if text == other {
            return None;
        }
        let same = text.chars().rev().zip(other.chars().rev()).take_while(|(one, other)| one == other);
        let bytes: usize = same.map(|(one, _)| one.len_utf8()).sum();
        Some(Self { behind: &text[text.len() - bytes..], rewritten: !text.contains(ANSWERS[0]) })
    }
}

/// The first added token in a text, and the text up to its end.
fn first_added(tokenizer: &Tokenizer, text: &str) -> Option<(u32, String)> {
    let added = tokenizer.inner.get_added_tokens_decoder();
    let found = added.iter().filter_map(|(id, token)| Some((text.find(&token.content)?, *id, &token.content)));
    // Of tokens that begin at the same place the tokenizer takes the longest.
    let first = found.min_by_key(|(at, id, content)| (*at, usize::MAX - content.len(), *id));
    first.map(|(at, id, content)| (id, text[..at + content.len()].to_owned()))
}

fn system_role(tokenizer: &Tokenizer) -> SystemRole {
    let question = [Message::user(QUESTION)];
    if tokenizer.probe(&question, true).is_err() {
        return SystemRole::Written; // it takes no plain question either, and will say so itself
    }
    let under = |text| tokenizer.probe(&[Message::new("system", text), Message::user(QUESTION)], true);
    match INSTRUCTIONS.map(under) {
        [Ok(one), Ok(other)] if one == other => SystemRole::LeftOut,
        [Ok(_), Ok(_)] => SystemRole::Written,
        _ => SystemRole::Refused,
    }
}

impl Tokenizer {
    /// What becomes of a system message in [`Self::chat_prompt`] and [`Self::chat_example`].
    pub fn system_role(&self) -> SystemRole {
        self.turn.system
    }

    /// The token that the template writes after an assistant's turn; nothing if it writes no token there.
    pub fn turn_end(&self) -> Option<u32> {
        self.turn.end.as_ref().map(|(id, _)| *id)
    }

    /// Why the template renders no question with an answer, in its own words: then nobody knows what ends a turn.
    pub fn turn_refusal(&self) -> Option<&str> {
        self.turn.refusal.as_deref()
    }

    /// Ids that end a completion: the end of an assistant's turn by the template, and every end of text that
    /// generation_config.json, config.json or the tokenizer names.
    pub fn stop_ids(&self) -> &[u32] {
        &self.turn.stop_ids
    }

    /// The token that ends a completion in training: of a chat the end of the turn, else the tokenizer's `eos_token`,
    /// else the first end of text that a configuration names. Nothing if there is none.
    ///
    /// Errors: `TokenOutsideModel`.
    pub fn end_id(&self, chat: bool) -> Result<Option<u32>> {
        let of_turn = self.turn_end().filter(|_| chat);
        let named = || self.special.get("eos_token").and_then(|token| self.token_id(token));
        let end = of_turn.or_else(named).or_else(|| self.eos_ids.first().copied());
        end.map_or(Ok(()), |id| self.check_id(id))?;
        Ok(end)
    }

    /// Token ids of a plain text and of its continuation with what ends it, if anything does.
    ///
    /// Errors: those of [`Self::encode`].
    pub fn text_example(&self, prompt: &str, answer: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let mut completion = self.encode_bare(answer)?;
        completion.extend(self.end_id(false)?);
        Ok((self.encode(prompt)?, completion))
    }

    /// Token ids of a chat, the assistant's turn opened. A system message that the template would refuse or leave out
    /// stands at the head of the first question.
    ///
    /// Errors: those of [`Self::apply_chat_template`] and [`Self::encode`].
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        self.encode_bare(&self.chat_text(messages, true)?)
    }

    /// The text of a chat, with the system message where the template takes it.
    ///
    /// Errors: those of [`Self::apply_chat_template`].
    pub fn chat_text(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        match self.turn.system {
            SystemRole::Written => self.apply_chat_template(messages, add_generation_prompt),
            SystemRole::Refused | SystemRole::LeftOut => {
                self.apply_chat_template(&folded(messages), add_generation_prompt)
            }
        }
    }

    /// Token ids of a chat and of the assistant's answer to it, as the template writes the answer, its end included.
    ///
    /// The answer is what the whole chat has beyond the opened prompt, up to the token that ends the turn. Where a
    /// template writes past turns otherwise than it opens new ones, the answer's own text follows the prompt.
    ///
    /// Errors: those of [`Self::chat_prompt`]; `NoEnd` if no token ends the turn; `ChatTemplate` if the template did
    /// not tell what does.
    pub fn chat_example(&self, messages: &[Message], answer: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let opened = self.chat_text(messages, true)?;
        let whole: Vec<Message> = messages.iter().cloned().chain([Message::assistant(answer)]).collect();
        let whole = self.chat_text(&whole, false)?;
        let prompt = self.encode_bare(&opened)?;
        if let Some(refusal) = &self.turn.refusal {
            let reason = format!("what ends a turn is unknown, since a question with an answer fails: {refusal}");
            return Err(ModelError::ChatTemplate { reason, fault: None });
        }
        let (end, behind) = match &self.turn.end {
            Some((id, behind)) => (*id, behind.as_str()),
            None => (self.end_id(true)?.ok_or(ModelError::NoEnd)?, ""),
        };
        let written = whole.strip_prefix(&opened).and_then(|rest| {
            let at = match rest.rfind(answer.trim()) {
                Some(at) => at + answer.trim().len(),
                None if self.turn.rewrites => rest.rfind(behind)?,
                None => return None,
            };
            Some(rest[..at + rest[at..].find(behind)? + behind.len()].to_owned())
        });
        let text = written.unwrap_or_else(|| format!("{answer}{behind}"));
        let joint = self.encode_bare(&format!("{opened}{text}"))?;
        let mut completion = match joint.strip_prefix(prompt.as_slice()) {
            Some(completion) => completion.to_vec(),
            None => self.encode_bare(&text)?,
        };
        if completion.last() != Some(&end) {
            self.check_id(end)?;
            completion.push(end);
        }
        Ok((prompt, completion))
    }
}

/// The messages with the first, of the role `system`, at the head of the first question.
fn folded(messages: &[Message]) -> Vec<Message> {
    let Some((system, rest)) = messages.split_first().filter(|(first, _)| first.role == "system") else {
        return messages.to_vec();
    };
    let mut rest = rest.to_vec();
    match rest.iter_mut().find(|message| message.role == "user") {
        Some(question) => question.content = format!("{}\n\n{}", system.content, question.content),
        None => rest.insert(0, Message::user(&system.content)),
    }
    rest
}
