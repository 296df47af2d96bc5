//! A launch, put together option by option.

use crate::bindings::driver::hostler::host::process::{LaunchPlan, OptionEntry, Reaction};
use crate::{Domain, Error, Fact, Process, Resources, Value};

/// What a driver wants started. Pure data until [`Launch::submit`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program's template, as the grant names it.
    pub template: String,
    /// The options in order: name without dashes, and value if it takes one.
    pub options: Vec<(String, Option<Value>)>,
    /// Variables for the program's environment.
    pub environment: Vec<(String, String)>,
    /// On this event the host sends these commands by itself.
    pub reactions: Vec<(String, Vec<String>)>,
}

impl Launch {
    /// A launch of this template with no options yet.
    pub fn new(template: &str) -> Self {
        Launch { template: template.to_owned(), ..Launch::default() }
    }

    /// Adds an option with a value.
    pub fn option(&mut self, name: &str, value: impl Into<Value>) {
        self.options.push((name.to_owned(), Some(value.into())));
    }

    /// Adds an option that takes no value.
    pub fn flag(&mut self, name: &str) {
        self.options.push((name.to_owned(), None));
    }

    /// Opens what the launch names, and asks the host to start it.
    ///
    /// # Errors
    /// What cannot be opened, what the policy refuses, and what the program said when it ended at once.
    pub fn submit(&self, domain: &Domain, resources: &mut Resources) -> Result<Process, Error> {
        let mut symbols = Vec::new();
        let options = self
            .options
            .iter()
            .map(|(name, value)| OptionEntry {
                name: name.clone(),
                value: value.as_ref().map(|value| value.flatten(&mut symbols)),
            })
            .collect();
        let plan = LaunchPlan {
            template: self.template.clone(),
            options,
            environment: self
                .environment
                .iter()
                .map(|(key, value)| Fact { key: key.clone(), value: value.clone() })
                .collect(),
            reactions: self
                .reactions
                .iter()
                .map(|(event, commands)| Reaction { event: event.clone(), commands: commands.clone() })
                .collect(),
        };
        resources.open(domain, &symbols)?;
        domain.launch(&plan, &resources.lend(&symbols)?)
    }
}
