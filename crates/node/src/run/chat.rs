//! What a chat template is told, and what a person is told of it.
//!
//! Promise: a template sees no clock. The date that it may ask for is the run file's; a run that names none writes
//! down the day on which it begins, so that all parties, and who checks it later, build the same prompts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use jinja::{Date, Value};
use model::{ChatArgs, SystemRole, Tokenizer};

use super::prompting::{Prompting, RunTask};
use crate::config::{ModelSection, RunConfig, TEMPLATE_NAMES, TaskEntry};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Names and date of `[model] template_args` and `template_date`.
///
/// Errors: a date or time among the arguments, or a `template_date` that is none.
pub fn args(section: &ModelSection) -> Result<ChatArgs> {
    let names = section.template_args.iter().map(|(name, value)| {
        let value = from_toml(value).with_context(|| format!("model.template_args.{name}"))?;
        Ok((name.clone(), value))
    });
    let date = section.template_date.as_deref().map(str::parse).transpose().context("model.template_date")?;
    Ok(ChatArgs { names: names.collect::<Result<_>>()?, date })
}

fn from_toml(value: &toml::Value) -> Result<Value> {
    Ok(match value {
        toml::Value::String(text) => Value::text(text.as_str()),
        toml::Value::Integer(number) => Value::Int(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(value) => Value::Bool(*value),
        toml::Value::Datetime(date) => bail!("{date} is a date: a template takes it as text, in quotes"),
        toml::Value::Array(items) => Value::list(items.iter().map(from_toml).collect::<Result<_>>()?)?,
        toml::Value::Table(table) => {
            let pairs = table.iter().map(|(name, value)| Ok((Value::text(name.as_str()), from_toml(value)?)));
            Value::dict(pairs.collect::<Result<_>>()?)?
        }
    })
}

/// `KEY=VALUE` of the command line. A value that is no TOML is a text.
///
/// Errors: without a key or a value, with a value that no template takes, or with a name that each chat fills in.
pub fn argument(text: &str) -> Result<(String, Value)> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).context("expected KEY=VALUE")?;
    ensure!(!TEMPLATE_NAMES.contains(&name), "the name must be another than {}", TEMPLATE_NAMES.join(" and "));
    let parsed = format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    let value = parsed.map_or_else(|| Ok(Value::text(value)), |value| from_toml(&value))?;
    Ok((name.to_owned(), value))
}

/// A new run keeps the day on which it began, if a chat template may ask for it and the run file names none.
pub fn keep_date(config: &mut RunConfig) {
    let chats = config.model.random.is_none() && config.tasks.iter().any(TaskEntry::may_chat);
    if chats && config.model.template_date.is_none() {
        config.model.template_date = Some(today().to_string());
    }
}

/// The day at UTC.
pub fn today() -> Date {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let days = u32::try_from(since.as_secs() / SECONDS_PER_DAY).unwrap_or(0);
    // A clock set centuries ahead or behind is the only way to miss.
    Date::from_unix_days(days).or_else(|| Date::from_unix_days(0)).expect("1970-01-01 is a date")
}

/// What a person should know of how this model's chats are built.
pub fn notes(prompting: &Prompting) -> Vec<String> {
    let chats = || prompting.tasks().iter().filter(|entry| entry.chat);
    let tokenizer = prompting.tokenizer();
    let mut notes = Vec::new();
    if chats().next().is_some() {
        notes.extend(turn_note(tokenizer));
        notes.extend(date_note(tokenizer));
    }
    if chats().any(RunTask::has_instruction) {
        notes.extend(system_note(tokenizer));
    }
    notes
}

/// Said where the template does not end a turn with a token, or does not tell.
pub fn turn_note(tokenizer: &Tokenizer) -> Option<String> {
    let end = || match tokenizer.end_id(true) {
        Ok(Some(id)) => format!("turns end with {:?}", tokenizer.decode_all(&[id]).unwrap_or_default()),
        Ok(None) => "nothing ends a turn but its length".to_owned(),
        Err(error) => error.to_string(),
    };
    if !tokenizer.has_chat_template() || tokenizer.turn_end().is_some() {
        return None;
    }
    Some(match tokenizer.turn_refusal() {
        Some(refusal) => format!(
            "what the chat template writes after an assistant's turn is unknown, since a question with an answer \
             fails ({refusal}): {}",
            end()
        ),
        None => format!("the chat template writes no token after an assistant's turn: {}", end()),
    })
}

/// Said where the template writes the date.
pub fn date_note(tokenizer: &Tokenizer) -> Option<String> {
    let date = tokenizer.chat_date().filter(|_| tokenizer.asks_for_date())?;
    Some(format!("the chat template asks for the date and is told {date}"))
}

/// Said where a system message goes into the first question.
pub fn system_note(tokenizer: &Tokenizer) -> Option<String> {
    let what = match tokenizer.system_role() {
        SystemRole::Written => return None,
        SystemRole::Refused => "refuses",
        SystemRole::LeftOut => "leaves out",
    };
    Some(format!("the chat template {what} system messages: the instruction stands at the head of the first question"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_run_file_keep_their_kinds() {
        let text = "template_args = { enable_thinking = false, effort = 'low', list = [1, 2.5], table = { a = true } }";
        let section: ModelSection = toml::from_str(text).unwrap();
        let names = args(&section).unwrap().names;
        let value = |name: &str| names.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!(value("enable_thinking"), Value::Bool(false));
        assert_eq!(value("effort"), Value::text("low"));
        assert_eq!(value("list"), Value::list(vec![Value::Int(1), Value::Float(2.5)]).unwrap());
        assert_eq!(value("table"), Value::dict(vec![(Value::text("a"), Value::Bool(true))]).unwrap());
    }

    #[test]
    fn an_argument_of_the_command_line_is_toml_or_text() {
        assert_eq!(argument("enable_thinking=false").unwrap(), ("enable_thinking".into(), Value::Bool(false)));
        assert_eq!(argument("effort=low = high").unwrap(), ("effort".into(), Value::text("low = high")));
        assert_eq!(argument("n=3").unwrap().1, Value::Int(3));
        assert!(argument("effort").is_err() && argument("=1").is_err());
        for name in ["messages=1", "add_generation_prompt=false"] {
            assert!(argument(name).unwrap_err().to_string().contains("add_generation_prompt"), "{name}");
        }
    }

    #[test]
    fn tables_keep_the_order_in_which_they_were_written() {
        let written = "{ b = 1, c = { z = 1, y = [{ q = 1, p = 2 }] }, a = 2 }";
        let rendered = |value: &Value| {
            let template = jinja::Template::parse("{{ x }} {{ x | tojson }} {{ x.items() | list }}").unwrap();
            template.render(&[("x".to_owned(), value.clone())], None).unwrap().text
        };
        let truth = "{'b': 1, 'c': {'z': 1, 'y': [{'q': 1, 'p': 2}]}, 'a': 2}";
        let given = argument(&format!("x={written}")).unwrap().1;
        assert!(rendered(&given).starts_with(truth), "{}", rendered(&given));
        let file = [
            format!(
                "[model]\nhub = 'a/b'\ntemplate_args = {{ x = {written}, n = 1 }}\n[[tasks]]\ntype = 'spell-backward'"
            ),
            format!(
                "[model.random]\nhidden = 32\n[model.template_args]\nx = {written}\n[[tasks]]\ntype = 'spell-backward'"
            ),
        ];
        for text in file {
            let resolved = |text: &str| {
                let mut layers = crate::config::Layers::default();
                layers.add_text("test", text).unwrap();
                crate::config::from_layers(&layers).unwrap()
            };
            let config = resolved(&text);
            let again = resolved(&config.to_toml().unwrap());
            assert_eq!(again, config);
            for config in [config, again] {
                let (_, value) = args(&config.model).unwrap().names.into_iter().find(|(name, _)| name == "x").unwrap();
                assert_eq!(rendered(&value), rendered(&given));
            }
        }
    }

    #[test]
    fn dates_are_texts_and_must_be_days() {
        let fault = |text: &str| format!("{:#}", args(&toml::from_str(text).unwrap()).unwrap_err());
        let quoted = fault("template_args = { today = 2025-01-01 }");
        assert!(quoted.contains("template_args.today") && quoted.contains("in quotes"), "{quoted}");
        let none = fault("template_date = '2025-02-30'");
        assert!(none.contains("template_date") && none.contains("2025-02-30"), "{none}");
    }
}
