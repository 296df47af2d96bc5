//! An operation as data: what a driver is asked, and what it says. The same for a driver in this process and in one of
//! its own.

use crate::bindings::block_jobs::exports::hostler::driver::block_jobs::{BlockJob, JobReport};
use crate::bindings::driver::exports::hostler::driver::about::Description;
use crate::bindings::hotplug::exports::hostler::driver::hotplug::Presence;
use crate::bindings::migration::exports::hostler::driver::migration::MigrationReport;
use crate::bindings::sizing::exports::hostler::driver::sizing::Amounts;
use crate::bindings::snapshots::exports::hostler::driver::snapshots::Kept;
use crate::bindings::wit::qmp::Event;
use crate::bindings::wit::types::{Error, Fact, RunState};
use crate::operation::Operation;

/// What a driver is asked to do, with what it needs beside the domain.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Describe,
    Check,
    Start(Vec<Fact>),
    Shutdown,
    Destroy,
    Suspend,
    Resume,
    Reset,
    Query,
    Reattach,
    OnEvent(Event),
    RecoveryComplete,
    Show,
    Save(Vec<Fact>),
    Restore(Vec<Fact>),
    AbandonSave,
    TakePicture(u32),
    PressKeys(Keys),
    Reboot,
    Dump(DumpWish),
    ReadStatistics,
    BeginBlockJob(BlockJob),
    ReportBlockJob(AskedReport),
    CompleteBlockJob(BlockJob),
    CancelBlockJob(BlockJob),
    SettleBlockJob(BlockJob),
    ResizeDisk(NewSize),
    Attach(u32),
    Detach(u32),
    UpdateDevice(Change),
    SettleDevice(u32),
    Overlay(Vec<String>),
    SettleOverlay(Vec<String>),
    Keep(Kept),
    SettleKeep(Kept),
    Forget(Kept),
    BringBack(Return),
    OverlayWithMemory(Vec<String>),
    BeginMigration(Vec<Fact>),
    /// With how long to wait for news, in milliseconds.
    ReportMigration(u64),
    AbandonMigration,
    PrepareGuest(Vec<Fact>),
    ReceiveGuest,
    ReadAmounts,
    /// In bytes.
    SetMemory(u64),
    SetVcpus(u32),
    SetJobSpeed(NewSpeed),
    PrepareBlockJob(BlockJob),
    Ask(Question),
    Interrupt,
    Wake,
    /// Every so many seconds.
    CountMemory(u32),
    WatchWrites(Threshold),
    /// For so many seconds.
    MeasureWrites(u32),
}

/// A guest that is brought back from what is kept of it.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) kept: Kept,
    pub(crate) options: Vec<Fact>,
}

/// A device that is to be what the next document says.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Its place among the devices.
    pub(crate) device: u32,
    pub(crate) options: Vec<Fact>,
}

/// A job, and how long its driver may wait for news of it.
#[derive(Clone, Debug)]
pub(crate) struct AskedReport {
    pub(crate) job: BlockJob,
    pub(crate) timeout_ms: u64,
}

/// How fast a job may be.
#[derive(Clone, Debug)]
pub(crate) struct NewSpeed {
    pub(crate) job: BlockJob,
    pub(crate) bandwidth: u64,
}

/// What a hypervisor is asked in its own words.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) name: String,
    /// A JSON object, or nothing.
    pub(crate) arguments: String,
}

/// What is written down of a guest's memory, and how.
#[derive(Clone, Debug)]
pub(crate) struct DumpWish {
    pub(crate) format: String,
    pub(crate) options: Vec<Fact>,
}

/// Where in a layer of a disk a write is told of.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    pub(crate) target: String,
    pub(crate) layer: u32,
    pub(crate) bytes: u64,
}

/// The size that a disk is to have.
#[derive(Clone, Debug)]
pub(crate) struct NewSize {
    pub(crate) target: String,
    pub(crate) bytes: u64,
}

/// Keys that are pressed together.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Linux's input event codes.
    pub(crate) keys: Vec<u32>,
    pub(crate) hold_ms: u32,
}

/// What a driver answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Described(Description),
    Document(Result<String, Error>),
    State(Result<RunState, Error>),
    Done(Result<(), Error>),
    Facts(Result<Vec<Fact>, Error>),
    Presence(Result<Presence, Error>),
    Reported(Result<JobReport, Error>),
    Whether(Result<bool, Error>),
    MigrationReported(Result<MigrationReport, Error>),
    Amounts(Result<Amounts, Error>),
}

impl Request {
    /// The operation that it is.
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Describe => Operation::Describe,
            Self::Check => Operation::Check,
            Self::Start(_) => Operation::Start,
            Self::Shutdown => Operation::Shutdown,
            Self::Destroy => Operation::Destroy,
            Self::Suspend => Operation::Suspend,
            Self::Resume => Operation::Resume,
            Self::Reset => Operation::Reset,
            Self::Query => Operation::Query,
            Self::Reattach => Operation::Reattach,
            Self::OnEvent(_) => Operation::OnEvent,
            Self::RecoveryComplete => Operation::RecoveryComplete,
            Self::Show => Operation::Show,
            Self::Save(_) => Operation::Save,
            Self::Restore(_) => Operation::Restore,
            Self::AbandonSave => Operation::AbandonSave,
            Self::TakePicture(_) => Operation::TakePicture,
            Self::PressKeys(_) => Operation::PressKeys,
            Self::Reboot => Operation::Reboot,
            Self::Dump(_) => Operation::Dump,
            Self::ReadStatistics => Operation::ReadStatistics,
            Self::Attach(_) => Operation::Attach,
            Self::Detach(_) => Operation::Detach,
            Self::UpdateDevice(_) => Operation::UpdateDevice,
            Self::SettleDevice(_) => Operation::SettleDevice,
            Self::BeginBlockJob(_) => Operation::BeginBlockJob,
            Self::ReportBlockJob(_) => Operation::ReportBlockJob,
            Self::CompleteBlockJob(_) => Operation::CompleteBlockJob,
            Self::CancelBlockJob(_) => Operation::CancelBlockJob,
            Self::SettleBlockJob(_) => Operation::SettleBlockJob,
            Self::ResizeDisk(_) => Operation::ResizeDisk,
            Self::Overlay(_) => Operation::Overlay,
            Self::SettleOverlay(_) => Operation::SettleOverlay,
            Self::Keep(_) => Operation::Keep,
            Self::SettleKeep(_) => Operation::SettleKeep,
            Self::Forget(_) => Operation::Forget,
            Self::BringBack(_) => Operation::BringBack,
            Self::OverlayWithMemory(_) => Operation::OverlayWithMemory,
            Self::BeginMigration(_) => Operation::BeginMigration,
            Self::ReportMigration(_) => Operation::ReportMigration,
            Self::AbandonMigration => Operation::AbandonMigration,
            Self::PrepareGuest(_) => Operation::PrepareGuest,
            Self::ReceiveGuest => Operation::ReceiveGuest,
            Self::ReadAmounts => Operation::ReadAmounts,
            Self::SetMemory(_) => Operation::SetMemory,
            Self::SetVcpus(_) => Operation::SetVcpus,
            Self::SetJobSpeed(_) => Operation::SetJobSpeed,
            Self::PrepareBlockJob(_) => Operation::PrepareBlockJob,
            Self::Ask(_) => Operation::Ask,
            Self::Interrupt => Operation::Interrupt,
            Self::Wake => Operation::Wake,
            Self::CountMemory(_) => Operation::CountMemory,
            Self::WatchWrites(_) => Operation::WatchWrites,
            Self::MeasureWrites(_) => Operation::MeasureWrites,
        }
    }
}
