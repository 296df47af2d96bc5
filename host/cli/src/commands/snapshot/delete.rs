//! `hostler snapshot delete`: forgets snapshots.

use clap::Args;
use hostler_domains::{
    BlockJobState, Ending, ImageFate, PlannedImage, SnapshotDeleteOptions, SnapshotsDeleted,
};

use super::SnapshotTarget;
use crate::commands::view;
use crate::failure::Stop;
use crate::output::table::{Cell, Table};
use crate::output::{Block, Reply};
use crate::session::Session;

/// Delete a snapshot, and what only it needed
///
/// The domain and its other snapshots are as before. An image that something else depends on is not touched:
/// the command is refused then, and says who needs it. A guest that runs goes on: its hypervisor merges the
/// overlays, and 'hostler block jobs' shows how far it is.
#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    target: SnapshotTarget,
    /// Only show what becomes of each image
    #[arg(long)]
    plan: bool,
    /// Delete the snapshots that were taken from it, and from them, as well
    #[arg(long)]
    children: bool,
}

impl Delete {
    /// Deletes it, or shows the plan.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let options = SnapshotDeleteOptions { plan: self.plan, children: self.children };
        let progress = session.output().progress(if self.plan { "planning" } else { "deleting" });
        let deleted = session.block_on(self.deleted(session, options));
        drop(progress);
        let deleted = deleted?;
        let table = Block::Table(table(&deleted));
        if self.plan {
            return Ok(Reply::data(view::to_json(&deleted)?, vec![table]));
        }
        let names: Vec<_> = deleted.snapshots.iter().map(|name| format!("'{name}'")).collect();
        let line = format!("deleted of domain '{}': {}", deleted.domain, names.join(", "));
        Ok(Reply::confirmation(view::to_json(&deleted)?, vec![Block::Line(line), table]))
    }

    /// The state directory is given back while a hypervisor merges: others may change things meanwhile.
    async fn deleted(
        &self,
        session: &Session,
        options: SnapshotDeleteOptions,
    ) -> Result<SnapshotsDeleted, Stop> {
        let (domain, snapshot) = (self.target.domain(), &self.target.snapshot);
        if options.plan {
            return Ok(session.reader().await?.snapshot_delete(&domain, snapshot, options).await?);
        }
        let mut first: Option<SnapshotsDeleted> = None;
        let mut host = session.owner().await?;
        loop {
            let deleted = host.snapshot_delete(&domain, snapshot, options).await?;
            let (works, done) = (deleted.works.clone(), deleted.done);
            // What it came to is what was planned at first: what is merged is in no later plan.
            let shown = first.get_or_insert_with(|| deleted.clone());
            if shown.images.is_empty() {
                shown.images = deleted.images;
            }
            shown.done = done;
            let Some(works) = works else { return Ok(shown.clone()) };
            let mut news = host.block_job_soon(&works).await?;
            if news.state == BlockJobState::Running {
                drop(host);
                while news.state == BlockJobState::Running {
                    news = session.reader().await?.block_job_news(&news).await?;
                }
                host = session.owner().await?;
            }
            host.block_finish(&news, Ending::Pivot).await?;
        }
    }
}

fn table(deleted: &SnapshotsDeleted) -> Table {
    let mut table = Table::new().words("SNAPSHOT").words("FATE").prose("IMAGE").prose("WHY");
    for PlannedImage { snapshot, image, fate } in &deleted.images {
        let (word, why) = match fate {
            ImageFate::Kept { why } => ("kept", why.clone()),
            ImageFate::Removed { why } => ("removed", why.clone()),
            ImageFate::Merged { overlay } => {
                ("merged", format!("gets what {} holds, which goes", overlay.display()))
            }
            ImageFate::Forgets => ("kept", "forgets what it keeps for the snapshot".to_owned()),
        };
        table.row(vec![
            Cell::new(snapshot),
            Cell::new(word),
            Cell::new(image.to_string_lossy()),
            Cell::new(why),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_has_its_word_and_reason() {
        let image = |fate| PlannedImage { snapshot: "s".into(), image: "/i/a".into(), fate };
        let images = vec![
            image(ImageFate::Kept { why: "it is needed".into() }),
            image(ImageFate::Merged { overlay: "/i/o".into() }),
            image(ImageFate::Removed { why: "nobody needs it".into() }),
        ];
        let (domain, snapshots) = ("web".into(), vec!["s".into()]);
        let deleted = SnapshotsDeleted { domain, snapshots, images, done: false, works: None };
        let expected = "\
SNAPSHOT  FATE     IMAGE  WHY
s         kept     /i/a   it is needed
s         merged   /i/a   gets what /i/o holds, which goes
s         removed  /i/a   nobody needs it
";
        assert_eq!(table(&deleted).render(None, false), expected);
    }
}
