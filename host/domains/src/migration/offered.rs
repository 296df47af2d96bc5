//! A guest that somebody offers, before anything is done about it: no state directory is held while one is waited for.

use std::time::{Duration, Instant};

use hostler_state::Uuid;

use super::address::MigrationListener;
use super::channel::{Channel, FirstLine, Message, Offer, Refusal, SHORT_WAIT, Stream};
use crate::error::{Error, Kind};

/// A guest that somebody offers.
#[derive(Debug)]
pub struct OfferedGuest {
    pub(crate) offer: Offer,
    pub(crate) channel: Channel,
}

impl OfferedGuest {
    /// What the guest's domain is called: untrusted text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.offer.name
    }

    /// Tells whoever offers it that it is not taken.
    pub async fn refuse(mut self, why: &str) {
        let why = Error::new(Kind::Busy, "migration.busy", why);
        if let Err(error) = self.channel.send(&Message::Refused(Refusal::from(&why))).await {
            tracing::debug!(%error, "nobody is there to be refused");
        }
    }
}

impl MigrationListener {
    /// Waits until a guest is offered. Whoever connects and says something else is told so, and ends no waiting.
    ///
    /// # Errors
    /// [`Kind::TimedOut`] when nobody offers one.
    pub async fn offered(&self, wait: Duration) -> Result<OfferedGuest, Error> {
        let waiting = async {
            loop {
                let stream = self.accept().await.map_err(unaccepted)?;
                match greet(stream).await {
                    Ok(offered) => return Ok(offered),
                    Err(why) => tracing::warn!("somebody connected, and offered no guest: {why}"),
                }
            }
        };
        tokio::time::timeout(wait, waiting).await.unwrap_or_else(|_| {
            let message = format!("no guest was offered within {} s", wait.as_secs());
            Err(Error::new(Kind::TimedOut, "migration.nothing-offered", message)
                .about("address", self.address().to_string()))
        })
    }

    /// The connection that begins with this token, of whoever connects next.
    pub(crate) async fn data(&self, token: &str) -> Result<Stream, Error> {
        let until = Instant::now() + SHORT_WAIT;
        let waiting = async {
            loop {
                let mut stream = self.accept().await.map_err(unaccepted)?;
                match stream.first_line().await {
                    Ok(Ok(FirstLine::Data(told))) if told == token => return Ok(stream),
                    _ => tracing::warn!("somebody connected who is not the sender of the guest"),
                }
            }
        };
        let left = until.saturating_duration_since(Instant::now());
        tokio::time::timeout(left, waiting).await.unwrap_or_else(|_| {
            let message = format!("the guest did not come within {} s", SHORT_WAIT.as_secs());
            Err(Error::new(Kind::TimedOut, "migration.no-data", message))
        })
    }
}

/// A token that nobody guesses.
pub(crate) fn token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

async fn greet(mut stream: Stream) -> Result<OfferedGuest, String> {
    let line = stream.first_line().await.map_err(|error| error.to_string())?;
    let mut channel = Channel::over(stream);
    let why = match line {
        Ok(FirstLine::Control) => match channel.receive(SHORT_WAIT).await {
            Ok(Message::Offer(offer)) => return Ok(OfferedGuest { offer: *offer, channel }),
            Ok(_) => "it begins with something else than an offer".to_owned(),
            Err(error) => error.to_string(),
        },
        Ok(FirstLine::Data(_)) => "there is no migration that its data belongs to".to_owned(),
        Err(why) => why,
    };
    let refusal = Error::new(Kind::Invalid, "migration.protocol", why.clone());
    // Best effort: who cannot say what it wants may not listen either.
    if let Err(error) = channel.send(&Message::Refused(Refusal::from(&refusal))).await {
        tracing::debug!(%error, "it is gone");
    }
    Err(why)
}

fn unaccepted(error: std::io::Error) -> Error {
    Error::new(Kind::Host, "migration.accept", "cannot take connections").caused_by(error)
}
