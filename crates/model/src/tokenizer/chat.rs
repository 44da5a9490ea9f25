//! Chat templates: which one a folder has, and what it is told.
//!
//! Promise: the text that `apply_chat_template(..., tokenize=False)` of transformers gives, or a named error; a
//! template cannot run forever, nor see the clock or the disk.

use std::{collections::BTreeMap, path::Path};

use jinja::{Date, Template};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CHAT_TEMPLATE, MORE_CHAT_TEMPLATES, Tokenizer, utf8};
use crate::error::{ModelError, Result};

/// The names under which the reasoning of a message is passed; templates read the first.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

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
        Self::new("user", content)
    }

    /// A turn of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// A turn of a role.
    pub fn new(role: &str, content: impl Into<String>) -> Self {
        Self { role: role.to_owned(), content: content.into() }
    }

    fn value(&self) -> jinja::Value {
        let pair = |name: &str, text: &str| (jinja::Value::text(name), jinja::Value::text(text));
        let made = jinja::Value::dict(vec![pair("role", &self.role), pair("content", &self.content)]);
        made.unwrap_or(jinja::Value::None) // two texts are neither deep nor unhashable
    }
}

/// What a template is told beside the messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatArgs {
    /// Names of the template and their values, such as `enable_thinking`.
    pub names: Vec<(String, jinja::Value)>,
    /// What `strftime_now` reads. Without it, a template that asks for the date is refused: a clock would give each
    /// party of a run another prompt.
    pub date: Option<Date>,
}

/// The template of a folder, and what it is told.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    /// Broken templates are refused when they are used, since not every use of a folder is a chat.
    template: Result<Template, String>,
    pub(super) args: ChatArgs,
}

impl Chat {
    /// chat_template.jinja and what lies in additional_chat_templates come before what tokenizer_config.json holds: a
    /// text, or a list of named ones. Of several, the one named `default` is taken.
    pub(super) fn of(
        files: &BTreeMap<String, Vec<u8>>,
        settings: &Map<String, Value>,
        folder: &Path,
    ) -> Result<Option<Self>> {
        let has_more = files.keys().any(|name| name.starts_with(MORE_CHAT_TEMPLATES));
        let default = format!("{MORE_CHAT_TEMPLATES}/default.jinja");
        let file = [default.as_str(), CHAT_TEMPLATE].into_iter().find_map(|name| Some((name, files.get(name)?)));
        let source = match (file, settings.get("chat_template")) {
            (Some((name, bytes)), _) => Ok(utf8(bytes, &folder.join(name))?),
            (None, _) if has_more => Err(format!("{MORE_CHAT_TEMPLATES} holds none named default")),
            (None, Some(Value::String(template))) => Ok(template.clone()),
            (None, Some(Value::Array(list))) => {
                let named = list.iter().find(|entry| entry["name"] == "default");
                let template = named.and_then(|entry| entry["template"].as_str()).map(str::to_owned);
                template.ok_or_else(|| "tokenizer_config.json names several, but none default".to_owned())
            }
            (None, Some(Value::Object(named))) => {
                let template = named.get("default").and_then(Value::as_str).map(str::to_owned);
                template.ok_or_else(|| "tokenizer_config.json names several, but none default".to_owned())
            }
            (None, _) => return Ok(None),
        };
        let template = source.and_then(|source| Template::parse(&source).map_err(|error| error.to_string()));
        Ok(Some(Self { template, args: ChatArgs::default() }))
    }
}

impl Tokenizer {
    /// The same tokenizer, whose chat template is told this beside the messages.
    #[must_use]
    pub fn with_chat_args(mut self, args: ChatArgs) -> Self {
        if let Some(chat) = &mut self.chat {
            chat.args = args;
        }
        self.turn = super::turn::Turn::of(&self);
        self
    }

    /// Whether the folder has a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.chat.is_some()
    }

    /// The date that the template is told.
    pub fn chat_date(&self) -> Option<Date> {
        self.chat.as_ref()?.args.date
    }

    /// Whether the template asks for the date. It is told by [`ChatArgs::date`].
    pub fn asks_for_date(&self) -> bool {
        let asks = |messages: &[Message]| {
            let told = self.render_dated(messages, true, |_| None);
            matches!(told, Err(ModelError::ChatTemplate { fault: Some(jinja::Fault::NoDate), .. }))
        };
        let question = Message::user("hi");
        asks(std::slice::from_ref(&question)) || asks(&[Message::new("system", "ho"), question])
    }

    /// The text of a chat by the folder's template; `add_generation_prompt` opens the assistant's turn.
    ///
    /// Errors: `NoChatTemplate`, `ChatTemplate` (broken, too long at work, or it refused the messages).
    pub fn apply_chat_template(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.apply_chat_template_to(&self.values(messages), None, add_generation_prompt).map(|made| made.text)
    }

    /// The same for messages with whatever keys, and tools. What the assistant wrote is marked where the template
    /// marks it with `generation`.
    ///
    /// Errors: as [`Self::apply_chat_template`]; `ChatTemplate` if a message is no dict.
    pub fn apply_chat_template_to(
        &self,
        messages: &[jinja::Value],
        tools: Option<&jinja::Value>,
        add_generation_prompt: bool,
    ) -> Result<jinja::Rendered> {
        let args = self.chat.as_ref().map(|chat| &chat.args).ok_or(ModelError::NoChatTemplate)?;
        self.render(messages, tools, add_generation_prompt, args)
    }

    /// A text of which only the shape counts: some day stands in for a date that is not given.
    pub(super) fn probe(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.render_dated(messages, add_generation_prompt, |date| date.or("2000-01-01".parse().ok()))
    }

    fn render_dated(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        date: impl FnOnce(Option<Date>) -> Option<Date>,
    ) -> Result<String> {
        let chat = self.chat.as_ref().ok_or(ModelError::NoChatTemplate)?;
        let args = ChatArgs { date: date(chat.args.date), ..chat.args.clone() };
        self.render(&self.values(messages), None, add_generation_prompt, &args).map(|made| made.text)
    }

    fn values(&self, messages: &[Message]) -> Vec<jinja::Value> {
        messages.iter().map(Message::value).collect()
    }

    fn render(
        &self,
        messages: &[jinja::Value],
        tools: Option<&jinja::Value>,
        add_generation_prompt: bool,
        args: &ChatArgs,
    ) -> Result<jinja::Rendered> {
        let chat = self.chat.as_ref().ok_or(ModelError::NoChatTemplate)?;
        let template = chat.template.as_ref().map_err(|reason| refused(reason.clone()))?;
        if messages.is_empty() {
            return Err(refused("there are no messages".into()));
        }
        let messages = messages.iter().map(prepared).collect::<Result<Vec<_>>>()?;
        let given = |name: &str| args.names.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let mut context = vec![
            ("messages".to_owned(), jinja::Value::list(messages).map_err(|fault| refused(fault.to_string()))?),
            ("tools".to_owned(), tools.cloned().or_else(|| given("tools")).unwrap_or(jinja::Value::None)),
            ("documents".to_owned(), given("documents").unwrap_or(jinja::Value::None)),
            ("add_generation_prompt".to_owned(), jinja::Value::Bool(add_generation_prompt)),
        ];
        context.extend(args.names.iter().cloned());
        context.extend(self.special.iter().map(|(name, token)| (name.clone(), jinja::Value::text(token.as_str()))));
        template
            .render(&context, args.date)
            .map_err(|error| ModelError::ChatTemplate { reason: error.to_string(), fault: Some(error.fault) })
    }
}

fn refused(reason: String) -> ModelError {
    ModelError::ChatTemplate { reason, fault: None }
}

/// A message as templates see it: keys without a value left out, the reasoning under all its names.
/// Source: `apply_chat_template` and `_alias_reasoning_fields` of transformers 5.23.
fn prepared(message: &jinja::Value) -> Result<jinja::Value> {
    let jinja::Value::Dict(given) = message else {
        return Err(refused("a message is no dict".into()));
    };
    let mut pairs: Vec<_> = given.pairs().iter().filter(|(_, value)| *value != jinja::Value::None).cloned().collect();
    let named = |name: &&str| given.get_text(name).filter(|value| **value != jinja::Value::None).cloned();
    if let Some(reasoning) = REASONING.iter().find_map(named) {
        if named(&"thinking").is_none() {
            pairs.insert(0, (jinja::Value::text("thinking"), reasoning.clone()));
        }
        pairs.push((jinja::Value::text("reasoning_content"), reasoning));
    }
    jinja::Value::dict(pairs).map_err(|fault| refused(fault.to_string()))
}
