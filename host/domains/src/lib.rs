//! The verbs: define, start, shutdown and the rest, one file each; jobs, events, recovery.
//!
//! [`Host`] is the library under the command line, and will be the one under the daemon. It is opened
//! as the one owner of a state directory, to change things, or as one of many readers.

mod agent;
mod attachments;
mod block_jobs;
mod catch_up;
mod chain;
mod channels;
mod config;
mod conformance;
mod context;
mod conversion;
mod declared;
mod declared_chain;
mod devices;
mod drafts;
mod driver_interfaces;
mod driver_plan;
mod driver_summary;
mod driver_usage;
mod drivers;
mod encrypted;
mod error;
mod firmware;
mod firmware_summary;
mod host;
mod host_interfaces;
mod identity;
mod image_summary;
mod images;
mod kept_stores;
mod known;
mod live;
mod lost;
mod migration;
mod moment;
mod network_summary;
mod networks;
mod next;
mod node_devices;
mod pools;
mod process;
mod quota;
mod recovery;
mod reference;
mod reverted;
mod saved;
mod secrets;
mod snapshot_summary;
mod snapshots;
mod standing;
mod storage_summary;
mod summary;
mod tenant_summary;
mod tenants;
mod unverified;
mod usage;
mod user;
mod variable_store;
mod verbs;
mod volumes;
mod within;
mod written_out;

pub use block_jobs::{
    BlockJobEnded, BlockJobSummary, CommitOptions, CopyOptions, DiskResizeOptions, DiskResized, Ending,
    JobOutcome, JobOwner, LeftOutImage, PullOptions,
};
pub use config::{Config, Overrides, Workers};
pub use drafts::Progress;
pub use driver_interfaces::InterfaceStanding;
pub use driver_plan::{DriverPlan, PlanOptions};
pub use driver_summary::{
    ActivityLine, DriverChanged, DriverDetails, DriverOrigin, DriverStats, DriverSummary, GrantStanding,
    GrantUse, InstalledBuild, PlanProblem, Replaced, Verified,
};
pub use error::{DAEMON_SUBJECT, Error, Fault, Hint, Kind};
pub use firmware_summary::{
    ChosenBy, ConsideredDescriptor, DescriptorStanding, DescriptorSummary, FirmwareChoice,
    FirmwareExplanation, FirmwareInUse, FirmwareList, PassedOverDescriptor, StoreDone, StoreFate, StoreInUse,
    StoreLeft, StoreReport,
};
pub use host::{Access, Host};
pub use host_interfaces::HostInterface;
pub use hostler_conformance::{
    Case as ConformanceCase, CaseReport, Component as TestedComponent, Fault as ConformanceFault, Report,
    Verdict,
};
pub use hostler_domain::interface::{Bandwidth, Rate};
pub use hostler_domain::nearest;
pub use hostler_domain::network::{NetworkCommand, NetworkSection};
pub use hostler_domain::{Bytes, CpuUser, DeviceLimit, Limit, MemoryLimit};
pub use hostler_launch::{CageReport, CageSetting, CommandLine};
pub use hostler_network::Lease;
pub use hostler_runtime::{
    Amounts, BlockJobKind, BlockJobState, COMPILE_ARGUMENT, WORK_ARGUMENT, compile_here, work_here,
};
pub use hostler_state::{Batch, Event, EventLog, SnapshotKind, SnapshotState};
pub use hostler_storage::{
    BackingRequest, CreateRequest, Preallocation, Resize, VolumeGroupFound, Window, WipePattern,
};
pub use identity::DomainIdentity;
pub use image_summary::{
    ImageChain, ImageCheck, ImageLayer, ImageProbe, ImageReport, ImageResized, ImageWritten, NamedFileReport,
    ReferenceReport,
};
pub use migration::{
    MigrateOptions, Migrated, MigrationAddress, MigrationListener, MigrationPace, MigrationWatch,
    OfferedGuest,
};
pub use network_summary::{NetworkDefined, NetworkDetails, NetworkLeases, NetworkSummary};
pub use node_devices::NodeDevice;
pub use quota::{Quota, QuotaUnit};
pub use reference::{DomainRef, NetworkRef, PoolRef, SecretRef};
pub use saved::{HeaderError, SavedHeader, read_saved_header};
pub use secrets::{SecretDefined, SecretSummary, SecretValue};
pub use snapshot_summary::{
    Reverted, SnapshotDetails, SnapshotDiskSummary, SnapshotSummary, SnapshotTaken, SnapshotsDeleted,
};
pub use snapshots::{ImageFate, NewSnapshot, PlannedImage};
pub use standing::Standing;
pub use storage_summary::{
    PoolDefined, PoolDetails, PoolRefreshed, PoolSpace, PoolSummary, SkippedEntry, VolumeDetails,
    VolumeMoved, VolumeResized, VolumeSummary, VolumeUse,
};
pub use summary::{
    CompanionSummary, Confinement, Defined, DiskChain, DiskSummary, DomainDetails, DomainSummary, Finding,
    LayerSummary, RunState, SavedDomain, Started, Status, Undefined, Warning,
};
pub use tenant_summary::{
    LimitChange, LimitSummary, TenantChanged, TenantDetails, TenantRemoved, TenantSummary,
};
pub use tenants::{Caller, TenantChoice};
pub use verbs::{
    AgentInfo, AgentThere, AskBy, AskedOff, Autostarted, BandwidthChange, Changed, CloneOptions,
    ConsoleStream, ConvertOptions, DiskLimit, Display, DisplayPassword, Displays, DomainStats,
    DriverTestOptions, DriverTested, FirmwareSource, FrozenGuest, GuestFileSystem, GuestFileSystems,
    GuestProgram, GuestProgramEnded, GuestThread, IfStarted, ImageResizeOptions, InterfaceDevice, KeyUse,
    LifecycleEvent, Limited, Medium, MediumChange, MemoryDump, NativeLaunch, NativeSource, NetworkChange,
    NewImage, NewTenant, NewVolume, Note, RebaseOptions, ResizeOptions, RevertOptions, SaveOptions, Scope,
    Screenshot, ServedTenant, Sized, SnapshotDeleteOptions, StartOptions, TenantRights, ThreadKind,
    UndefineOptions, Which, conformance_cases, generate_signing_key, probe_image, process_counters,
    sign_driver, test_driver, without_passwords,
};
