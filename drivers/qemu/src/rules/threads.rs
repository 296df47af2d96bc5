//! I/O threads, and what says how threads of the hypervisor run.

use hostler_sdk::domain::NodeId;
use hostler_sdk::domain::controller::ControllerType;
use hostler_sdk::domain::disk::DiskBus;

use super::{Broken, Rule, Subject, broken};
use hostler_sdk::domain::number_set;

pub(super) const RULES: &[Rule] = &[users, tuning, periods];

fn exists(subject: &Subject<'_>, id: u32) -> bool {
    subject.domain.iothreads.all().iter().any(|thread| thread.id == id)
}

/// Disks and controllers that a thread serves.
fn users(subject: &Subject<'_>) -> Option<Broken> {
    let devices = &subject.domain.devices;
    let absent = |node, id: u32| {
        let what = format!("I/O thread {id} is not there");
        broken(node, "qemu.iothread-missing", what, "raise <iothreads>, or use a thread that is there")
    };
    let disks = devices.disks.iter().find_map(|disk| {
        let id = disk.driver.iothread?;
        if !matches!(disk.bus, DiskBus::Virtio) {
            let what = format!("disk '{}' on bus '{}' cannot have an I/O thread", disk.target, disk.bus);
            let remedy = "write bus='virtio', or give the thread to a virtio-scsi controller";
            return broken(subject.within(disk.node, "driver"), "qemu.disk-iothread", what, remedy);
        }
        (!exists(subject, id)).then(|| absent(subject.within(disk.node, "driver"), id)).flatten()
    });
    disks.or_else(|| {
        devices.controllers.iter().find_map(|controller| {
            let id = controller.driver.iothread?;
            let node = subject.within(controller.node, "driver");
            let model = controller.model.as_deref();
            let virtio = model.is_some_and(|model| model.starts_with("virtio-"));
            if controller.kind == ControllerType::Scsi && !virtio {
                let what = "only a SCSI controller of model 'virtio-scsi' has I/O threads";
                return broken(node, "qemu.controller-iothread", what, "write model='virtio-scsi'");
            }
            (!exists(subject, id)).then(|| absent(node, id)).flatten()
        })
    })
}

/// The elements of `<cputune>` of this name, with the set of threads that they name.
fn tuned<'a>(subject: &Subject<'a>, name: &'static str) -> impl Iterator<Item = (NodeId, &'a str)> {
    let document = subject.document();
    let cputune = document.child(document.root(), "cputune");
    let all = cputune.into_iter().flat_map(move |node| document.elements(node));
    all.filter(move |node| document.name(*node) == name).filter_map(move |node| {
        let keys = ["vcpu", "vcpus", "iothread", "iothreads"];
        Some((node, keys.into_iter().find_map(|key| document.attribute(node, key))?))
    })
}

/// Threads that are tuned exist, and are told one thing.
fn tuning(subject: &Subject<'_>) -> Option<Broken> {
    for (name, of_processors) in
        [("vcpupin", true), ("vcpusched", true), ("iothreadpin", false), ("iothreadsched", false)]
    {
        let mut seen: Vec<u32> = Vec::new();
        for (node, text) in tuned(subject, name) {
            let Some(threads) = number_set(text) else {
                let what = format!("'{text}' is no set of threads");
                return broken(node, "qemu.threads-set", what, "write it like '0-3,^2,8'");
            };
            if let Some(absent) = threads.iter().find(|id| !of_processors && !exists(subject, **id)) {
                let what = format!("I/O thread {absent} is not there");
                return broken(
                    node,
                    "qemu.iothread-missing",
                    what,
                    "raise <iothreads>, or remove the element",
                );
            }
            if let Some(twice) = threads.iter().find(|id| seen.contains(id)) {
                let what = format!("<{name}> is given twice for {twice}");
                return broken(node, "qemu.threads-twice", what, "remove one of the two");
            }
            seen.extend(threads);
        }
    }
    None
}

/// Periods and quotas that the kernel takes, in microseconds.
fn periods(subject: &Subject<'_>) -> Option<Broken> {
    const PERIOD: std::ops::RangeInclusive<i64> = 1_000..=1_000_000;
    const QUOTA: std::ops::RangeInclusive<i64> = 1_000..=17_592_186_044_415;
    let document = subject.document();
    let cputune = document.child(document.root(), "cputune")?;
    document.elements(cputune).find_map(|node| {
        let name = document.name(node);
        let range = if name.ends_with("period") {
            PERIOD
        } else if name.ends_with("quota") {
            QUOTA
        } else {
            return None;
        };
        let text = document.text(node);
        let number = text.trim().parse::<i64>().ok();
        // Zero is no limit, and so is every negative quota.
        let free = number.is_some_and(|number| number == 0 || (number < 0 && name.ends_with("quota")));
        (!free && !number.is_some_and(|number| range.contains(&number))).then_some(())?;
        let what =
            format!("<{name}> is '{}', and not between {} and {}", text.trim(), range.start(), range.end());
        broken(node, "qemu.threads-period", what, "write a number of microseconds within the range")
    })
}
