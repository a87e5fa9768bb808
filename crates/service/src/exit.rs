//! How a command ends: its exit status, and its error as one line and a hint.
//!
//! 0 done, 1 failed, 2 usage (clap's own), 3 done with a list of what was left out, 130
//! interrupted, 143 terminated.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use engine::EngineError;

use crate::output::{StdoutClosed, say};

/// How a command that did not end in an error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it was done.
    Done,
    /// It was done, and what was left out has been listed.
    LeftOut,
    /// It failed, and why has been printed.
    Failed,
    /// SIGINT ended it.
    Interrupted,
    /// SIGTERM ended it.
    Terminated,
}

impl Outcome {
    /// [`Outcome::LeftOut`] when something was left out.
    pub(crate) fn of_left_out(any: bool) -> Self {
        if any { Self::LeftOut } else { Self::Done }
    }

    fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::LeftOut => 3,
            // 128 and the number of the signal, as shells have it.
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Prints what there is to say about the end, and gives the exit status.
pub(crate) fn report(ended: anyhow::Result<Outcome>) -> ExitCode {
    let outcome = ended.unwrap_or_else(|error| {
        if let Some(usage) = error.downcast_ref::<clap::Error>() {
            usage.exit();
        }
        // Whoever read the output has seen enough: `offsite backup ls | head` is no failure. Commands that can end in another
        // way than they print come by [`after_printing`].
        if is_stdout_closed(&error) {
            return Outcome::Done;
        }
        print_error(&error);
        Outcome::Failed
    });
    ExitCode::from(outcome.status())
}

/// How a command ends that knew its outcome before it printed: no less badly where the reader went away.
pub(crate) fn after_printing(
    printed: Result<(), impl Into<anyhow::Error>>,
    ended: anyhow::Result<Outcome>,
) -> anyhow::Result<Outcome> {
    match printed.map_err(Into::into) {
        Err(error) if ended.is_ok() && !is_stdout_closed(&error) => Err(error),
        _ => ended,
    }
}

/// Prints `error: …` on one line of standard error, then `hint: …` where there is one.
pub(crate) fn print_error(error: &anyhow::Error) {
    say(format_args!("error: {}", describe(error)));
    if let Some(hint) = hint_of(error) {
        say(format_args!("hint: {hint}"));
    }
}

/// An error and its causes in one line, each said once.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        // Some libraries repeat their cause in their own message.
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What to do next about an error, where that is known.
pub(crate) fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let hinted = cause.downcast_ref::<Hinted>().map(|hinted| hinted.hint.clone());
        hinted.or_else(|| cause.downcast_ref::<EngineError>().and_then(EngineError::hint))
    })
}

fn is_stdout_closed(error: &anyhow::Error) -> bool {
    let inner = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<StdoutClosed>())
    };
    error.chain().any(inner)
}

/// An error together with what to do next.
#[derive(Debug)]
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Hinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Adds what to do next to an error.
pub(crate) fn hinted(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted { error: error.into(), hint: hint.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_says_each_cause_once() {
        let error = anyhow::Error::new(io::Error::other("disk\nis on fire")).context("read x: disk is on fire");
        assert_eq!(describe(&error.context("failed")), "failed: read x: disk is on fire");
    }

    #[test]
    fn hints_are_found_below_context() {
        let error = hinted(anyhow::anyhow!("no"), "do this").context("outer");
        assert_eq!(describe(&error), "outer: no");
        assert_eq!(hint_of(&error).as_deref(), Some("do this"));
    }

    #[test]
    fn a_reader_that_went_away_changes_no_outcome() {
        let closed = || Err::<(), _>(io::Error::new(io::ErrorKind::BrokenPipe, StdoutClosed));
        let full = || Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull));
        let failed = || Err(anyhow::anyhow!("damaged"));
        assert_eq!(after_printing(closed(), Ok(Outcome::LeftOut)).unwrap(), Outcome::LeftOut);
        assert_eq!(after_printing(closed(), failed()).unwrap_err().to_string(), "damaged");
        assert_eq!(after_printing(full(), failed()).unwrap_err().to_string(), "damaged");
        assert!(after_printing(full(), Ok(Outcome::Done)).is_err());
    }

    #[test]
    fn only_our_own_closed_stdout_is_no_failure() {
        let ours = io::Error::new(io::ErrorKind::BrokenPipe, StdoutClosed);
        assert!(is_stdout_closed(&anyhow::Error::new(ours).context("failed to write")));
        assert!(!is_stdout_closed(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
    }
}
