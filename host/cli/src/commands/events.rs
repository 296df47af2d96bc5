//! `hostler events`: what has happened to the domains of this host, and what happens.

use std::io;

use clap::Args;
use hostler_state::{Batch, Event, Follow, Followed, Gap};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use super::view;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::table::{Cell, Table};
use crate::output::{Block, Format, Output, Reply, escape, quantity, with_schema};
use crate::session::Session;

/// Show what has happened to the domains, or follow what happens
///
/// Each event has a number; --since with the last number seen continues where a reader stopped. With
/// '-o json' each event is a JSON document on a line of its own.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on and write events as they come; an interrupt ends it, with exit status 0
    #[arg(short, long)]
    follow: bool,
    /// Begin after the event with this number [default: the beginning; with --follow, now]
    #[arg(long, value_name = "CURSOR")]
    since: Option<u64>,
}

impl Events {
    /// Shows those there are, or goes on with those to come.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        if self.follow { follow(session, self.since) } else { recorded(session, self.since.unwrap_or(0)) }
    }
}

fn recorded(session: &Session, since: u64) -> Result<Reply, Stop> {
    let batch = session.block_on(async { Ok(session.reader().await?.events(since)?) })?;
    batch.gaps.iter().for_each(|gap| session.output().warning(&gap_sentence(gap)));
    let mut documents: Vec<Value> = batch.gaps.iter().map(gap_json).collect();
    for event in &batch.events {
        documents.push(view::to_json(event)?);
    }
    Ok(Reply::lines(documents, vec![Block::Table(table(&batch))]))
}

fn table(batch: &Batch) -> Table {
    let mut table =
        Table::new().numbers("NUMBER").words("TIME").words("EVENT").words("DOMAIN").prose("DETAIL");
    for event in &batch.events {
        table.row(vec![
            Cell::new(event.seq.to_string()),
            Cell::new(quantity::moment(event.time_ms)),
            Cell::new(&event.kind),
            Cell::new(&event.name),
            Cell::new(detail(event)),
        ]);
    }
    table
}

fn follow(session: &Session, since: Option<u64>) -> Result<Reply, Stop> {
    session.event_loop(async {
        // Before anything else: who interrupts a follower wants it to end well.
        let mut signals = session.signals()?;
        let host = session.reader().await?;
        let cursor = match since {
            Some(cursor) => cursor,
            None => host.events(0)?.next,
        };
        let followed = host.event_log().follow(cursor, None).map_err(hostler_domains::Error::from)?;
        let canceller = followed.canceller();
        let output = session.output().clone();
        let mut writer = tokio::task::spawn_blocking(move || write_all(followed, &output));
        tokio::select! {
            written = &mut writer => return finished(written),
            () = reader_gone() => return Err(Stop::PipeClosed),
            () = signals.received() => {}
        }
        canceller.cancel().map_err(|error| Failure::io("end the event log's follower", &error))?;
        // The event that is being written is written whole, unless its reader does not take it.
        tokio::select! {
            written = writer => finished(written),
            () = signals.received() => Ok(Reply::streamed()),
        }
    })
}

fn finished(written: Result<Result<(), Stop>, tokio::task::JoinError>) -> Result<Reply, Stop> {
    match written {
        Ok(written) => written.map(|()| Reply::streamed()),
        Err(error) => {
            Err(Failure::new("cli.thread", Exit::Failed, "the event thread stopped").cause(&error).into())
        }
    }
}

fn write_all(followed: Follow, output: &Output) -> Result<(), Stop> {
    for item in followed {
        match item.map_err(hostler_domains::Error::from)? {
            Followed::Gap(gap) if output.format() == Format::Table => output.warning(&gap_sentence(&gap)),
            Followed::Gap(gap) => write_line(gap_json(&gap), output)?,
            Followed::Event(event) if output.format() == Format::Table => {
                output.bytes(event_line(&event).as_bytes()).map_err(|error| Stop::writing(&error))?;
            }
            Followed::Event(event) => write_line(view::to_json(&event)?, output)?,
        }
    }
    Ok(())
}

fn write_line(document: Value, output: &Output) -> Result<(), Stop> {
    let line = format!("{}\n", with_schema(document));
    output.bytes(line.as_bytes()).map_err(|error| Stop::writing(&error))
}

fn event_line(event: &Event) -> String {
    let time = quantity::moment(event.time_ms);
    let words = format!("{}  {time}  {}  {}  {}", event.seq, event.kind, event.name, detail(event));
    format!("{}\n", escape::line(words.trim_end()))
}

fn detail(event: &Event) -> String {
    let parts: Vec<String> = event.detail.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(" ")
}

fn gap_sentence(gap: &Gap) -> String {
    format!("events after number {} are not kept any more; the next is {}", gap.cursor, gap.resumes_at)
}

fn gap_json(gap: &Gap) -> Value {
    json!({"kind": "gap", "cursor": gap.cursor, "resumes_at": gap.resumes_at})
}

/// Waits until nobody can read standard output any more; forever for a file or a terminal that stays.
async fn reader_gone() {
    let watched = tokio::task::spawn_blocking(|| {
        let stdout = io::stdout();
        loop {
            let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
            match poll(&mut polled, None) {
                Ok(_) => return,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::debug!(%error, "standard output cannot be watched"),
            }
        }
    });
    if watched.await.is_err() {
        tracing::debug!("the watch on standard output stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Event {
        let line = json!({"seq": 7, "time_ms": 0, "domain": "5d4e2ee3-5a0a-4a1c-9d0c-7f6a3e0b9a11",
            "name": "web\u{1b}[1m", "kind": "domain.started", "detail": {"pid": "4711", "by": "start"}});
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn event_line_shows_all_and_steers_nothing() {
        let expected = "7  1970-01-01T00:00:00.000Z  domain.started  web\\u{1b}[1m  by=start pid=4711\n";
        assert_eq!(event_line(&sample()), expected);
    }

    #[test]
    fn table_has_a_row_for_each_event() {
        let batch = Batch { events: vec![sample(), sample()], ..Batch::default() };
        assert_eq!(table(&batch).render(None, false).lines().count(), 3);
    }
}
