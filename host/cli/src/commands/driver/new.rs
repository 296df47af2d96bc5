//! `hostler driver new`: makes a project for a driver, which needs nothing of hostler but this program.

use std::path::PathBuf;

use clap::Args;
use hostler_author::{Project, Template};

use super::author;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Make a project for a new driver, with everything in it that building needs
///
/// The project has the SDK, the contract and the guide of this hostler in its directory 'hostler', a driver that
/// works, tests of it, and a domain to start. Needed beside it are Rust and its target wasm32-unknown-unknown,
/// or clang and lld for C.
#[derive(Debug, Args)]
pub(super) struct New {
    /// Name of the driver, and of the domain type that it takes: lower-case letters, digits and '-'
    #[arg(value_name = "NAME")]
    name: String,
    /// Make the project in DIR, which must be empty or not there yet; default: NAME
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// What to begin with: 'minimal', a driver in Rust, or 'c', the same in C
    #[arg(long, value_name = "TEMPLATE", value_parser = template, default_value = "minimal")]
    template: Template,
}

fn template(word: &str) -> Result<Template, String> {
    let known = Template::ALL.map(Template::word).join(", ");
    Template::named(word).ok_or_else(|| format!("there is no such template; there are {known}"))
}

impl New {
    /// Makes it, and says what comes next.
    pub(super) fn run(self, _session: &Session) -> Result<Reply, Stop> {
        let directory = self.path.unwrap_or_else(|| PathBuf::from(&self.name));
        let made = Project::create(&self.name, &directory, self.template).map_err(author::stop)?;
        let component = format!("{}.wasm", made.name);
        let mut lines = vec![
            format!("project of the driver '{}' made in '{}'", made.name, made.path.display()),
            format!("next:  cd '{}'", directory.display()),
        ];
        lines.extend(match self.template {
            Template::Minimal => vec![
                "       cargo test                       # what it decides, tried natively".to_owned(),
                format!("       hostler driver build             # makes {component}"),
            ],
            Template::C => vec![format!("       sh build.sh                      # makes {component}")],
        });
        lines.push(format!("       hostler driver install {component}"));
        Ok(Reply::confirmation(view::to_json(&made)?, lines.into_iter().map(Block::Line).collect()))
    }
}
