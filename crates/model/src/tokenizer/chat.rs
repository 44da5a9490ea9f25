//! Chat templates: Jinja, as transformers renders it.
//!
//! Promise: the text that `apply_chat_template(..., tokenize=False)` gives, or a named error;
//! a template cannot run forever, nor see the clock or the disk.

use std::collections::BTreeMap;

use minijinja::{Environment, Error, ErrorKind, syntax::SyntaxConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{ModelError, Result};

/// Steps of the template engine before it gives up. The Qwen3 template takes about 100 a message.
const FUEL: u64 = 50_000_000;

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`, as the template knows them.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// A turn of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".into(), content: content.into() }
    }
}

/// The template inside tokenizer_config.json: a text, or a list of named ones with a `default`.
pub(super) fn template_of(settings: &Map<String, Value>) -> Option<String> {
    match settings.get("chat_template")? {
        Value::String(template) => Some(template.clone()),
        Value::Array(list) => {
            let default = list.iter().find(|entry| entry["name"] == "default")?;
            default["template"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

pub(super) fn render(
    template: &str,
    messages: &[Message],
    add_generation_prompt: bool,
    special: &BTreeMap<String, String>,
) -> Result<String> {
    let mut context = json!(special);
    context["messages"] = json!(messages);
    context["add_generation_prompt"] = json!(add_generation_prompt);
    let environment = environment().map_err(named)?;
    environment.render_str(template, minijinja::Value::from(minijinja::value::Serde(context))).map_err(named)
}

/// The settings of transformers' `_compile_jinja_template`.
fn environment() -> std::result::Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_fuel(Some(FUEL));
    environment.add_function("raise_exception", |message: String| -> std::result::Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    Ok(environment)
}

fn named(error: Error) -> ModelError {
    ModelError::ChatTemplate { reason: format!("{error:#}") }
}
