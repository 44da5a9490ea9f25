//! `essaim chat`: a talk with a model, line by line.
//!
//! Promise: the text appears while it is made; a chat too long for the model loses its oldest turns
//! and says so; Ctrl-C and Ctrl-D end it, Ctrl-C with what has been said so far.
//! Takes: one line per turn from standard input. Gives: replies on standard output, notes and the
//! mark `> ` on standard error.

use super::completer::{Completer, PromptError};
use super::generate::word;
use crate::cli::ChatArgs;
use crate::context::Context;
use crate::ending::Ending;
use crate::signal::Stop;
use anyhow::{Context as _, Result, bail, ensure};
use engine::{Completion, Engine, Request, Sampling};
use model::{InferenceModel, Message};
use protocol::FinishReason;
use record::output;
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Longest line of a turn.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// How long a wait for a line lasts before the stop flag is looked at.
const TICK: Duration = Duration::from_millis(50);
/// Tokens asked of the engine at a time, since it gives only finished completions. The next part
/// goes on from the cache, except for the last block, and its noise depends on seed and position
/// alone: the parts are the reply that one request would have given.
const PART_TOKENS: usize = 8;

/// A reply as `--json` prints it, on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    role: &'static str,
    content: &'a str,
    finish: &'static str,
}

/// Talks until the input ends or a person ends it.
pub(crate) fn chat(args: &ChatArgs, context: &Context) -> Result<Ending> {
    let (completer, model) =
        Completer::open(&args.model, context.global.device.as_deref(), &args.sampling, &args.compute)?;
    let mut talk = Talk::new(args, context, completer, model)?;
    let interactive = std::io::stdin().is_terminal();
    context.stop.on_signals_quietly()?;
    let lines = lines();
    loop {
        if interactive && !context.global.quiet {
            output::ask("> ")?;
        }
        let Some(line) = next_line(&lines, &context.stop)? else {
            break;
        };
        if line.trim().is_empty() {
            continue;
        }
        match talk.turn(&line) {
            // At a terminal the person can say it differently.
            Err(error) if interactive => output::note(&format!("error: {}", output::message(&error))),
            answered => answered?,
        }
        if context.stop.is_requested() || output::is_closed() {
            break;
        }
    }
    if interactive {
        output::note("");
    }
    Ok(if context.stop.is_requested() { Ending::Interrupted } else { Ending::Done })
}

/// Standard input on a thread of its own, because a signal does not end a read.
fn lines() -> Receiver<Result<String>> {
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        // Ends with the input, with an error, or when nobody listens any more.
        while let Some(line) = read_line(&mut input).transpose() {
            let failed = line.is_err();
            if send.send(line).is_err() || failed {
                return;
            }
        }
    });
    receive
}

/// A line without its end; `None` at the end of the input.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    let given = input.take(LINE_BYTES_MAX + 1).read_line(&mut line).context("cannot read standard input")?;
    ensure!(given as u64 <= LINE_BYTES_MAX, "the line is too long: limit {LINE_BYTES_MAX} bytes");
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok((given > 0).then_some(line))
}

fn next_line(lines: &Receiver<Result<String>>, stop: &Stop) -> Result<Option<String>> {
    while !stop.is_requested() {
        match lines.recv_timeout(TICK) {
            Ok(line) => return line.map(Some),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(None)
}

struct Talk {
    completer: Completer,
    engine: Engine,
    /// System message first, if there is one; then user and assistant in turn.
    messages: Vec<Message>,
    templated: bool,
    /// Turns so far; each has noise of its own.
    turns: u64,
    /// Requests made of the engine.
    requests: u64,
    json: bool,
    stop: Stop,
}

/// What the model said.
struct Reply {
    text: String,
    finish: FinishReason,
}

impl Talk {
    fn new(args: &ChatArgs, context: &Context, completer: Completer, model: InferenceModel) -> Result<Self> {
        let templated = completer.tokenizer().has_chat_template();
        if !templated {
            ensure!(args.system.is_none(), "--system: {} has no chat template to put it into", args.model);
            output::note(&format!(
                "note: {} has no chat template: each line is continued as plain text, on its own",
                args.model
            ));
        }
        if templated && !context.global.quiet {
            completer.chat_notes(args.system.is_some()).iter().for_each(|note| output::note(&format!("note: {note}")));
        }
        let system = args.system.iter().map(|text| message("system", text));
        Ok(Self {
            messages: system.collect(),
            engine: completer.engine(model, 1, completer.context_max())?,
            completer,
            templated,
            turns: 0,
            requests: 0,
            json: context.global.json,
            stop: context.stop.clone(),
        })
    }

    /// Answers one line. After an error the chat is as it was before the line.
    fn turn(&mut self, line: &str) -> Result<()> {
        let before = self.messages.clone();
        let answered = self.answer(line);
        if answered.is_err() {
            self.messages = before;
        }
        answered
    }

    fn answer(&mut self, line: &str) -> Result<()> {
        self.messages.push(message("user", line));
        let prompt = self.prompt()?;
        let reply = self.reply(prompt)?;
        if self.json {
            let line = Line { role: "assistant", content: &reply.text, finish: word(reply.finish) };
            output::print_line(&serde_json::to_string(&line)?)?;
        } else {
            output::print("\n")?;
        }
        self.messages.push(message("assistant", &reply.text));
        self.turns += 1;
        Ok(())
    }

    /// Token ids of the chat, the oldest turns left out until an answer fits behind them.
    fn prompt(&mut self) -> Result<Vec<u32>> {
        let number = self.turns + 1;
        if !self.templated {
            let line = self.messages.pop().context("a turn without a line")?;
            self.messages.clear();
            return self.completer.encode(number, &line.content, false);
        }
        // A reply may be cut short by the context, but not to less than half of it.
        let context = self.completer.context_max();
        let room = self.completer.sampling().max_new_tokens.min(context / 2);
        let mut dropped = 0;
        loop {
            let text = self.completer.tokenizer().chat_text(&self.messages, true)?;
            let encoded = self.completer.encode(number, &text, true);
            let long = match &encoded {
                Ok(tokens) => tokens.len() + room > context,
                Err(error) => matches!(error.downcast_ref(), Some(PromptError::TooLong { .. })),
            };
            if !long || !self.drop_oldest_turn() {
                if dropped > 0 {
                    output::note(&format!(
                        "note: the chat is longer than the model's context of {context} tokens: the oldest {dropped} turns are forgotten"
                    ));
                }
                return encoded;
            }
            dropped += 1;
        }
    }

    /// Removes the oldest question with its answer; false if only the newest question is left.
    fn drop_oldest_turn(&mut self) -> bool {
        let first = usize::from(self.messages.first().is_some_and(|message| message.role == "system"));
        let has_older = self.messages.len() > first + 2;
        if has_older {
            self.messages.drain(first..first + 2);
        }
        has_older
    }

    /// Lets the model answer, printing the text as it grows.
    fn reply(&mut self, prompt: Vec<u32>) -> Result<Reply> {
        let begin = prompt.len();
        let length_max =
            prompt.len().saturating_add(self.completer.sampling().max_new_tokens).min(self.completer.context_max());
        let mut tokens = prompt;
        let mut shown = 0;
        loop {
            let part = self.part(&tokens, PART_TOKENS.min(length_max - tokens.len()))?;
            tokens.extend(&part.tokens);
            let (text, stopped) = self.completer.visible(&tokens[begin..])?;
            let stops = &self.completer.sampling().stop_strings;
            let finish = match part.finish {
                _ if stopped => Some(FinishReason::StopString),
                FinishReason::Length if tokens.len() < length_max => None,
                finish => Some(finish),
            };
            let end = if finish.is_some() { text.len() } else { settled(&text, stops) };
            if let Some(new) = text.get(shown..end).filter(|_| !self.json) {
                output::print(new)?;
            }
            shown = shown.max(end);
            if let Some(finish) = finish {
                return Ok(Reply { text, finish });
            }
        }
    }

    /// The next `count` tokens at most. Stop strings may span parts, so the caller looks for them.
    fn part(&mut self, tokens: &[u32], count: usize) -> Result<Completion> {
        let id = self.requests;
        self.requests += 1;
        self.engine.submit(Request {
            id,
            prompt: tokens.into(),
            seeds: vec![self.completer.seed(self.turns, 0)],
            sampling: Sampling { max_new_tokens: count, stop_strings: Vec::new(), ..self.completer.sampling().clone() },
            want_hidden: false,
            weight_version: None,
        })?;
        while !self.engine.is_idle() {
            if self.stop.is_requested() || output::is_closed() {
                self.engine.cancel(id);
            }
            if let Some(completion) = self.engine.step()?.pop() {
                return Ok(completion);
            }
        }
        bail!("the engine lost request {id}")
    }
}

/// How much of an unfinished text can be shown: neither a letter of which bytes are missing, nor
/// what may become a stop string.
fn settled(text: &str, stops: &[String]) -> usize {
    let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let is_beginning = |from: usize| stops.iter().any(|stop| stop.starts_with(&whole[from..]));
    let mut beginnings = whole.char_indices().map(|(at, _)| at).filter(|&at| is_beginning(at));
    beginnings.next().unwrap_or(whole.len())
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_become_a_stop_string_is_held_back() {
        let stops = ["###".to_owned(), "end".to_owned()];
        assert_eq!(settled("a b", &stops), 3);
        assert_eq!(settled("a #", &stops), 2);
        assert_eq!(settled("a ##", &stops), 2);
        assert_eq!(settled("a e", &stops), 2);
        assert_eq!(settled("a ex", &stops), 4);
        // The first two bytes of a letter of three.
        assert_eq!(settled("a\u{fffd}", &[]), 1);
    }

    #[test]
    fn lines_end_with_the_input_and_have_a_limit() {
        let mut input = "one\r\n\ntwo".as_bytes();
        let mut next = || read_line(&mut input).unwrap();
        assert_eq!(next().as_deref(), Some("one"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("two"));
        assert_eq!(next(), None);
        let endless = read_line(&mut std::io::BufReader::new(std::io::repeat(b'a'))).unwrap_err();
        assert!(endless.to_string().contains("limit 1048576 bytes"), "{endless}");
    }
}
