//! `hostler console`: the terminal joined to a console of a domain.

use std::io::IsTerminal as _;
use std::time::Instant;

use clap::Args;
use hostler_domains::DomainRef;

use super::Target;
use crate::attach::{Left, RawTerminal, Until, attach};
use crate::definition::{Seconds, seconds};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::Reply;
use crate::session::Session;
use hostler_image::shell_quote as quoted;

/// Join the terminal to a console of a domain
///
/// Shows first what the guest has written so far. On a terminal every key goes to the guest, and
/// Ctrl+] leaves; otherwise standard input is passed on. Bytes are written as they come, also with '-o json'.
/// Other commands may work on the domain meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Console {
    #[command(flatten)]
    target: Target,
    /// The device, such as serial0; the first console if not given
    #[arg(value_name = "DEVICE")]
    device: Option<String>,
    /// Leave with success once the guest has written TEXT
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    until: Option<String>,
    /// Leave after SECS seconds; that is exit status 6
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    timeout: Option<Seconds>,
    /// Do not show what the guest wrote before
    #[arg(long)]
    no_replay: bool,
}

impl Console {
    /// Joins until one side ends it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        Attachment {
            domain: self.target.reference(),
            device: self.device,
            text: self.until,
            timeout: self.timeout,
            replay: !self.no_replay,
        }
        .run(session)
    }
}

/// What to attach to, and until when.
pub(super) struct Attachment {
    domain: DomainRef,
    device: Option<String>,
    text: Option<String>,
    timeout: Option<Seconds>,
    replay: bool,
}

impl Attachment {
    /// The first console of a domain, until the user leaves or the guest ends.
    pub(super) fn to(domain: DomainRef) -> Self {
        Self { domain, device: None, text: None, timeout: None, replay: true }
    }

    /// Attaches. The state directory is closed again before the first byte is copied.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout.0);
        let until = Until { text: self.text.clone(), deadline };
        let stream = session.block_on(async {
            let host = session.reader().await?;
            Ok(host.console(&self.domain, self.device.as_deref(), self.replay).await?)
        })?;
        if std::io::stdin().is_terminal() {
            session.output().note(&format!("attached to '{}'; Ctrl+] leaves", self.domain));
        }
        let terminal = RawTerminal::enter().map_err(|error| Failure::io("make the terminal raw", &error))?;
        let output = session.output().clone();
        let left = session.block_on(async move {
            // On a thread of its own, so that a signal still ends the command and restores the terminal.
            let copied = tokio::task::spawn_blocking(move || attach(stream, &until, &output)).await;
            match copied {
                Ok(left) => left.map_err(|error| Stop::writing(&error)),
                Err(error) => Err(Failure::new("cli.thread", Exit::Failed, "the console thread stopped")
                    .cause(&error)
                    .into()),
            }
        });
        if terminal.is_some() {
            drop(terminal);
            // What the guest wrote last may have left the cursor within a line.
            session.output().note("");
        }
        self.outcome(left?, session)
    }

    fn outcome(&self, left: Left, session: &Session) -> Result<Reply, Stop> {
        match (left, &self.text) {
            (Left::Found, _) => {}
            (Left::ByUser, None) => session.output().note(&format!("left '{}', which goes on", self.domain)),
            // Whoever waits for a text in a script must not take leaving for finding.
            (Left::ByUser, Some(_)) => return Ok(Reply::streamed().exit_with(Exit::Interrupted)),
            (Left::Closed, None) => {
                session.output().note(&format!("the console of '{}' was closed", self.domain))
            }
            (Left::Closed, Some(text)) => {
                let message = format!("the console of '{}' was closed before '{text}' appeared", self.domain);
                return Err(self.failure("console.closed", Exit::Failed, message));
            }
            (Left::TimedOut, text) => {
                let after = self.timeout.map_or(0.0, |timeout| timeout.0.as_secs_f64());
                let message = match text {
                    Some(text) => format!(
                        "'{text}' did not appear on the console of '{}' within {after} s",
                        self.domain
                    ),
                    None => format!("the {after} s for the console of '{}' are over", self.domain),
                };
                return Err(self.failure("console.timed-out", Exit::TimedOut, message));
            }
        }
        Ok(Reply::streamed())
    }

    fn failure(&self, code: &str, exit: Exit, message: String) -> Stop {
        let domain = self.domain.text();
        Failure::new(code, exit, message)
            .about("domain", domain)
            .hint("see how the domain is", Some(format!("hostler show {}", quoted(domain))))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::definition::Globals;
    use crate::output::colour::When;
    use crate::output::{Format, Output, Streams};

    fn outcome(left: Left, text: Option<&str>) -> (Exit, String) {
        let session = Session::new(
            Globals::default(),
            Output::new(Streams::default(), Format::Table, true, When::Never),
        );
        let mut attachment = Attachment::to(DomainRef::new("web"));
        attachment.text = text.map(str::to_owned);
        attachment.timeout = Some(Seconds(Duration::from_millis(1500)));
        match attachment.outcome(left, &session) {
            Ok(reply) => (reply.exit(), String::new()),
            Err(Stop::Failed(failure)) => (failure.exit, failure.message),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn outcome_tells_a_found_text_from_all_else() {
        assert_eq!(outcome(Left::Found, Some("login:")).0, Exit::Success);
        assert_eq!(outcome(Left::ByUser, Some("login:")).0, Exit::Interrupted);
        let (exit, message) = outcome(Left::Closed, Some("login:"));
        assert_eq!((exit, message.contains("before 'login:' appeared")), (Exit::Failed, true), "{message}");
        let (exit, message) = outcome(Left::TimedOut, Some("login:"));
        assert_eq!((exit, message.contains("within 1.5 s")), (Exit::TimedOut, true), "{message}");
    }

    #[test]
    fn outcome_without_a_text_fails_only_at_the_deadline() {
        assert_eq!(outcome(Left::ByUser, None).0, Exit::Success);
        assert_eq!(outcome(Left::Closed, None).0, Exit::Success);
        assert_eq!(outcome(Left::TimedOut, None).0, Exit::TimedOut);
    }
}
