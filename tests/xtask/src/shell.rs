//! Runs programs: quietly with the output taken, or in the open with the user watching.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Lines of output kept in an error.
const ERROR_LINES: usize = 25;

/// Says on stderr what happens next.
pub(crate) fn step(text: impl AsRef<str>) {
    eprintln!("· {}", text.as_ref());
}

/// The words of a command, as one would type them.
pub(crate) fn words(command: &Command) -> String {
    let quote = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c));
        if plain { word.into_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let mut all = vec![quote(command.get_program())];
    all.extend(command.get_args().map(quote));
    all.join(" ")
}

/// Runs in the open: the program's output is the user's.
///
/// # Errors
/// When it cannot be run or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", words(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", words(command));
    }
    Ok(())
}

/// Runs quietly and returns stdout.
///
/// # Errors
/// When it cannot be run, fails (the end of its output is in the error), or says something that is not UTF-8.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", words(command)))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!(
            "{} failed: {}\n{}",
            words(command),
            output.status,
            last_lines(&String::from_utf8_lossy(&text))
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{}: output is not UTF-8", words(command)))
}

/// Whether the program can be run and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(ERROR_LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{read, succeeds, words};
    use std::process::Command;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let mut command = Command::new("a");
        command.args(["b c", "d'e", "", "--f=g"]);
        assert_eq!(words(&command), r"a 'b c' 'd'\''e' '' --f=g");
    }

    #[test]
    fn failure_carries_the_output() {
        let error = read(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
        assert!(!succeeds(&mut Command::new("false")));
        assert_eq!(read(Command::new("echo").arg("x")).unwrap(), "x\n");
    }
}
