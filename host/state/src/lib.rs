//! Records on disk: crash-safe files, the journal of operations, the event log, locks.
//!
//! [`StateDir`] reads a state directory without any lock: records are replaced atomically, so a reader sees
//! the old content or the new. [`Owner`] is the one process that may change it. Everything here blocks;
//! asynchronous callers run it on a thread for blocking work. Callers serialise changes to one domain.
//!
//! ```text
//! <root>/format                     version of this layout
//!       /owner.lock                 flock of the owner; its pid and command
//!       /domains/<uuid>/definition  record       (+ .prev)
//!                      /driver-state record      (+ .prev)
//!                      /autostart   record, where the domain is started after a boot
//!                      /nvram.fd    variable store, kept by hostler-firmware
//!                      /snapshots   record       (+ .prev): all snapshots of the domain
//!                      /snapshot-<operation>.nvram, .memory  what they kept of a guest
//!       /pools/<uuid>/definition    record       (+ .prev)
//!                    /activity      record, of one boot of the machine
//!                    /volume-<hash> record, of a volume that was made here
//!       /networks/<uuid>/definition record       (+ .prev)
//!                       /activity   record, of one boot of the machine
//!                       /dnsmasq.conf, leases  of its dnsmasq; hostler-network reads and writes them
//!       /secrets/<uuid>/definition  record       (+ .prev)
//!                      /value       record: what the secret is, and nothing else has it
//!       /drivers/<name>/record      record       (+ .prev): installed drivers, what the operator said of them
//!                      /<digest>.wasm, .wasm.sig  components under their digests, and their signatures
//!                      /usage       record of the grants that were used
//!       /run/<uuid>/                one directory per running domain, see RunDir
//!       /autostarted                record: for which boot that was done
//!       /journal/<id>               record: an operation under way
//!       /migrations/<uuid>          record: what came of a guest that was sent here
//!       /dumps/<uuid>-<time>.core   memory of guests that crashed, where their domain wants it
//!       /corrupt/                   damaged records, set aside
//!       /events.log, events.log.1   JSON lines, and the file before
//!       /cache/                     whatever can be made again
//!       /charges/<hash>             record: an image that was made for a tenant, and what it counts for
//!       /tenant-records/<name>      record       (+ .prev)
//!       /tenants/<name>/            a state directory like this one, the tenant's own
//! ```

mod autostart;
mod charge;
mod clock;
mod definition;
mod disk;
mod driver;
mod error;
mod events;
mod files;
mod index;
mod journal;
mod layout;
mod lock;
mod migration;
mod network;
mod owner;
mod pool;
mod record;
mod run;
mod secret;
mod snapshot;
mod tenant;

pub use charge::Charge;
pub use clock::{boot_id, unix_ms};
pub use definition::{DRIVER_STATE_MAX_BYTES, Definition, NAME_MAX_BYTES};
pub use disk::{Disk, Draft, RealDisk};
pub use driver::{DriverRecord, DriverUsage, InstalledVersion, UsageTally};
pub use error::{Kind, StateError};
pub use events::{
    Batch, Cancel, Event, EventLog, Follow, Followed, Gap, LINE_MAX_BYTES, NewEvent, ROTATE_AT_BYTES,
};
pub use files::Damage;
pub use index::{Figures, Headline};
pub use journal::{Intent, Journal};
pub use layout::{ARCHIVED_STATES, KEPT_STATES, StateDir};
pub use lock::RunLock;
pub use migration::{MigrationOutcome, MigrationRecord};
pub use network::{NetworkActivity, NetworkDefinition, NetworkPhase};
pub use owner::Owner;
pub use pool::{PoolActivity, PoolDefinition, VolumeRecord, VolumeSecret};
pub use record::{PAYLOAD_MAX_BYTES, decode, encode};
pub use run::{RunDir, RunRecord};
pub use secret::{SECRET_MAX_BYTES, SecretDefinition};
pub use snapshot::{
    LeftOverlay, Snapshot, SnapshotDisk, SnapshotKind, SnapshotState, SnapshotStore, SnapshotTree,
};
pub use tenant::{TENANT_NAME_MAX_BYTES, TenantPhase, TenantRecord, check_tenant_name, is_private};
pub use uuid::Uuid;
