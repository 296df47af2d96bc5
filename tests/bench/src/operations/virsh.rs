//! `virsh` beside a daemon that is warm.

use std::time::Duration;

use anyhow::Result;

use super::scene::{NAME, Scene};
use super::{Actor, Step};
use crate::peer::Peer;
use crate::place::Place;

pub(super) struct Virsh {
    peer: Peer,
    scene: Scene,
}

impl Virsh {
    pub(super) fn new(place: &Place, peer: Peer) -> Result<Self> {
        Ok(Self { peer, scene: Scene::new(place.work(), "virsh")? })
    }
}

impl Actor for Virsh {
    fn name(&self) -> String {
        "virsh (private libvirtd)".to_owned()
    }

    fn prepare(&mut self, _: usize) -> Result<()> {
        self.scene.prepare()
    }

    fn take(&mut self, step: Step) -> Result<Option<Duration>> {
        let document = self.scene.document.display();
        let overlay = self.scene.path("overlay").display().to_string();
        let saved = self.scene.path("saved").display().to_string();
        let line = match step {
            Step::Define => format!("define {document}"),
            Step::Native => format!("domxml-to-native qemu-argv --domain {NAME}"),
            Step::Start => format!("start {NAME}"),
            Step::Statistics => format!("domstats {NAME}"),
            Step::Snapshot => format!(
                "snapshot-create-as {NAME} s --disk-only --no-metadata --diskspec vda,snapshot=external,file={overlay}"
            ),
            Step::Commit => format!("blockcommit {NAME} vda --active --pivot"),
            Step::Save => format!("save {NAME} {saved}"),
            Step::Restore => format!("restore {saved}"),
            Step::Destroy => format!("destroy {NAME}"),
        };
        self.peer.ask(&line).map(Some)
    }

    fn clean(&mut self) -> Result<()> {
        self.peer.ask(&format!("undefine {NAME}")).map(drop)
    }
}
