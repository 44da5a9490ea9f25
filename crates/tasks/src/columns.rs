//! Which fields of a file hold prompt and answer, and what one row's values mean.
//!
//! Promise: fields that the specification does not name are derived from the first row in one fixed
//! order, and a choice between two equally good ones is refused; a row is understood whole or refused.

use crate::json::{self, Found, Readable};
use crate::message::{self, Message, Role};
use crate::rows::Row;
use crate::{LineFault, MessageFault, TaskError};

/// Fields that hold a prompt in the usual data sets, the first wins.
const PROMPT_FIELDS: [&str; 3] = ["prompt", "messages", "conversations"];
/// The field that holds the answer if it is there.
const ANSWER_FIELD: &str = "answer";
/// Fields that hold it elsewhere: TRL's, and verl's.
const OTHER_ANSWER_FIELDS: [&str; 4] = ["solution", "completion", "ground_truth", "reward_model.ground_truth"];
/// The field with tools, beside messages. Templates write them into the prompt, so they cannot be passed over.
const TOOLS_FIELD: &str = "tools";
/// What stands for no tools.
const NO_TOOLS: [&str; 5] = ["null", "[]", "{}", "\"\"", "\"[]\""];
/// The most keys on the way to a nested field.
const MAX_STEPS: usize = 16;

/// A field's name, or the way to a nested one: `answer`, `reward_model.ground_truth`,
/// `answers.text.0` or, as a JSON pointer (RFC 6901), `/reward_model/ground_truth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    name: String,
    steps: Vec<String>,
}

impl FieldPath {
    /// Splits the name at its points, or at its slashes if it begins with one.
    pub fn new(name: &str) -> Self {
        let steps = match name.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
            None => name.split('.').map(str::to_owned).collect(),
        };
        Self { name: name.to_owned(), steps }
    }

    /// The name as it was given. A column of just this name is meant before a nested field is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys from the row to the field, outermost first; a number is also a place in a list.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// The field's JSON text in an object's; none if it is not there.
    /// Errors: `DuplicateField`, `BadJson`, `TooDeep`.
    pub(crate) fn find<'a>(&self, object: &'a str) -> Result<Option<&'a str>, LineFault> {
        if self.steps.len() > MAX_STEPS {
            return Err(LineFault::TooDeep { field: self.name.clone(), limit: MAX_STEPS, given: self.steps.len() });
        }
        let mut found = json::fields(object, &[&self.name, &self.steps[0]]).map_err(LineFault::bad_json)?;
        let (nested, whole) = (found.pop().unwrap_or_default(), found.pop().unwrap_or_default());
        let whole = self.once(whole)?;
        if self.steps.len() == 1 && !self.name.starts_with('/') {
            return Ok(whole);
        }
        let nested = self.steps[1..].iter().try_fold(self.once(nested)?, |value, step| match value {
            Some(value) => self.step(value, step),
            None => Ok(None),
        })?;
        match (whole, nested) {
            (Some(_), Some(_)) => Err(self.twice()),
            (whole, nested) => Ok(whole.or(nested)),
        }
    }

    fn step<'a>(&self, value: &'a str, step: &str) -> Result<Option<&'a str>, LineFault> {
        match (json::kind(value), step.parse::<usize>()) {
            ("an object", _) => {
                self.once(json::fields(value, &[step]).map_err(LineFault::bad_json)?.pop().unwrap_or_default())
            }
            ("a list", Ok(wanted)) => {
                let mut found = None;
                json::elements(value, LineFault::bad_json, |at, value| {
                    if at == wanted {
                        found = Some(value);
                    }
                    Ok(())
                })?;
                Ok(found)
            }
            _ => Ok(None),
        }
    }

    fn once<'a>(&self, found: Found<'a>) -> Result<Option<&'a str>, LineFault> {
        match found {
            Found::Nothing => Ok(None),
            Found::Once(value) => Ok(Some(value)),
            Found::Twice => Err(self.twice()),
        }
    }

    fn twice(&self) -> LineFault {
        LineFault::DuplicateField { field: self.name.clone() }
    }
}

/// Which columns of which file a task wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The path as the specification gives it.
    pub path: String,
    /// The column with the prompt; none to derive it.
    pub prompt_field: Option<String>,
    /// Where the answer comes from.
    pub answer: AnswerSource,
}

/// Where a row's answer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerSource {
    /// A usual column if there is one, else the last turn of the prompt's messages.
    Derived,
    /// This column; if it is the prompt's, the last turn of its messages.
    Field(String),
    /// Nowhere: the task makes it from the prompt.
    Made,
}

/// The fields of one file that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The field with the prompt.
    pub prompt: FieldPath,
    /// The field with the answer; none if it is the last turn of the prompt or made by the task.
    pub answer: Option<FieldPath>,
    /// A field that must be empty where the prompt is a list of messages.
    pub tools: FieldPath,
    is_made: bool,
}

/// The JSON texts of one row's [`Fields`]; none where the file has no such column.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// Of the prompt.
    pub prompt: &'a str,
    /// Of the answer.
    pub answer: Option<&'a str>,
    /// Of the tools.
    pub tools: Option<&'a str>,
}

impl Columns {
    /// Settles the fields. `has` tells whether the first row (or the schema) has a field, `known`
    /// lists the columns for a refusal.
    ///
    /// Errors: `NoPromptField`, `SeveralAnswerFields`. A field that the
    /// specification names is not looked for here.
    pub fn fields(&self, has: &dyn Fn(&FieldPath) -> bool, known: &[String]) -> Result<Fields, TaskError> {
        let prompt = match &self.prompt_field {
            Some(name) => FieldPath::new(name),
            None => PROMPT_FIELDS
                .map(FieldPath::new)
                .into_iter()
                .find(has)
                .ok_or_else(|| TaskError::NoPromptField { path: self.path.clone(), known: known.join(", ") })?,
        };
        let is_made = self.answer == AnswerSource::Made;
        let answer = match &self.answer {
            AnswerSource::Made => None,
            AnswerSource::Field(name) if *name == prompt.name => None,
            AnswerSource::Field(name) => Some(FieldPath::new(name)),
            AnswerSource::Derived => self.derived_answer(has)?,
        };
        Ok(Fields { prompt, answer, tools: FieldPath::new(TOOLS_FIELD), is_made })
    }

    fn derived_answer(&self, has: &dyn Fn(&FieldPath) -> bool) -> Result<Option<FieldPath>, TaskError> {
        let usual = FieldPath::new(ANSWER_FIELD);
        if has(&usual) {
            return Ok(Some(usual));
        }
        let found: Vec<FieldPath> = OTHER_ANSWER_FIELDS.map(FieldPath::new).into_iter().filter(has).collect();
        match &found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            [first, second, ..] => Err(TaskError::SeveralAnswerFields {
                path: self.path.clone(),
                first: first.name.clone(),
                second: second.name.clone(),
            }),
        }
    }
}

/// What one wanted field holds.
enum Value {
    Text(String),
    Messages(Vec<Message>),
}

impl Fields {
    /// One row from the JSON texts of its fields; the answer's is looked at if [`Fields::answer`] is there.
    ///
    /// Errors: a [`LineFault`] with the field that is not understood.
    pub fn row(&self, line: u64, values: Values<'_>) -> Result<Row, LineFault> {
        let (prompt, answer) = (Readable::new(values.prompt), values.answer.map(Readable::new));
        let value =
            |field: &FieldPath, json: &Readable<'_>| value(&field.name, json.text(), json.constant_at(json.text()));
        let answer = match (&self.answer, &answer) {
            (Some(field), Some(json)) => Some(value(field, json)?),
            (Some(field), None) => return Err(LineFault::MissingField { field: field.name.clone() }),
            (None, _) => None,
        };
        let row = self.assemble(line, value(&self.prompt, &prompt)?, answer)?;
        self.check_tools(&row, values.tools)?;
        Ok(row)
    }

    /// One row from an object that holds its fields.
    pub(crate) fn row_of(&self, line: u64, object: &str, file: &Readable<'_>) -> Result<Row, LineFault> {
        let take = |field: &FieldPath| {
            let json = field.find(object)?.ok_or_else(|| LineFault::MissingField { field: field.name.clone() })?;
            value(&field.name, json, file.constant_at(json))
        };
        let answer = self.answer.as_ref().map(take).transpose()?;
        let row = self.assemble(line, take(&self.prompt)?, answer)?;
        self.check_tools(&row, self.tools.find(object)?)?;
        Ok(row)
    }

    fn check_tools(&self, row: &Row, tools: Option<&str>) -> Result<(), LineFault> {
        match tools {
            Some(tools) if !row.messages.is_empty() && !NO_TOOLS.contains(&tools) => {
                Err(LineFault::UnreadField { field: self.tools.name.clone() })
            }
            _ => Ok(()),
        }
    }

    fn assemble(&self, line: u64, prompt: Value, answer: Option<Value>) -> Result<Row, LineFault> {
        let field = || self.prompt.name.clone();
        let answer = match (answer, &self.answer) {
            (Some(Value::Messages(messages)), Some(field)) => Some(only_turn(&field.name, messages)?),
            (Some(Value::Text(text)), _) => Some(text),
            _ => None,
        };
        match prompt {
            Value::Text(prompt) => {
                let made = self.is_made.then(String::new);
                let answer = answer.or(made).ok_or(LineFault::NoAnswer)?;
                Ok(Row { line, prompt, messages: Vec::new(), answer })
            }
            Value::Messages(mut messages) => {
                let answer = match answer {
                    Some(answer) => answer,
                    None => last_answer(&mut messages).ok_or_else(|| LineFault::NoLastAnswer { field: field() })?,
                };
                let last = messages.last().ok_or_else(|| LineFault::EmptyField { field: field() })?;
                if last.role != Role::User {
                    return Err(LineFault::NoLastQuestion { field: field(), found: last.role.as_str() });
                }
                if last.content.trim().is_empty() {
                    return Err(LineFault::EmptyField { field: field() });
                }
                Ok(Row { line, prompt: message::transcript(&messages), messages, answer })
            }
        }
    }
}

fn value(field: &str, json: &str, constant: Option<&'static str>) -> Result<Value, LineFault> {
    let field = || field.to_owned();
    if let Some(found) = constant {
        return Err(LineFault::NotText { field: field(), found });
    }
    match json::kind(json) {
        "text" => json::text(json).map(Value::Text).map_err(|message| LineFault::BadText { field: field(), message }),
        "a number" => Ok(Value::Text(json.to_owned())),
        "a list" => match message::read(&field(), json) {
            Err(LineFault::Message { place: 1, fault: MessageFault::NotAMessage { found }, .. }) => {
                Err(LineFault::NotText { field: field(), found: list_of(found) })
            }
            read => read.map(Value::Messages),
        },
        found => Err(LineFault::NotText { field: field(), found }),
    }
}

/// What a list is that begins with such a value.
fn list_of(kind: &str) -> &'static str {
    match kind {
        "text" => "a list of texts",
        "a number" => "a list of numbers",
        "a list" => "a list of lists",
        _ => "a list of other values",
    }
}

/// The content of an answer that is a list of one turn, as TRL's `completion` is.
fn only_turn(field: &str, mut messages: Vec<Message>) -> Result<String, LineFault> {
    match (messages.pop(), messages.is_empty()) {
        (Some(Message { role: Role::Assistant, content }), true) => Ok(content),
        _ => Err(LineFault::NotOneAnswer { field: field.to_owned() }),
    }
}

fn last_answer(messages: &mut Vec<Message>) -> Option<String> {
    messages.pop_if(|last| last.role == Role::Assistant).map(|last| last.content)
}
