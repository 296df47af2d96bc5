//! The operations of a driver: their names in messages, and how long each may take.

use std::fmt;
use std::time::Duration;

use crate::limits::Limits;

/// One call of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `about.describe`
    Describe,
    /// `lifecycle.check`
    Check,
    /// `lifecycle.start`
    Start,
    /// `lifecycle.shutdown`
    Shutdown,
    /// `lifecycle.destroy`
    Destroy,
    /// `lifecycle.suspend`
    Suspend,
    /// `lifecycle.resume`
    Resume,
    /// `lifecycle.reset`
    Reset,
    /// `lifecycle.query`
    Query,
    /// `lifecycle.reattach`
    Reattach,
    /// `lifecycle.on-event`
    OnEvent,
    /// `lifecycle.recovery-complete`
    RecoveryComplete,
    /// `native-config.show`
    Show,
    /// `save.save`
    Save,
    /// `save.restore`
    Restore,
    /// `save.abandon`
    AbandonSave,
    /// `screen.take`
    TakePicture,
    /// `screen.press`
    PressKeys,
    /// `reboot.reboot`
    Reboot,
    /// `dump.dump`
    Dump,
    /// `statistics.read`
    ReadStatistics,
    /// `hotplug.attach`
    Attach,
    /// `hotplug.detach`
    Detach,
    /// `hotplug.update`
    UpdateDevice,
    /// `hotplug.settle`
    SettleDevice,
    /// `block-jobs.begin`
    BeginBlockJob,
    /// `block-jobs.report`
    ReportBlockJob,
    /// `block-jobs.complete`
    CompleteBlockJob,
    /// `block-jobs.cancel`
    CancelBlockJob,
    /// `block-jobs.settle`
    SettleBlockJob,
    /// `block-jobs.resize`
    ResizeDisk,
    /// `snapshots.overlay`
    Overlay,
    /// `snapshots.settle`
    SettleOverlay,
    /// `snapshots.keep`
    Keep,
    /// `snapshots.settle-keep`
    SettleKeep,
    /// `snapshots.forget`
    Forget,
    /// `snapshots.bring-back`
    BringBack,
    /// `snapshots.overlay-with-memory`
    OverlayWithMemory,
    /// `migration.begin`
    BeginMigration,
    /// `migration.report`
    ReportMigration,
    /// `migration.abandon`
    AbandonMigration,
    /// `migration.prepare`
    PrepareGuest,
    /// `migration.receive`
    ReceiveGuest,
    /// `sizing.read`
    ReadAmounts,
    /// `sizing.set-memory`
    SetMemory,
    /// `sizing.set-vcpus`
    SetVcpus,
    /// `block-jobs.set-speed`
    SetJobSpeed,
    /// `block-jobs.prepare`
    PrepareBlockJob,
    /// `upkeep.ask`
    Ask,
    /// `upkeep.interrupt`
    Interrupt,
    /// `upkeep.wake`
    Wake,
    /// `upkeep.count-memory`
    CountMemory,
    /// `upkeep.watch-writes`
    WatchWrites,
    /// `upkeep.measure-writes`
    MeasureWrites,
}

impl Operation {
    /// The name that the contract gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Check => "check",
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::Destroy => "destroy",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::Query => "query",
            Self::Reattach => "reattach",
            Self::OnEvent => "on-event",
            Self::RecoveryComplete => "recovery-complete",
            Self::Show => "show",
            Self::Save => "save",
            Self::Restore => "restore",
            Self::AbandonSave => "abandon-save",
            Self::TakePicture => "take-picture",
            Self::PressKeys => "press-keys",
            Self::Reboot => "reboot",
            Self::Dump => "dump",
            Self::ReadStatistics => "read-statistics",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::UpdateDevice => "update-device",
            Self::SettleDevice => "settle-device",
            Self::BeginBlockJob => "begin-block-job",
            Self::ReportBlockJob => "report-block-job",
            Self::CompleteBlockJob => "complete-block-job",
            Self::CancelBlockJob => "cancel-block-job",
            Self::SettleBlockJob => "settle-block-job",
            Self::ResizeDisk => "resize-disk",
            Self::Overlay => "overlay",
            Self::SettleOverlay => "settle-overlay",
            Self::Keep => "keep",
            Self::SettleKeep => "settle-keep",
            Self::Forget => "forget",
            Self::BringBack => "bring-back",
            Self::OverlayWithMemory => "overlay-with-memory",
            Self::BeginMigration => "begin-migration",
            Self::ReportMigration => "report-migration",
            Self::AbandonMigration => "abandon-migration",
            Self::PrepareGuest => "prepare-guest",
            Self::ReceiveGuest => "receive-guest",
            Self::ReadAmounts => "read-amounts",
            Self::SetMemory => "set-memory",
            Self::SetVcpus => "set-vcpus",
            Self::SetJobSpeed => "set-job-speed",
            Self::PrepareBlockJob => "prepare-block-job",
            Self::Ask => "ask",
            Self::Interrupt => "interrupt",
            Self::Wake => "wake",
            Self::CountMemory => "count-memory",
            Self::WatchWrites => "watch-writes",
            Self::MeasureWrites => "measure-writes",
        }
    }

    /// How long it may take, by its class.
    pub(crate) fn wall(self, limits: &Limits) -> Duration {
        match self {
            Self::Describe | Self::Check | Self::Show => limits.plan,
            Self::Start | Self::PrepareGuest => limits.start,
            Self::Save
            | Self::Restore
            | Self::Dump
            | Self::Keep
            | Self::SettleKeep
            | Self::BringBack
            | Self::OverlayWithMemory
            | Self::ReceiveGuest => limits.transfer,
            Self::Shutdown
            | Self::Suspend
            | Self::Resume
            | Self::Reset
            | Self::Query
            | Self::TakePicture
            | Self::PressKeys
            | Self::Reboot
            | Self::ReadStatistics
            | Self::ReadAmounts
            | Self::SetMemory
            | Self::SetVcpus
            | Self::SetJobSpeed
            | Self::PrepareBlockJob
            | Self::Ask
            | Self::Interrupt
            | Self::Wake
            | Self::CountMemory
            | Self::WatchWrites
            | Self::MeasureWrites
            | Self::Attach
            | Self::Detach
            | Self::UpdateDevice
            | Self::BeginBlockJob
            | Self::ReportBlockJob
            | Self::CompleteBlockJob
            | Self::CancelBlockJob
            | Self::SettleBlockJob
            | Self::ResizeDisk
            | Self::Overlay
            | Self::Forget
            | Self::BeginMigration
            | Self::ReportMigration => limits.control,
            Self::Destroy => limits.end,
            Self::Reattach
            | Self::OnEvent
            | Self::RecoveryComplete
            | Self::AbandonSave
            | Self::SettleDevice
            | Self::SettleOverlay
            | Self::AbandonMigration => limits.recovery,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
