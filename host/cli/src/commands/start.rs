//! `hostler start`: boots a defined domain.

use clap::Args;
use hostler_domains::{StartOptions, Started};
use serde_json::json;

use super::{Target, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Boot a defined domain, or bring its saved guest back
///
/// Shows the chains of its disks as they were handed over and the driver that runs it. The guest
/// goes on when the command has ended.
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    how: How,
    /// Boot, and lose the guest that was saved if one was
    #[arg(long)]
    force_boot: bool,
}

/// How a domain is begun.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct How {
    /// Do not let the processors begin; 'hostler resume' does
    #[arg(long)]
    paused: bool,
    /// Make the UEFI variable store anew from its template first
    #[arg(long)]
    reset_nvram: bool,
}

impl How {
    pub(super) fn options(self) -> StartOptions {
        StartOptions { paused: self.paused, reset_nvram: self.reset_nvram, force_boot: false }
    }
}

impl Start {
    /// Boots it and shows with what.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = StartOptions { force_boot: self.force_boot, ..self.how.options() };
        let progress = session.output().progress(&format!("starting '{}'", self.target.reference()));
        let started = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.start(&self.target.reference(), options).await?)
        });
        drop(progress);
        let started = started?;
        warn(session, &started);
        reply(&started)
    }
}

/// Says aloud that a guest runs with less around it than every wall.
pub(super) fn warn(session: &Session, started: &Started) {
    let found = started.confinement.as_ref();
    if let Some(text) = found.and_then(|found| view::weakness(&started.summary.name, found)) {
        session.output().warning(&text);
    }
}

/// The domain, its driver and its disks.
pub(super) fn reply(started: &Started) -> Result<Reply, Stop> {
    let driver = view::driver(&started.driver);
    let mut blocks = vec![Block::Line(view::sentence(&started.summary)), Block::Facts(driver)];
    for chain in &started.chains {
        blocks.push(Block::Heading(format!("disk {}", chain.target)));
        blocks.push(Block::Table(view::layers(&chain.layers)));
    }
    let json = json!({
        "domain": view::to_json(&started.summary)?,
        "driver": view::to_json(&started.driver)?,
        "confinement": view::to_json(&started.confinement)?,
        "chains": view::to_json(&started.chains)?,
    });
    Ok(Reply::confirmation(json, blocks))
}

#[cfg(test)]
mod tests {
    use hostler_domains::{Confinement, DiskChain, RunState};

    use super::*;
    use view::samples;

    #[test]
    fn reply_shows_domain_driver_and_chains() {
        let started = Started {
            summary: samples::summary("web", RunState::Running),
            chains: vec![DiskChain { target: "vda".into(), layers: samples::chain() }],
            confinement: Some(Confinement::None),
            driver: samples::driver(),
        };
        let reply = reply(&started).unwrap();
        let text = reply.text(None, false, false);
        assert!(text.starts_with("domain 'web' is running (pid 4711)\n"), "{text}");
        for part in
            ["qemu 0.1.0", "sha256:00ff", "process:qemu-system-x86_64", "\ndisk vda\n", "/srv/base.img"]
        {
            assert!(text.contains(part), "{part} is missing: {text}");
        }
        let json: serde_json::Value = serde_json::from_str(&reply.json_text()).unwrap();
        assert_eq!(json["confinement"], "none");
        assert_eq!(json["domain"]["state"], "running");
        assert_eq!(json["driver"]["granted"][0], "process:qemu-system-x86_64");
        assert_eq!(json["chains"][0]["layers"][1]["below"], serde_json::Value::Null);
    }
}
