//! Everything that can be wrong with a task specification, a data file or a grader.

use crate::draw::HELD_OUT_ONE_IN;
use crate::{Split, json};

/// A named refusal, with the limit and the value seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// A range of the specification is empty or outside what the task can do.
    #[error("{task}: {field} is {low}..={high}, must be an unempty range within {limit_low}..={limit_high}")]
    BadRange {
        /// The task's type name.
        task: &'static str,
        /// The fields that make the range.
        field: &'static str,
        /// Lower end given.
        low: u64,
        /// Upper end given.
        high: u64,
        /// Lowest value allowed.
        limit_low: u64,
        /// Highest value allowed.
        limit_high: u64,
    },
    /// No item of the split was found: the task's space of prompts is too small, or has no answer.
    #[error(
        "{task}: none of {attempts} prompts is for {}; one prompt in {} is held out, by its text: widen the task's \
         ranges or add rows",
        match split { Split::Train => "training", Split::HeldOut => "scoring" },
        HELD_OUT_ONE_IN
    )]
    SplitTooSmall {
        /// The task's name.
        task: String,
        /// The split that stayed empty.
        split: Split,
        /// How many draws were made (rows looked at, for a data set).
        attempts: u64,
    },
    /// The caller could not read the file.
    #[error("cannot read {path}: {message}")]
    File {
        /// The path as the specification gives it.
        path: String,
        /// What the caller said.
        message: String,
    },
    /// A Parquet file was given where JSON lines were expected.
    #[error("{path} is a Parquet file: read its columns and hand over the rows instead")]
    ParquetBytes {
        /// The path as the specification gives it.
        path: String,
    },
    /// The grader looks for a number, and the task's answers are none.
    #[error(
        "{task}: grader = \"number\" is for answers that are one number; exact, contains_boxed or ratcliff fit here"
    )]
    NotANumber {
        /// The task's type name.
        task: &'static str,
    },
    /// Shares of the reward come from the task's own grading, which a grader replaces.
    #[error("{task}: partial = true has no effect under a grader; leave one of the two out")]
    PartialUnderGrader {
        /// The task's type name.
        task: &'static str,
    },
    /// Rows were handed to a task that makes its own items.
    #[error("{task} makes its own items and takes no rows")]
    TakesNoRows {
        /// The task's type name.
        task: &'static str,
    },
    /// The file is larger than a data set may be.
    #[error("{path} has {given} bytes, the limit is {limit}")]
    FileTooLarge {
        /// The path as the specification gives it.
        path: String,
        /// Bytes allowed.
        limit: usize,
        /// Bytes given.
        given: usize,
    },
    /// The file has more rows than a data set may have.
    #[error("{path} has more than {limit} rows (at least {given})")]
    TooManyRows {
        /// The path as the specification gives it.
        path: String,
        /// Rows allowed.
        limit: usize,
        /// Rows counted when it was refused.
        given: usize,
    },
    /// No column is known to hold a prompt.
    #[error("{path} has no column prompt, messages or conversations: prompt_field names one of {known}")]
    NoPromptField {
        /// The path as the specification gives it.
        path: String,
        /// The columns found.
        known: String,
    },
    /// Two columns are known to hold answers, and none of them is called `answer`.
    #[error("{path} has answers in {first} and in {second}: answer_field says which is meant")]
    SeveralAnswerFields {
        /// The path as the specification gives it.
        path: String,
        /// One column.
        first: String,
        /// Another one.
        second: String,
    },
    /// The file has no rows.
    #[error("{path} has no rows")]
    EmptyDataset {
        /// The path as the specification gives it.
        path: String,
    },
    /// One line (or row) is wrong; see the fault.
    #[error("{path}, line {line}: {fault}")]
    Line {
        /// The path as the specification gives it.
        path: String,
        /// Line number from 1; the row number where rows were handed over.
        line: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The right answer does not earn the whole reward.
    #[error(
        "{task}: grader refused: the oracle answer {answer:?} to {prompt:?} earns {given_micro} millionths and exact = {exact}, must earn 1000000 and be exact"
    )]
    OracleFails {
        /// The task's name.
        task: String,
        /// The prompt of the item.
        prompt: String,
        /// The oracle completion.
        answer: String,
        /// What it earned.
        given_micro: i64,
        /// Whether it counted as solved.
        exact: bool,
    },
    /// An answer that ignores the question earns too much.
    #[error(
        "{task}: grader refused: {probe} answers earn {mean_micro} millionths on average, must stay below {limit_micro}; best: {answer:?}"
    )]
    ProbeTooGood {
        /// The task's name.
        task: String,
        /// Which probe.
        probe: &'static str,
        /// The answer, cut to its first characters.
        answer: String,
        /// Mean reward over the probed items.
        mean_micro: i64,
        /// The mean that it must stay below.
        limit_micro: i64,
    },
    /// A reward outside 0..=1000000.
    #[error("{task}: grader refused: it gave {given_micro} millionths to {answer:?}, the range is 0..=1000000")]
    RewardOutOfRange {
        /// The task's name.
        task: String,
        /// The answer, cut to its first characters.
        answer: String,
        /// The reward.
        given_micro: i64,
    },
    /// The grader panicked.
    #[error("{task}: grader refused: it panicked on {answer:?}")]
    GraderPanicked {
        /// The task's name.
        task: String,
        /// The answer, cut to its first characters.
        answer: String,
    },
    /// The same question asked twice gave two answers.
    #[error("{task}: refused: {what} differs between two calls with the same arguments")]
    NotDeterministic {
        /// The task's name.
        task: String,
        /// `item` or `grade`.
        what: &'static str,
    },
}

impl TaskError {
    /// Whether the specification is at fault, and not a file. Fields that the first line lacks are the wrong ones.
    pub fn is_of_the_specification(&self) -> bool {
        matches!(
            self,
            Self::BadRange { .. }
                | Self::NotANumber { .. }
                | Self::PartialUnderGrader { .. }
                | Self::TakesNoRows { .. }
                | Self::NoPromptField { .. }
                | Self::SeveralAnswerFields { .. }
                | Self::Line { line: 1, fault: LineFault::MissingField { .. } | LineFault::NoAnswer, .. }
        )
    }
}

/// What is wrong with one line of a data file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Too long to be read.
    #[error("{given} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
        /// Bytes given.
        given: usize,
    },
    /// Not UTF-8 text.
    #[error("not UTF-8 (at byte {at} of the line)")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A line ends before its JSON does.
    #[error(
        "the line ends before its JSON does: a row is one object on one line, or an element of one list that is the \
         whole file"
    )]
    OpenLine,
    /// Not a JSON object.
    #[error("not a JSON object: {message}")]
    BadJson {
        /// What the JSON reader said.
        message: String,
    },
    /// A field that the specification names is absent.
    #[error("no field {field:?}")]
    MissingField {
        /// The field.
        field: String,
    },
    /// A field is there twice.
    #[error("field {field:?} is there twice")]
    DuplicateField {
        /// The field.
        field: String,
    },
    /// A field is neither text nor a number nor a list of messages.
    #[error("field {field:?} must be text, a number or a list of messages, found {found}")]
    NotText {
        /// The field.
        field: String,
        /// The JSON kind found.
        found: &'static str,
    },
    /// A text that cannot be read out of its JSON.
    #[error("field {field:?} is no text: {message}")]
    BadText {
        /// The field.
        field: String,
        /// Why.
        message: String,
    },
    /// A field lies deeper than any data set nests its columns.
    #[error("field {field:?} has {given} keys on its way, the limit is {limit}")]
    TooDeep {
        /// The field.
        field: String,
        /// Keys allowed.
        limit: usize,
        /// Keys given.
        given: usize,
    },
    /// A list has more messages than a conversation may have.
    #[error("field {field:?} has more than {limit} messages")]
    TooManyMessages {
        /// The field.
        field: String,
        /// Messages allowed.
        limit: usize,
    },
    /// A message is not understood.
    #[error("field {field:?}, message {place}: {fault}")]
    Message {
        /// The field.
        field: String,
        /// The message, from 1.
        place: usize,
        /// What is wrong with it.
        fault: MessageFault,
    },
    /// The row has a prompt in plain text and no answer beside it.
    #[error(
        "no answer: there is no field answer, solution, completion, ground_truth or reward_model.ground_truth; answer_field names another"
    )]
    NoAnswer,
    /// The answer should be the last turn of the messages, and the last turn is not the assistant's.
    #[error("no answer: there is no field for it, and the messages of {field:?} do not end with the assistant's turn")]
    NoLastAnswer {
        /// The field with the messages.
        field: String,
    },
    /// The prompt's messages leave nothing to answer.
    #[error(
        "the messages of {field:?} end with a turn of the {found}, must end with the user's; answer_field = {field:?} takes the assistant's last turn as the answer"
    )]
    NoLastQuestion {
        /// The field with the messages.
        field: String,
        /// Whose turn is last.
        found: &'static str,
    },
    /// An answer in messages is not one turn of the assistant.
    #[error("field {field:?} must be text, a number or one message of the assistant")]
    NotOneAnswer {
        /// The field with the answer.
        field: String,
    },
    /// A field beside the messages changes what a template makes of them.
    #[error("field {field:?} is set beside messages, and only their texts are read")]
    UnreadField {
        /// The field.
        field: String,
    },
    /// The task takes texts and got messages.
    #[error("field {field:?} must be text, found a list of messages")]
    NoMessages {
        /// The field.
        field: String,
    },
    /// A field holds nothing but blanks.
    #[error("field {field:?} is empty")]
    EmptyField {
        /// The field.
        field: String,
    },
    /// A field is longer than the task can use.
    #[error("field {field:?} has {given} characters, the limit is {limit}")]
    FieldTooLong {
        /// The field.
        field: String,
        /// Characters allowed.
        limit: usize,
        /// Characters given.
        given: usize,
    },
    /// The same prompt was seen before with another answer, so no grader can be right on both.
    #[error("same prompt as line {first}, but another answer")]
    ConflictingAnswer {
        /// The earlier line.
        first: u64,
    },
    /// The answer has no final number to compare with.
    #[error("the answer has no final number{}", if *.marker { " after \"####\"" } else { "" })]
    NoFinalNumber {
        /// Whether the format asks for the `####` marker.
        marker: bool,
    },
    /// The answer put in a box does not come out of it again, so no completion could earn anything.
    #[error("the answer {text:?} does not fit into \\boxed{{}}: its braces do not match")]
    NotBoxable {
        /// The answer, cut to its first characters.
        text: String,
    },
    /// The answer holds digits, but is not one number that can be compared by value.
    #[error("the answer {text:?} does not read as one number")]
    UnreadNumber {
        /// What was to be read, cut to its first characters.
        text: String,
    },
}

impl LineFault {
    /// The JSON reader's refusal of a text that is one line.
    pub(crate) fn bad_json(error: serde_json::Error) -> Self {
        match error.is_eof() {
            true => Self::OpenLine,
            false => Self::BadJson { message: json::without_position(&error) },
        }
    }
}

/// What is wrong with one message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// Not an object.
    #[error("must be an object with role and content, found {found}")]
    NotAMessage {
        /// The JSON kind found.
        found: &'static str,
    },
    /// Not readable as JSON.
    #[error("{message}")]
    BadJson {
        /// What the JSON reader said.
        message: String,
    },
    /// A key is there twice.
    #[error("key {key:?} is there twice")]
    KeyTwice {
        /// The key.
        key: String,
    },
    /// A key is absent or null.
    #[error("no {key:?}")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key does not hold text.
    #[error("{key:?} must be text, found {found}")]
    KeyNotText {
        /// The key.
        key: &'static str,
        /// The JSON kind found.
        found: &'static str,
    },
    /// A part of the content is not text.
    #[error("part {part} of the content must be text, found {given}")]
    PartNotText {
        /// The part, from 1.
        part: usize,
        /// Its type, or its JSON kind.
        given: String,
    },
    /// More parts than a content may have.
    #[error("the content has more than {limit} parts")]
    TooManyParts {
        /// Parts allowed.
        limit: usize,
    },
    /// A speaker that is not known.
    #[error("role {given:?} is none of system, user, assistant (in the other form system, human, gpt)")]
    UnknownRole {
        /// The role, cut to its first characters.
        given: String,
    },
    /// A key that changes what the message says.
    #[error("{key:?} is set, and only texts are read")]
    UnreadKey {
        /// The key.
        key: String,
    },
    /// A text that cannot be read out of its JSON.
    #[error("{key:?} is no text: {message}")]
    BadText {
        /// The key.
        key: &'static str,
        /// Why.
        message: String,
    },
    /// Both `{role, content}` and `{from, value}`.
    #[error("has both role/content and from/value")]
    TwoForms,
}

impl MessageFault {
    /// The JSON reader's refusal of a text that is one line.
    pub(crate) fn bad_json(error: serde_json::Error) -> Self {
        Self::BadJson { message: json::without_position(&error) }
    }
}
