//! The QEMU driver: domain XML to argv, QMP, lifecycle.
//!
//! A document is completed once, when it is defined (`complete`); a launch is a pure function of the
//! completed document, its chains and its firmware (`argv`, `blockdev`); what happens to a running
//! guest is a conversation with its monitor (`lifecycle`).

mod address;
mod alias;
mod argv;
pub mod blockdev;
pub mod capability;
mod chains;
mod complete;
mod facts;
mod lifecycle;
mod machine;
mod machine_version;
mod rules;
mod storage_rules;
mod time;

use hostler_sdk::{
    About, Amounts, BlockJob, BlockJobs, Description, Domain, Dump, Error, Event, Fact, Hotplug, JobReport,
    Kept, Lifecycle, Migration, MigrationReport, NativeConfig, Presence, Reboot, RunState, Save, Screen,
    Sizing, Snapshots, Statistics, Upkeep, fact,
};

struct Qemu;

hostler_sdk::driver! {
    Qemu,
    name: "qemu",
    types: ["kvm", "qemu"],
    grants: ["process:qemu-system-x86_64", "process:swtpm", "process:virtiofsd", "process:passt", "qmp", "storage", "firmware", "endpoint", "network", "secret"],
    abilities: [block_jobs, dump, hotplug, migration, native_config, reboot, save, screen, sizing, snapshots, statistics, upkeep],
}

impl About for Qemu {
    fn describe() -> Description {
        Description { title: "QEMU and KVM".to_owned(), facts: vec![fact("architectures", "x86_64 i686")] }
    }
}

impl Lifecycle for Qemu {
    fn check(domain: &Domain) -> Result<String, Error> {
        lifecycle::check(domain)
    }

    fn start(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::start(domain, &options)
    }

    fn shutdown(domain: &Domain) -> Result<(), Error> {
        lifecycle::shutdown(domain)
    }

    fn destroy(domain: &Domain) -> Result<(), Error> {
        lifecycle::destroy(domain)
    }

    fn suspend(domain: &Domain) -> Result<(), Error> {
        lifecycle::suspend(domain)
    }

    fn resume(domain: &Domain) -> Result<(), Error> {
        lifecycle::resume(domain)
    }

    fn reset(domain: &Domain) -> Result<(), Error> {
        lifecycle::reset(domain)
    }

    fn query(domain: &Domain) -> Result<RunState, Error> {
        lifecycle::query(domain)
    }

    fn reattach(domain: &Domain) -> Result<RunState, Error> {
        lifecycle::reattach(domain)
    }

    fn on_event(domain: &Domain, event: Event) -> Result<(), Error> {
        lifecycle::on_event(domain, &event);
        Ok(())
    }

    fn recovery_complete() {
        // Nothing is kept elsewhere for domains that are gone: a hypervisor's traces are the host's.
    }
}

impl NativeConfig for Qemu {
    fn show(domain: &Domain) -> Result<(), Error> {
        lifecycle::show(domain)
    }
}

impl Save for Qemu {
    fn save(domain: &Domain, _options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::save(domain)
    }

    fn restore(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::restore(domain, &options)
    }

    fn abandon(domain: &Domain) -> Result<(), Error> {
        lifecycle::abandon(domain)
    }
}

impl Reboot for Qemu {
    fn reboot(domain: &Domain) -> Result<(), Error> {
        lifecycle::reboot(domain)
    }
}

impl Dump for Qemu {
    fn dump(domain: &Domain, format: String, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::dump(domain, &format, &options)
    }
}

impl Statistics for Qemu {
    fn read(domain: &Domain) -> Result<Vec<Fact>, Error> {
        lifecycle::read(domain)
    }
}

impl Screen for Qemu {
    fn take(domain: &Domain, display: u32) -> Result<String, Error> {
        lifecycle::take(domain, display)
    }

    fn press(domain: &Domain, keys: Vec<u32>, hold_ms: u32) -> Result<(), Error> {
        lifecycle::press(domain, &keys, hold_ms)
    }
}

impl Hotplug for Qemu {
    fn attach(domain: &Domain, device: u32) -> Result<(), Error> {
        lifecycle::attach(domain, device)
    }

    fn detach(domain: &Domain, device: u32) -> Result<Presence, Error> {
        lifecycle::detach(domain, device)
    }

    fn update(domain: &Domain, device: u32, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::update(domain, device, &options)
    }

    fn settle(domain: &Domain, device: u32) -> Result<Presence, Error> {
        lifecycle::settle(domain, device)
    }
}

impl BlockJobs for Qemu {
    fn prepare(domain: &Domain, job: BlockJob) -> Result<(), Error> {
        lifecycle::block_jobs::prepare(domain, &job)
    }

    fn begin(domain: &Domain, job: BlockJob) -> Result<(), Error> {
        lifecycle::block_jobs::begin(domain, &job)
    }

    fn report(domain: &Domain, job: BlockJob, timeout_ms: u64) -> Result<JobReport, Error> {
        lifecycle::block_jobs::report(domain, &job, timeout_ms)
    }

    fn complete(domain: &Domain, job: BlockJob) -> Result<(), Error> {
        lifecycle::block_jobs::complete(domain, &job)
    }

    fn cancel(domain: &Domain, job: BlockJob) -> Result<(), Error> {
        lifecycle::block_jobs::cancel(domain, &job)
    }

    fn settle(domain: &Domain, job: BlockJob) -> Result<(), Error> {
        lifecycle::block_jobs::settle(domain, &job)
    }

    fn set_speed(domain: &Domain, job: BlockJob, bandwidth: u64) -> Result<(), Error> {
        lifecycle::block_jobs::set_speed(domain, &job, bandwidth)
    }

    fn resize(domain: &Domain, target: String, size: u64) -> Result<(), Error> {
        lifecycle::block_jobs::resize(domain, &target, size)
    }
}

impl Migration for Qemu {
    fn begin(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::migrate::begin(domain, &options)
    }

    fn report(domain: &Domain, timeout_ms: u64) -> Result<MigrationReport, Error> {
        lifecycle::migrate::report(domain, timeout_ms)
    }

    fn abandon(domain: &Domain) -> Result<(), Error> {
        lifecycle::migrate::abandon(domain)
    }

    fn prepare(domain: &Domain, _options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::migrate::prepare(domain)
    }

    fn receive(domain: &Domain) -> Result<(), Error> {
        lifecycle::migrate::receive(domain)
    }
}

impl Sizing for Qemu {
    fn read(domain: &Domain) -> Result<Amounts, Error> {
        lifecycle::sizing::read(domain)
    }

    fn set_memory(domain: &Domain, bytes: u64) -> Result<Amounts, Error> {
        lifecycle::sizing::set_memory(domain, bytes)
    }

    fn set_vcpus(domain: &Domain, count: u32) -> Result<Amounts, Error> {
        lifecycle::sizing::set_vcpus(domain, count)
    }
}

impl Upkeep for Qemu {
    fn ask(domain: &Domain, question: String, arguments: String) -> Result<String, Error> {
        lifecycle::upkeep::ask(domain, &question, &arguments)
    }

    fn interrupt(domain: &Domain) -> Result<(), Error> {
        lifecycle::upkeep::interrupt(domain)
    }

    fn wake(domain: &Domain) -> Result<(), Error> {
        lifecycle::upkeep::wake(domain)
    }

    fn count_memory(domain: &Domain, seconds: u32) -> Result<(), Error> {
        lifecycle::upkeep::count_memory(domain, seconds)
    }

    fn watch_writes(domain: &Domain, target: String, layer: u32, bytes: u64) -> Result<(), Error> {
        lifecycle::upkeep::watch_writes(domain, &target, layer, bytes)
    }

    fn measure_writes(domain: &Domain, seconds: u32) -> Result<(), Error> {
        lifecycle::upkeep::measure_writes(domain, seconds)
    }
}

impl Snapshots for Qemu {
    fn overlay(domain: &Domain, targets: Vec<String>) -> Result<(), Error> {
        lifecycle::overlay(domain, &targets)
    }

    fn settle(domain: &Domain, targets: Vec<String>) -> Result<bool, Error> {
        lifecycle::settle_overlays(domain, &targets)
    }

    fn keep(domain: &Domain, kept: Kept) -> Result<(), Error> {
        lifecycle::kept::keep(domain, &kept)
    }

    fn settle_keep(domain: &Domain, kept: Kept) -> Result<bool, Error> {
        lifecycle::kept::settle(domain, &kept)
    }

    fn forget(domain: &Domain, kept: Kept) -> Result<(), Error> {
        lifecycle::kept::forget(domain, &kept)
    }

    fn bring_back(domain: &Domain, kept: Kept, options: Vec<Fact>) -> Result<(), Error> {
        lifecycle::kept::bring_back(domain, &kept, &options)
    }

    fn overlay_with_memory(domain: &Domain, targets: Vec<String>) -> Result<(), Error> {
        lifecycle::overlay_with_memory(domain, &targets)
    }
}

#[cfg(test)]
mod tests;
