//! `essaim generate`: prompts from the command line, completions on standard output.
//!
//! Promise: completions come in the order of the prompts, then of the samples; the same model,
//! prompts and seed give the same text.

use super::completer::{Completer, PromptError};
use super::progress::Progress;
use crate::cli::GenerateArgs;
use crate::context::Context;
use crate::ending::Ending;
use crate::ending::WrongUsage;
use anyhow::{Context as _, Result, ensure};
use engine::{Completion, Request};
use model::Message;
use protocol::FinishReason;
use record::output;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;

/// Longest prompt that is read from standard input.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// One completion as `--json` prints it, on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    /// As it was given.
    prompt: &'a str,
    /// Which sample of the prompt, from 0.
    sample: u32,
    /// Without special tokens and stop string.
    completion: &'a str,
    /// All token ids of the completion.
    tokens: &'a [u32],
    /// Natural log of each token's probability, at the sampling temperature.
    logprobs: &'a [f32],
    /// `stop_token`, `stop_string` or `length`.
    finish: &'static str,
}

/// Completes the prompts.
pub(crate) fn generate(args: &GenerateArgs, context: &Context) -> Result<Ending> {
    let prompts = texts(&args.prompts, std::io::stdin().lock())?;
    let (completer, model) =
        Completer::open(&args.model, context.global.device.as_deref(), &args.sampling, &args.compute)?;
    if args.chat && !context.global.quiet {
        completer.chat_notes(false).iter().for_each(|note| output::note(&format!("note: {note}")));
    }
    let encoded = (0..)
        .zip(&prompts)
        .map(|(number, prompt)| encode(&completer, number, prompt, args.chat))
        .collect::<Result<Vec<_>>>()
        .map_err(|error| match error.is::<PromptError>() {
            true => WrongUsage::from(error.to_string()).into(),
            false => error,
        })?;
    let longest = encoded.iter().map(Vec::len).max().unwrap_or(0);
    let count = prompts.len() * args.samples as usize;
    let length = longest.saturating_add(args.sampling.max_new_tokens as usize);
    let mut engine = completer.engine(model, count, length)?;
    for (id, tokens) in (0..).zip(encoded) {
        engine.submit(Request {
            id,
            prompt: tokens.into(),
            seeds: (0..args.samples).map(|sample| completer.seed(id, sample)).collect(),
            sampling: completer.sampling().clone(),
            want_hidden: false,
            weight_version: None,
        })?;
    }
    let mut progress = Progress::new("tokens", None, context.global.quiet);
    let mut early = BTreeMap::new();
    let mut in_order =
        (0..prompts.len() as u64).flat_map(|id| (0..args.samples).map(move |sample| (id, sample))).peekable();
    while !engine.is_idle() && !output::is_closed() {
        for completion in engine.step()? {
            early.insert((completion.request, completion.sample_index), completion);
        }
        progress.set(engine.stats().sampled_tokens);
        while let Some(completion) = in_order.peek().and_then(|next| early.remove(next)) {
            in_order.next();
            let prompt = &prompts[completion.request as usize];
            let text = completer.text(&completion.tokens)?;
            progress.suspend(|| show(prompt, &text, &completion, count > 1, context))?;
        }
    }
    Ok(Ending::Done)
}

/// The prompts as given, `-` replaced by standard input without the line break at its end.
fn texts(given: &[String], input: impl Read) -> Result<Vec<String>> {
    let mut prompts = given.to_vec();
    let mut dashes = prompts.iter_mut().filter(|prompt| *prompt == "-");
    if let Some(dash) = dashes.next() {
        if dashes.next().is_some() {
            return Err(WrongUsage::from("`-` may be given once: standard input holds one prompt".to_owned()).into());
        }
        *dash = read(input)?;
    }
    Ok(prompts)
}

fn read(input: impl Read) -> Result<String> {
    let mut text = String::new();
    let given = input
        .take(INPUT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .context("cannot read a prompt from standard input")?;
    ensure!(given as u64 <= INPUT_BYTES_MAX, "the prompt on standard input is too long: limit {INPUT_BYTES_MAX} bytes");
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn encode(completer: &Completer, index: u64, prompt: &str, chat: bool) -> Result<Vec<u32>> {
    let number = index + 1;
    if !chat {
        return completer.encode(number, prompt, false);
    }
    let messages = [Message::user(prompt)];
    let text = completer.tokenizer().chat_text(&messages, true).context("--chat")?;
    completer.encode(number, &text, true)
}

fn show(prompt: &str, text: &str, completion: &Completion, several: bool, context: &Context) -> Result<()> {
    let sample = completion.sample_index;
    if context.global.json {
        let line = Line {
            prompt,
            sample,
            completion: text,
            tokens: &completion.tokens,
            logprobs: &completion.logprobs,
            finish: word(completion.finish),
        };
        output::print_line(&serde_json::to_string(&line)?)?;
    } else {
        if several && !context.global.quiet {
            output::print_line(&format!("--- prompt {}, sample {}", completion.request + 1, sample + 1))?;
        }
        output::print_line(text)?;
    }
    Ok(())
}

/// How a completion ended, as JSON says it.
pub(crate) fn word(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::StopToken => "stop_token",
        FinishReason::StopString => "stop_string",
        FinishReason::Length => "length",
        FinishReason::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(given: &[&str]) -> Vec<String> {
        given.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_dash_stands_for_standard_input_once() {
        let input = || "from a pipe\r\n".as_bytes();
        assert_eq!(texts(&words(&["a", "-"]), input()).unwrap(), ["a", "from a pipe"]);
        let twice = texts(&words(&["-", "-"]), input()).unwrap_err().to_string();
        assert!(twice.contains("once"), "{twice}");
    }

    #[test]
    fn input_that_is_no_text_or_too_long_is_refused() {
        let no_text = texts(&words(&["-"]), [0xff_u8, 0xfe].as_slice()).unwrap_err();
        assert!(format!("{no_text:#}").contains("standard input"), "{no_text:#}");
        let endless = texts(&words(&["-"]), std::io::repeat(b'a')).unwrap_err().to_string();
        assert!(endless.contains("limit 16777216 bytes"), "{endless}");
    }
}
