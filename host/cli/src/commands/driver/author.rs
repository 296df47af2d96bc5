//! What the commands for authors have in common: their failures, and the answer about a component that was made.

use std::path::Path;

use hostler_author::{AuthorError, Kind};
use serde_json::Value;

use super::check::Judged;
use super::plan;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply};

/// Why nothing was made.
pub(super) fn stop(error: AuthorError) -> Stop {
    let exit = match error.kind {
        Kind::NotFound | Kind::NoProject => Exit::NotFound,
        Kind::NotEmpty => Exit::Busy,
        _ => Exit::Failed,
    };
    let failure = Failure::new(error.kind.code(), exit, error.to_string());
    let failure = match error.kind {
        Kind::Io | Kind::Contract | Kind::Tool => failure,
        _ => failure.users(),
    };
    let failure = match std::error::Error::source(&error) {
        Some(source) => failure.cause(source),
        None => failure,
    };
    let failure =
        error.hints.into_iter().fold(failure, |failure, (text, command)| failure.hint(text, command));
    // Nothing of what an author does wrong is mended by waiting.
    Failure { retryable: false, ..failure }.into()
}

/// The answer about a component that was made: what a host has against it, or what comes next.
pub(super) fn made(judged: &Judged, json: Value, line: String, path: &Path) -> Reply {
    let mut blocks = vec![Block::Line(line)];
    if judged.is_refused() {
        blocks.extend(plan::problems(&judged.plan));
        return Reply::data(json, blocks).exit_with(Exit::Refused);
    }
    blocks.extend(plan::sentences(&judged.plan));
    for (text, command) in [("everything about it:", "check"), ("use it:", "install")] {
        blocks.push(Block::Line(format!("{text:<21}hostler driver {command} {}", path.display())));
    }
    Reply::confirmation(json, blocks)
}
