//! `hostler secret set`: gives a secret its value.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hostler_domains::SecretValue;

use super::{SecretTarget, changed};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::input;
use crate::output::Reply;
use crate::session::Session;

/// Most bytes of a value, in base64 too.
const MOST: usize = 96 << 10;

/// Give a secret its value
///
/// The value is read from a file and never from the command line, where others could see it. Every byte counts, a line feed
/// at its end too.
#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    target: SecretTarget,
    /// File with the value; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file has the value in base64
    #[arg(long)]
    base64: bool,
}

impl Set {
    /// Sets it.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let mut value = input::bytes(&self.file, MOST, session)?;
        if self.base64 {
            value = decoded(&value)?;
        }
        let secret = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.secret_set(&self.target.reference(), value).await?)
        })?;
        changed(&secret, "has a new value")
    }
}

fn decoded(text: &[u8]) -> Result<SecretValue, Stop> {
    STANDARD.decode(text.trim_ascii()).map(SecretValue::new).map_err(|_| {
        // What is wrong where would tell of the value.
        let message = "the value is not in base64";
        Failure::new("secret.base64", Exit::Failed, message).users().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_taken_with_its_line_feed_and_nothing_else_is() {
        assert_eq!(decoded(b"YQBi\n").unwrap().as_slice(), b"a\0b");
        assert!(decoded(b"a secret").is_err());
    }
}
