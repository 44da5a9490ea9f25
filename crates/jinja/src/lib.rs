//! Chat templates: Jinja as transformers runs it.
//!
//! Promise: a template gives the text that `apply_chat_template` of transformers gives, or a named fault; never
//! another text. Work, memory, output and depth are bounded, whatever the template does.
//! Takes: a template, the values of its names, a date. Gives: the text, and which part the assistant wrote.
//! Never: looks at the clock, the disk or the environment.
//!
//! The rules are those of jinja2's `ImmutableSandboxedEnvironment` with `trim_blocks`, `lstrip_blocks`, the loop
//! controls and no autoescape, on Python's values: `str(None)` is `None`, dicts keep their order, generators give
//! their items once and are true even if empty, and names of methods hide keys of dicts.
//!
//! ```
//! let template = jinja::Template::parse("{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}")?;
//! let message = jinja::Value::dict(vec![
//!     (jinja::Value::text("role"), jinja::Value::text("user")),
//!     (jinja::Value::text("content"), jinja::Value::text("hi")),
//! ])?;
//! let context = [("messages".to_owned(), jinja::Value::list(vec![message])?)];
//! assert_eq!(template.render(&context, None)?.text, "[user] hi");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod ast;
mod date;
mod error;
mod format;
mod json;
mod lexer;
mod parser;
mod render;
mod value;

use std::ops::Range;

pub use date::{Date, DateError};
pub use error::{Error, Fault};
pub use render::{MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX, STEPS_MAX};
pub use value::{Dict, Items, Value, View};

/// Longest template, in bytes. Those of large models with tools have some 20 kB.
pub const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    body: Vec<ast::Stmt>,
}

/// What a template gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What stood in `{% generation %}`: byte ranges of the text, in the order in which they were printed. As in
    /// transformers, they are off where the tag stands inside a macro or set block.
    pub generation: Vec<Range<usize>>,
}

impl Template {
    /// Parses a template.
    ///
    /// Errors: `Syntax`, `Unsupported`, `Depth`; `Memory` beyond [`TEMPLATE_BYTES_MAX`].
    pub fn parse(source: &str) -> Result<Self, Error> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(Fault::Memory { limit: TEMPLATE_BYTES_MAX as u64 }.at(1));
        }
        Ok(Self { body: parser::parse(source)? })
    }

    /// Renders it with these names. `date` is what `strftime_now` reads.
    ///
    /// Errors: any [`Fault`] but `Syntax`, with the line of the template.
    pub fn render(&self, context: &[(String, Value)], date: Option<Date>) -> Result<Rendered, Error> {
        render::render(&self.body, context, date)
    }
}
