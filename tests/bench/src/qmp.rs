//! Just enough QMP to know that a guest runs, as a script would speak it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

/// A monitor that answers one command at a time.
pub(crate) struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Those that came before anybody waited for them.
    events: VecDeque<Value>,
}

impl Monitor {
    /// Reads the greeting and ends the negotiation.
    pub(crate) fn greet(stream: UnixStream) -> Result<Self> {
        let (writer, reader) = (stream.try_clone()?, BufReader::new(stream));
        let mut monitor = Self { writer, reader, events: VecDeque::new() };
        let greeting = monitor.read()?;
        if greeting.get("QMP").is_none() {
            bail!("no greeting: {greeting}");
        }
        monitor.execute("qmp_capabilities")?;
        Ok(monitor)
    }

    /// Executes a command without arguments; events on the way are kept for [`Self::wait`].
    pub(crate) fn execute(&mut self, command: &str) -> Result<Value> {
        self.execute_with(command, &json!({}))
    }

    /// Executes a command; events on the way are kept for [`Self::wait`].
    pub(crate) fn execute_with(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        writeln!(self.writer, "{}", json!({"execute": command, "arguments": arguments}))?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {error}");
            }
            self.events.push_back(answer);
        }
    }

    /// Waits for an event of this name whose data has this status, if one is wanted.
    pub(crate) fn wait(&mut self, name: &str, status: Option<&str>) -> Result<()> {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.read()?,
            };
            let is = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
            if is("/event") != Some(name) {
                continue;
            }
            match (status, is("/data/status")) {
                (Some(wanted), found) if found == Some(wanted) => return Ok(()),
                (None, _) => return Ok(()),
                (Some(_), Some("failed")) => bail!("{name}: {event}"),
                _ => {}
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
