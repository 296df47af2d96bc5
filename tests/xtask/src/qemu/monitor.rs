//! The conversation with a QEMU that has no machine and runs nothing.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The program that is asked.
const PROGRAM: &str = "qemu-system-x86_64";

/// A QEMU that waits for commands on its standard input; it is gone when this is.
pub(crate) struct Monitor {
    child: Child,
    /// None once the conversation is over.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it said by itself while an answer was awaited.
    events: Vec<Value>,
}

impl Monitor {
    /// Starts QEMU with these arguments besides what makes it a mere block layer.
    ///
    /// # Errors
    /// It is not installed; it refuses the arguments, with its own words.
    pub(crate) fn start(arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(PROGRAM)
            .args(["-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-S", "-qmp", "stdio"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {PROGRAM}; 'cargo xtask setup' installs it"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{PROGRAM} has no standard input or output");
        };
        let mut monitor =
            Self { child, input: Some(input), output: BufReader::new(output), events: Vec::new() };
        if monitor.line()?.is_none() {
            bail!("{PROGRAM} ended before it spoke: {}", monitor.last_words());
        }
        monitor.ask("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// The answer to a command.
    ///
    /// # Errors
    /// What QEMU says against it; that it ended.
    pub(crate) fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        let input = self.input.as_mut().context("the conversation is over")?;
        writeln!(input, "{request}").with_context(|| format!("cannot send {command}"))?;
        loop {
            let Some(answer) = self.line()? else {
                bail!("{PROGRAM} ended at {command}: {}", self.last_words());
            };
            if let Some(found) = answer.get("return") {
                return Ok(found.clone());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {}", error.get("desc").and_then(Value::as_str).unwrap_or("an error"));
            }
            self.events.push(answer);
        }
    }

    /// Waits until QEMU says something of which this is true.
    ///
    /// # Errors
    /// It ended before.
    #[cfg(test)]
    pub(crate) fn wait(&mut self, is_it: impl Fn(&Value) -> bool) -> Result<()> {
        loop {
            if let Some(place) = self.events.iter().position(&is_it) {
                self.events.drain(..=place);
                return Ok(());
            }
            let Some(event) = self.line()? else { bail!("{PROGRAM} ended early: {}", self.last_words()) };
            self.events.push(event);
        }
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The next message; none at the end.
    fn line(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        if self.output.read_line(&mut line).context("cannot read from the monitor")? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).context("the monitor does not speak JSON")
    }

    /// What it said on standard error: its last line.
    fn last_words(&mut self) -> String {
        let errors = self.child.stderr.take().map(BufReader::new);
        let lines = errors.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        lines.last().unwrap_or_else(|| "without a word".to_owned())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It runs nothing, so it need not be asked; without input it would go on waiting.
        drop(self.input.take());
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("cannot end {PROGRAM}: {error}");
        }
    }
}
