//! A job from its beginning to its end, as commands wait for it.

use clap::Args;
use hostler_domains::{BlockJobEnded, BlockJobState, BlockJobSummary, Ending, Host, JobOutcome};
use serde_json::json;

use super::DiskTarget;
use crate::commands::{size, view};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Progress, Reply};
use crate::session::Session;

/// How a command waits.
#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// Return as soon as the work goes on
    #[arg(long)]
    pub(super) background: bool,
    /// Do at most RATE a second, such as 20MiB
    #[arg(long, value_name = "RATE", value_parser = size::parse)]
    pub(super) bandwidth: Option<u64>,
    /// Remove the files that the guest does not need any more, unless something else uses them
    #[arg(long, conflicts_with = "background")]
    pub(super) delete: bool,
}

/// Lets a job begin, and waits for its end unless it is to go on by itself.
pub(super) fn run<B>(
    session: &Session,
    target: &DiskTarget,
    waiting: &Waiting,
    ending: Ending,
    begin: B,
) -> Result<Reply, Stop>
where
    B: AsyncFnOnce(&Host) -> Result<BlockJobSummary, Stop>,
{
    let progress =
        session.output().progress(&format!("working on disk {} of '{}'", target.target, target.domain));
    let done = session.event_loop(async {
        let mut signals = session.signals()?;
        tokio::select! {
            done = work(session, waiting, ending, begin, &progress) => done,
            // A daemon does what is left to do, whoever waits.
            () = signals.received(), if !session.outlives_its_user() => Err(interrupted(target).into()),
        }
    });
    drop(progress);
    done
}

async fn work<B>(
    session: &Session,
    waiting: &Waiting,
    ending: Ending,
    begin: B,
    progress: &Progress,
) -> Result<Reply, Stop>
where
    B: AsyncFnOnce(&Host) -> Result<BlockJobSummary, Stop>,
{
    let mut host = session.owner().await?;
    let begun = begin(&host).await?;
    if waiting.background {
        let line =
            format!("the {} of disk {} of '{}' goes on", begun.kind.word(), begun.target, begun.domain);
        let how = Block::Line(format!("see it with 'hostler block jobs {}'", begun.domain));
        return Ok(Reply::confirmation(json!({"job": view::to_json(&begun)?}), vec![Block::Line(line), how]));
    }
    let mut teller = progress.teller();
    let mut news = host.block_job_soon(&begun).await?;
    if news.state != BlockJobState::Running {
        let ended = host.block_finish(&news, ending).await?;
        return reply(&host, &ended, waiting.delete);
    }
    // The state directory is given back in between: others may change things while the hypervisor works.
    drop(host);
    while news.state == BlockJobState::Running {
        if news.total > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a share that is shown")]
            teller(news.done as f64 / news.total as f64);
        }
        news = session.reader().await?.block_job_news(&news).await?;
    }
    host = session.owner().await?;
    let ended = host.block_finish(&news, ending).await?;
    reply(&host, &ended, waiting.delete)
}

/// What came of a job.
pub(super) fn reply(host: &Host, ended: &BlockJobEnded, delete: bool) -> Result<Reply, Stop> {
    let gone = if delete { host.block_delete_left_out(ended)? } else { Vec::new() };
    let into = ended.into.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let first = match ended.outcome {
        JobOutcome::Made => format!("disk {}: {} into {into} done", ended.target, ended.kind.word()),
        JobOutcome::Kept => {
            format!("disk {}: all is in {into}, and the guest goes on as before", ended.target)
        }
        JobOutcome::Cancelled => {
            format!("disk {}: {} given up, the chain is as it was", ended.target, ended.kind.word())
        }
    };
    let mut blocks = vec![Block::Line(first)];
    for image in &ended.left_out {
        let path = image.path.display();
        blocks.push(Block::Line(match &image.in_use {
            _ if gone.contains(&image.path) => format!("removed: {path}"),
            Some(by) => format!("not needed here, and kept: {path} ({by})"),
            None => format!("not needed any more, and kept: {path}"),
        }));
    }
    let mut data = view::to_json(ended)?;
    if let Some(data) = data.as_object_mut() {
        data.insert("removed".to_owned(), view::to_json(&gone)?);
    }
    Ok(Reply::confirmation(json!({"job": data}), blocks))
}

fn interrupted(target: &DiskTarget) -> Failure {
    let command = |verb: &str, rest: &str| Some(format!("hostler block {verb} {}{rest}", target.domain));
    Failure::new("cli.interrupted", Exit::Interrupted, "interrupted; the hypervisor goes on with the work")
        .users()
        .hint("see how far it is", command("jobs", ""))
        .hint("give it up", command("cancel", &format!(" {}", target.target)))
}
