//! Where the threads of a guest run and how long, as its document says: from its start on, and changed for the next one.

use hostler_domain::{Domain, Limit, PinnedThread, Pinning, set_pin};
use hostler_state::Definition;

use super::threads::{ThreadKind, bind};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::process;
use crate::reference::DomainRef;
use crate::summary::Warning;

impl From<ThreadKind> for PinnedThread {
    fn from(kind: ThreadKind) -> Self {
        match kind {
            ThreadKind::Vcpu(number) => Self::Vcpu(number),
            ThreadKind::IoThread(number) => Self::IoThread(number),
            ThreadKind::Emulator => Self::Emulator,
        }
    }
}

impl Host {
    /// Binds the threads of a guest that has just been started, or has more than before, to the processors that its document gives
    /// them, and holds them to their limits.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a set that is none; [`Kind::Unsupported`] when its driver does not tell of threads; what the system
    /// says, for one where none of the processors is there; as for [`Host::set_limits`].
    pub(crate) async fn place_threads(&self, definition: &Definition) -> Result<(), Error> {
        let domain = Domain::parse(&self.current_xml(definition)?)?;
        let pinning = Pinning::of(domain.document());
        let limited = domain.limits.iter().any(Limit::is_of_threads);
        if pinning.is_empty() && !limited {
            return Ok(());
        }
        let threads = self.threads(&DomainRef::new(definition.uuid.to_string())).await?;
        if limited {
            self.limit_threads(definition, &threads, &domain.limits).await?;
        }
        for thread in &threads {
            let cpus = pinning.of_thread(thread.kind.into()).map_err(|text| {
                let message = format!("'{text}' is no set of processors");
                Error::new(Kind::Invalid, "domain.cpuset", message).hint("write it like '0-3,^2,8'")
            })?;
            let Some(cpus) = cpus else { continue };
            let (threads, kind) = (threads.clone(), thread.kind);
            process::blocking(move || bind(&threads, kind, &cpus)).await??;
        }
        Ok(())
    }

    /// The same for a guest that goes on: it does so wherever its threads may run, and that is told.
    pub(crate) async fn place_threads_or_warn(&self, definition: &Definition) -> Option<Warning> {
        let error = self.place_threads(definition).await.err()?;
        Some(Warning { message: format!("its threads do not run as its definition says: {error}") })
    }

    /// Has a definition bind a thread to these processors of this system. It counts from the next start.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a domain that is not kept; what a definition is refused for.
    pub async fn pin_stored(&self, wanted: &DomainRef, kind: ThreadKind, cpus: &[u32]) -> Result<(), Error> {
        self.redefined(wanted, |document| Ok(set_pin(document, kind.into(), cpus)?)).await
    }
}
