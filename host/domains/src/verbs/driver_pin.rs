//! `driver pin`: lets one build be loaded under a name, and no other.

use hostler_grant::is_digest;
use hostler_state::DriverRecord;

use super::driver_back::named;
use super::driver_install::changed;
use crate::driver_summary::DriverChanged;
use crate::error::{Error, Kind};
use crate::host::Host;

impl Host {
    /// Pins a digest: the one that is given, or that of the driver in use. `Some("")` is no digest; `lift` takes the
    /// pin away.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no driver of that name and no digest is given; [`Kind::Invalid`] for what is no
    /// digest; [`Kind::Conflict`] when another build than the pinned one is in use.
    pub async fn driver_pin(
        &self,
        name: &str,
        digest: Option<&str>,
        lift: bool,
    ) -> Result<DriverChanged, Error> {
        self.require_operator()?;
        let owner = self.owner()?;
        let mut record = self.state().driver(name)?.unwrap_or_else(|| DriverRecord::new(name));
        let used = self.digest_in_use(name)?;
        let pin = match (lift, digest, &used) {
            (true, ..) => None,
            (false, Some(written), _) if is_digest(written) => Some(written.to_owned()),
            (false, Some(written), _) if record.active.is_some() => Some(named(&record, written)?.digest),
            (false, Some(written), _) => return Err(no_digest(written)),
            (false, None, Some(used)) => Some(used.clone()),
            (false, None, None) => return Err(self.drivers.missing(name)),
        };
        if let (Some(pin), Some(used)) = (&pin, &used)
            && pin != used
        {
            return Err(other_in_use(name, pin, used));
        }
        let is_new = record.pin != pin;
        record.pin = pin;
        if is_new {
            owner.put_driver(&record)?;
        }
        let version = record.active_version().map(|version| version.version.clone());
        Ok(DriverChanged { digest: record.pin.clone(), ..changed(&record, version, is_new) })
    }

    /// The digest of the driver that is used under a name; nothing when there is none.
    fn digest_in_use(&self, name: &str) -> Result<Option<String>, Error> {
        match self.drivers.candidate(name) {
            Ok(used) => Ok(Some(match used.digest {
                Some(digest) => digest,
                None => used.package()?.digest,
            })),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn no_digest(written: &str) -> Error {
    let message = format!("'{}' is no digest", written.escape_debug());
    Error::new(Kind::Invalid, "driver.no-digest", message)
        .hint("write 'sha256:' and 64 hexadecimal digits")
        .hint_command("see those of the drivers there are", "hostler driver list")
}

fn other_in_use(name: &str, pin: &str, used: &str) -> Error {
    let message = format!(
        "driver '{name}' is used with the digest {used}, and with {pin} pinned it could not be loaded"
    );
    Error::new(Kind::Conflict, "driver.other-in-use", message).about("driver", name).hint_command(
        "use the other build first, if it is kept",
        format!("hostler driver upgrade {name} --to {pin}"),
    )
}
