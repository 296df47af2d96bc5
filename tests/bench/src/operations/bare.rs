//! The limit: the same steps of a script that has the command line and a monitor, checks nothing and records nothing.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::scene::{NAME, Scene};
use super::{Actor, Step};
use crate::bare::{Guest, command_line};
use crate::place::{Place, output};

pub(super) struct Bare<'a> {
    place: &'a Place,
    scene: Scene,
    argv: Vec<String>,
    guest: Option<Guest>,
    /// The node that the guest's device writes to at first.
    node: String,
}

impl<'a> Bare<'a> {
    pub(super) fn new(place: &'a Place) -> Result<Self> {
        let scene = Scene::new(place.work(), "bare")?;
        scene.prepare()?;
        output(place.hostler(&["define"]).arg(&scene.document))?;
        let argv = without_sandbox(command_line(place, NAME)?);
        output(&mut place.hostler(&["undefine", NAME]))?;
        let node = argv.iter().find_map(|word| {
            let node: serde_json::Value = serde_json::from_str(word).ok()?;
            Some(node.get("drive")?.as_str()?.to_owned())
        });
        Ok(Self { place, scene, argv, guest: None, node: node.context("no device has a drive")? })
    }

    fn guest(&mut self) -> Result<&mut Guest> {
        self.guest.as_mut().context("no guest runs")
    }

    fn define(&self) -> Result<()> {
        let (draft, path) = (self.scene.path("record.part"), self.scene.path("record"));
        let mut file = File::create(&draft)?;
        file.write_all(&fs::read(&self.scene.document)?)?;
        file.sync_all()?;
        fs::rename(draft, path)?;
        File::open(&self.scene.directory)?.sync_all()?;
        Ok(())
    }

    fn start(&mut self, more: &[&str]) -> Result<()> {
        self.guest = Some(Guest::start(&self.argv, more, self.place.work())?);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        let (image, overlay) = (self.scene.image.clone(), self.scene.path("overlay"));
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b"]);
        output(create.arg(image).arg(&overlay).arg("64M"))?;
        let node = self.node.clone();
        let monitor = &mut self.guest()?.monitor;
        let file = json!({"driver": "file", "filename": overlay});
        let added = json!({"driver": "qcow2", "node-name": "overlay", "file": file, "backing": null});
        monitor.execute_with("blockdev-add", &added)?;
        monitor.execute_with("blockdev-snapshot", &json!({"node": node, "overlay": "overlay"}))?;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let node = self.node.clone();
        let monitor = &mut self.guest()?.monitor;
        monitor.execute_with(
            "block-commit",
            &json!({"job-id": "job", "device": "overlay", "base-node": node}),
        )?;
        monitor.wait("BLOCK_JOB_READY", None)?;
        monitor.execute_with("job-complete", &json!({"id": "job"}))?;
        monitor.wait("BLOCK_JOB_COMPLETED", None)
    }

    fn transfer(&mut self, command: &str, uri: &str) -> Result<()> {
        let monitor = &mut self.guest()?.monitor;
        let events = json!({"capabilities": [{"capability": "events", "state": true}]});
        monitor.execute_with("migrate-set-capabilities", &events)?;
        monitor.execute_with("migrate-set-parameters", &json!({"max-bandwidth": 1_u64 << 40}))?;
        monitor.execute_with(command, &json!({"uri": uri}))?;
        monitor.wait("MIGRATION", Some("completed"))
    }

    fn save(&mut self) -> Result<()> {
        let uri = format!("exec:cat>{}", self.scene.path("saved").display());
        self.guest()?.monitor.execute("stop")?;
        self.transfer("migrate", &uri)?;
        self.end()
    }

    fn restore(&mut self) -> Result<()> {
        let uri = format!("exec:cat {}", self.scene.path("saved").display());
        self.start(&["-incoming", "defer"])?;
        self.transfer("migrate-incoming", &uri)?;
        self.guest()?.go()
    }

    fn end(&mut self) -> Result<()> {
        self.guest.take().context("no guest runs")?.end()
    }
}

/// A guest goes to a file by `exec:`, the only way that needs no descriptor, and QEMU's own filter forbids that.
fn without_sandbox(mut argv: Vec<String>) -> Vec<String> {
    if let Some(at) = argv.iter().position(|word| word == "-sandbox") {
        argv.drain(at..(at + 2).min(argv.len()));
    }
    argv
}

impl Actor for Bare<'_> {
    fn name(&self) -> String {
        "limit: a script".to_owned()
    }

    fn prepare(&mut self, _: usize) -> Result<()> {
        self.scene.prepare()
    }

    fn take(&mut self, step: Step) -> Result<Option<Duration>> {
        let began = Instant::now();
        match step {
            Step::Define => self.define()?,
            Step::Native => return Ok(None),
            Step::Start => {
                self.start(&[])?;
                self.guest()?.go()?;
            }
            Step::Statistics => {
                self.guest()?.monitor.execute("query-blockstats")?;
                self.guest()?.monitor.execute("query-status")?;
            }
            Step::Snapshot => self.snapshot()?,
            Step::Commit => self.commit()?,
            Step::Save => self.save()?,
            Step::Restore => self.restore()?,
            Step::Destroy => self.end()?,
        }
        Ok(Some(began.elapsed()))
    }

    fn clean(&mut self) -> Result<()> {
        Ok(())
    }
}
