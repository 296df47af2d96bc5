//! A launch, put together option by option.

use crate::bindings::driver::hostler::host::process::{
    Companion as PlannedCompanion, LaunchPlan, OptionEntry, Reaction,
};
use crate::{Domain, Error, Fact, Process, Resources, Symbol, Value};

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
    /// Programs that are started beside it, before it.
    pub companions: Vec<Companion>,
}

/// A helper of the hypervisor's: see `process.companion` in the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Companion {
    /// Its name in the launch, which [`Symbol::Link`](crate::Symbol::Link) says.
    pub name: String,
    /// The program's template, as the grant names it.
    pub template: String,
    /// The options in order.
    pub options: Vec<(String, Option<Value>)>,
    /// Variables for the program's environment.
    pub environment: Vec<(String, String)>,
}

impl Companion {
    /// A companion of this name and template with no options yet.
    pub fn new(name: &str, template: &str) -> Self {
        Companion { name: name.to_owned(), template: template.to_owned(), ..Companion::default() }
    }

    /// Adds an option with a value.
    pub fn option(&mut self, name: &str, value: impl Into<Value>) {
        self.options.push((name.to_owned(), Some(value.into())));
    }

    /// Adds an option that takes no value.
    pub fn flag(&mut self, name: &str) {
        self.options.push((name.to_owned(), None));
    }

    fn planned(&self, symbols: &mut Vec<Symbol>) -> PlannedCompanion {
        PlannedCompanion {
            name: self.name.clone(),
            template: self.template.clone(),
            options: entries(&self.options, symbols),
            environment: facts(&self.environment),
        }
    }
}

fn entries(options: &[(String, Option<Value>)], symbols: &mut Vec<Symbol>) -> Vec<OptionEntry> {
    let entry = |(name, value): &(String, Option<Value>)| OptionEntry {
        name: name.clone(),
        value: value.as_ref().map(|value| value.flatten(symbols)),
    };
    options.iter().map(entry).collect()
}

fn facts(environment: &[(String, String)]) -> Vec<Fact> {
    environment.iter().map(|(key, value)| Fact { key: key.clone(), value: value.clone() }).collect()
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
        let plan = LaunchPlan {
            template: self.template.clone(),
            options: entries(&self.options, &mut symbols),
            environment: facts(&self.environment),
            reactions: self
                .reactions
                .iter()
                .map(|(event, commands)| Reaction { event: event.clone(), commands: commands.clone() })
                .collect(),
        };
        let companions: Vec<_> = self.companions.iter().map(|one| one.planned(&mut symbols)).collect();
        resources.open(domain, &symbols)?;
        let handles = resources.lend(&symbols)?;
        if companions.is_empty() {
            return domain.launch(&plan, &handles);
        }
        domain.launch_with(&plan, &companions, &handles)
    }
}
