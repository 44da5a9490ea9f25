//! Standard output and standard error: the one place that writes to them.
//!
//! Promise: no failure to write is a panic. A reader that went away (`essaim tasks | head -1`) is no fault: what
//! follows goes nowhere, [`is_closed`] lets long commands end early, and the exit code is the one that it would
//! have been. Whatever else stops standard output (a full disk) is an error that says so. Standard error tells of
//! that; of its own failures nobody could be told.
//! Never: cuts an act in two. What a command did and could not print is told by [`print_done`] on standard error.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the reader of standard output has gone.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written: {0}")]
pub struct OutputError(io::Error);

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// What was asked for is done, and standard output did not take the result.
#[derive(Debug, thiserror::Error)]
#[error("this is done, but {cause}; {result}")]
pub struct Untold {
    cause: OutputError,
    result: String,
}

/// Prints a text and sees to it that it has left the process. Errors: anything but a reader that went away.
pub fn print(text: &str) -> Result<(), OutputError> {
    if is_closed() {
        return Ok(());
    }
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        other => other.map_err(OutputError),
    }
}

/// The same with a line's end.
pub fn print_line(line: &str) -> Result<(), OutputError> {
    print(&format!("{line}\n"))
}

/// Prints what a command has done, after it was done: what cannot be printed is told on standard error.
pub fn print_done(text: &str) -> Result<(), Untold> {
    let printed = print(text);
    done(printed, text)
}

/// Tells `result` on standard error if `printed` says that standard output did not take it.
pub fn done(printed: Result<(), OutputError>, result: &str) -> Result<(), Untold> {
    match printed {
        Ok(()) if is_closed() => note(&format!("nobody reads standard output any more; done: {}", result.trim_end())),
        Ok(()) => {}
        Err(cause) => return Err(Untold { cause, result: result.trim_end().to_owned() }),
    }
    Ok(())
}

/// Prints a line that nobody needs for the result, such as progress. After a failure, which is told once, nothing
/// more is printed.
pub fn show(line: &str) {
    if let Err(error) = print_line(line) {
        CLOSED.store(true, Ordering::Relaxed);
        note(&format!("warning: {error}; the work goes on without it"));
    }
}

/// Whether the reader of standard output has gone, so that printing more is in vain.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    stdout().is_terminal()
}

/// Writes a line to standard error, if anybody is there.
pub fn note(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes a question or mark to standard error, the cursor behind it. Errors: then nobody was asked.
pub fn ask(text: &str) -> io::Result<()> {
    let mut terminal = stderr();
    terminal.write_all(text.as_bytes())?;
    terminal.flush()
}

/// An error with all its causes in one line, each said once: many errors repeat their cause in their own words.
pub fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if text.is_empty() || words.contains(&text) {
            text = words;
        } else if !text.contains(&words) {
            // A name that ends the words so far is not said twice.
            let name = text.rsplit(' ').next().unwrap_or_default();
            let rest = words.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&words);
            text = format!("{text}: {rest}");
        }
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn stderr() -> io::Stderr {
    io::stderr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_cause_that_is_in_the_words_already_is_not_said_again() {
        let io = || io::Error::from_raw_os_error(20);
        let said = anyhow::Error::new(io()).context("a/b: Not a directory (os error 20)").context("task gsm8k");
        assert_eq!(message(&said), "task gsm8k: a/b: Not a directory (os error 20)");
        let wider = anyhow!("cannot read a/b: it is no text").context("cannot read a/b");
        assert_eq!(message(&wider), "cannot read a/b: it is no text");
        let apart = anyhow!("it is no text").context("a/b");
        assert_eq!(message(&apart), "a/b: it is no text");
    }
}
