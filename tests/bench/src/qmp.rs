//! Just enough QMP to know that a guest runs, as a script would speak it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

/// A monitor that answers one command at a time.
pub(crate) struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    /// Reads the greeting and ends the negotiation.
    pub(crate) fn greet(stream: UnixStream) -> Result<Self> {
        let mut monitor = Self { writer: stream.try_clone()?, reader: BufReader::new(stream) };
        let greeting = monitor.read()?;
        if greeting.get("QMP").is_none() {
            bail!("no greeting: {greeting}");
        }
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Executes a command without arguments; events on the way are passed over.
    pub(crate) fn execute(&mut self, command: &str) -> Result<Value> {
        writeln!(self.writer, "{}", json!({"execute": command}))?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).context("the monitor does not answer")?;
        if length == 0 {
            bail!("the monitor was closed");
        }
        Ok(serde_json::from_str(&line)?)
    }
}
