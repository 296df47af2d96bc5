//! `hostler driver`: the drivers of this host.

mod author;
mod build;
mod check;
mod encode;
mod grant;
mod install;
mod keygen;
mod list;
mod new;
mod pin;
mod plan;
mod remove;
mod rollback;
mod sdk;
mod show;
mod sign;
mod stats;
mod test;
mod upgrade;
mod verify;

use clap::{Args, Subcommand};
use hostler_domains::DriverChanged;

use super::view;
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Look at the drivers of this host, install them and say what they may do
///
/// A driver is installed into the state directory, under its digest, or lies in a driver directory
/// (--driver-dir). Of two with one name the installed one is used. What a driver may do is what it asks for,
/// as far as the policy, the tenant and the operator give it.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Driver {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Check(check::Check),
    Test(test::Test),
    Install(install::Install),
    Upgrade(upgrade::Upgrade),
    Rollback(rollback::Rollback),
    Remove(remove::Remove),
    Grant(grant::Grant),
    Pin(pin::Pin),
    Verify(verify::Verify),
    Keygen(keygen::Keygen),
    Sign(sign::Sign),
    Stats(stats::Stats),
    New(new::New),
    Build(build::Build),
    Encode(encode::Encode),
    Sdk(sdk::Sdk),
}

impl Driver {
    /// Does what was asked.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self.what {
            What::List(command) => command.run(session),
            What::Show(command) => command.run(session),
            What::Check(command) => command.run(session),
            What::Test(command) => command.run(session),
            What::Install(command) => command.run(session),
            What::Upgrade(command) => command.run(session),
            What::Rollback(command) => command.run(session),
            What::Remove(command) => command.run(session),
            What::Grant(command) => command.run(session),
            What::Pin(command) => command.run(session),
            What::Verify(command) => command.run(session),
            What::Keygen(command) => command.run(session),
            What::Sign(command) => command.run(session),
            What::Stats(command) => command.run(session),
            What::New(command) => command.run(session),
            What::Build(command) => command.run(session),
            What::Encode(command) => command.run(session),
            What::Sdk(command) => command.run(session),
        }
    }
}

/// The driver that a command is about.
#[derive(Clone, Debug, Args)]
struct DriverTarget {
    /// Name of the driver
    #[arg(value_name = "DRIVER")]
    name: String,
}

/// The reply of a command that changed which driver is used, or how.
fn changed(changed: &DriverChanged, line: String) -> Result<Reply, Stop> {
    Ok(Reply::confirmation(view::to_json(changed)?, vec![Block::Line(line)]))
}

/// `1.2.0 (sha256:…)`, of the driver that is used now.
fn in_use(changed: &DriverChanged) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "none".to_owned());
    format!("{} ({})", part(&changed.version), part(&changed.digest))
}
