//! `hostler`, as a user runs it: every command is a process that opens the state directory anew.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::scene::{NAME, Scene};
use super::{Actor, Step};
use crate::place::{Place, output};

pub(super) struct Hostler<'a> {
    place: &'a Place,
    cage: &'static str,
    scene: Scene,
}

impl<'a> Hostler<'a> {
    pub(super) fn new(place: &'a Place, cage: &'static str) -> Result<Self> {
        Ok(Self { place, cage, scene: Scene::new(place.work(), &format!("hostler-{cage}"))? })
    }

    fn run(&self, words: &[&str]) -> Result<Duration> {
        let began = Instant::now();
        output(&mut self.place.hostler(words)).with_context(|| format!("hostler {}", words.join(" ")))?;
        Ok(began.elapsed())
    }
}

impl Actor for Hostler<'_> {
    fn name(&self) -> String {
        match self.cage {
            "off" => "hostler --cage=off".to_owned(),
            _ => "hostler".to_owned(),
        }
    }

    fn prepare(&mut self, _: usize) -> Result<()> {
        self.scene.prepare()
    }

    fn take(&mut self, step: Step) -> Result<Option<Duration>> {
        let document = self.scene.document.display().to_string();
        let saved = self.scene.path("saved").display().to_string();
        let words: &[&str] = match step {
            Step::Define => &["define", &document],
            Step::Native => &["native", NAME],
            Step::Start => &["start", NAME, "--cage", self.cage],
            Step::Statistics => &["stats", NAME],
            Step::Snapshot => &["snapshot", "create", NAME, "s", "--disk-only"],
            // The snapshot keeps the base: this is about the work, and undoes it on purpose.
            Step::Commit => &["block", "commit", NAME, "vda", "--active", "--force"],
            Step::Save => &["save", NAME, &saved],
            Step::Restore => &["restore", &saved, "--cage", self.cage],
            Step::Destroy => &["destroy", NAME],
        };
        self.run(words).map(Some)
    }

    fn clean(&mut self) -> Result<()> {
        self.run(&["undefine", NAME, "--snapshots"]).map(drop)
    }
}
