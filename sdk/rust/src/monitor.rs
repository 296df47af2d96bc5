//! Commands for a running hypervisor, with arguments as values.

use crate::bindings::driver::hostler::host::qmp;
use crate::{Domain, Error, Monitor, Resources, Value};

/// One command for a monitor: its name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The command's name.
    pub name: String,
    /// The arguments, a mapping; none when it takes none.
    pub arguments: Option<Value>,
}

impl Command {
    /// A command without arguments.
    pub fn new(name: &str) -> Self {
        Command { name: name.to_owned(), arguments: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.arguments.get_or_insert_with(Value::mapping).set(key, value);
        self
    }
}

/// Calls on a monitor with values.
pub trait MonitorExt {
    /// Sends one command without arguments and returns its answer as JSON text.
    ///
    /// # Errors
    /// What the hypervisor or the command policy says.
    fn run(&self, name: &str) -> Result<String, Error>;

    /// Sends several commands at once; the answers come in the same order. None of them may name a handle.
    fn run_all(&self, commands: &[Command]) -> Vec<Result<String, Error>>;

    /// Opens what a command names, as far as it is not open yet, sends it and returns its answer as JSON text.
    ///
    /// # Errors
    /// What cannot be opened, and what the hypervisor or the command policy says.
    fn run_with(
        &self,
        command: &Command,
        domain: &Domain,
        resources: &mut Resources,
    ) -> Result<String, Error>;
}

impl MonitorExt for Monitor {
    fn run(&self, name: &str) -> Result<String, Error> {
        self.execute(&qmp::Command { name: name.to_owned(), arguments: None }, &[])
    }

    fn run_all(&self, commands: &[Command]) -> Vec<Result<String, Error>> {
        let mut symbols = Vec::new();
        let commands: Vec<_> = commands
            .iter()
            .map(|command| qmp::Command {
                name: command.name.clone(),
                arguments: command.arguments.as_ref().map(|value| value.flatten(&mut symbols)),
            })
            .collect();
        self.execute_all(&commands, &[])
    }

    fn run_with(
        &self,
        command: &Command,
        domain: &Domain,
        resources: &mut Resources,
    ) -> Result<String, Error> {
        let mut symbols = Vec::new();
        let arguments = command.arguments.as_ref().map(|value| value.flatten(&mut symbols));
        resources.open(domain, &symbols)?;
        self.execute(&qmp::Command { name: command.name.clone(), arguments }, &resources.lend(&symbols)?)
    }
}
