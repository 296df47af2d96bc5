//! What an event of ours is to a client of libvirt: a kind, two numbers, a message.

use std::collections::HashSet;

use hostler_domains::Event;
use hostler_rpc::procedure::EventContent as _;
use hostler_rpc::wire::{self, DomainHandle};
use hostler_rpc::xdr::{Xdr, encode};
use uuid::Uuid;

use super::machine;

/// What a client is told of that is in no log: it is how something stands, not what has happened.
pub(super) const BLOCK_JOB_READY: &str = "block-job-ready";

/// What is told to whoever wants events of this kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The kind of event, as clients ask for it.
    pub(super) kind: i32,
    /// The number of the message.
    pub(super) procedure: i32,
    /// The message, without the number that it is wanted under.
    pub(super) content: Vec<u8>,
}

/// Kinds of events, as clients ask for them.
pub(crate) mod kind {
    pub(crate) const LIFECYCLE: i32 = 0;
    pub(crate) const REBOOT: i32 = 1;
    pub(crate) const CLOCK_CHANGE: i32 = 2;
    pub(crate) const WATCHDOG: i32 = 3;
    pub(crate) const IO_ERROR: i32 = 4;
    pub(crate) const GRAPHICS: i32 = 5;
    pub(crate) const IO_ERROR_REASON: i32 = 6;
    pub(crate) const BLOCK_JOB: i32 = 8;
    pub(crate) const TRAY_CHANGE: i32 = 10;
    pub(crate) const WAKEUP: i32 = 11;
    pub(crate) const SLEEP: i32 = 12;
    pub(crate) const BALLOON_CHANGE: i32 = 13;
    pub(crate) const DEVICE_REMOVED: i32 = 15;
    pub(crate) const BLOCK_JOB_2: i32 = 16;
    pub(crate) const AGENT: i32 = 18;
    pub(crate) const DEVICE_ADDED: i32 = 19;
    pub(crate) const DEVICE_REMOVAL_FAILED: i32 = 22;
    pub(crate) const METADATA_CHANGE: i32 = 23;
    pub(crate) const BLOCK_THRESHOLD: i32 = 24;
    /// The last that there is.
    pub(crate) const LAST: i32 = 26;
}

/// Everything that an event is to clients, in the order in which they are told. `switched_off` has the domains of which it was
/// told that their guests have switched themselves off.
pub(super) fn of(event: &Event, dom: &DomainHandle, switched_off: &mut HashSet<Uuid>) -> Vec<Told> {
    let handle = dom;
    let dom = || handle.clone();
    let detail = |name: &str| event.detail.get(name).map(String::as_str).unwrap_or_default();
    let mut told: Vec<Told> = switching_off(event, handle, switched_off)
        .into_iter()
        .chain(lifecycle(event).iter().copied())
        .filter_map(|(event, detail)| {
            let msg = wire::DomainEventLifecycleMsg { dom: dom(), event, detail };
            message(kind::LIFECYCLE, wire::DomainEventCallbackLifecycle::NUMBER, &msg)
        })
        .collect();
    told.extend(match event.kind.as_str() {
        "reset" => {
            let msg = wire::DomainEventRebootMsg { dom: dom() };
            message(kind::REBOOT, wire::DomainEventCallbackReboot::NUMBER, &msg)
        }
        "watchdog" => {
            let msg = wire::DomainEventWatchdogMsg { dom: dom(), action: watchdog_action(detail("action")) };
            message(kind::WATCHDOG, wire::DomainEventCallbackWatchdog::NUMBER, &msg)
        }
        "tray-moved" => {
            let reason = i32::from(detail("tray-open") != "yes");
            let msg =
                wire::DomainEventTrayChangeMsg { dom: dom(), dev_alias: detail("id").to_owned(), reason };
            message(kind::TRAY_CHANGE, wire::DomainEventCallbackTrayChange::NUMBER, &msg)
        }
        // The hypervisor says it whether somebody waits for it or not. Parts of a device have no name.
        "device-removed" if !detail("device").is_empty() => {
            let msg =
                wire::DomainEventDeviceRemovedMsg { dom: dom(), dev_alias: detail("device").to_owned() };
            message(kind::DEVICE_REMOVED, wire::DomainEventCallbackDeviceRemoved::NUMBER, &msg)
        }
        "device-attached" => {
            let msg = (dom(), detail("device").to_owned());
            message(kind::DEVICE_ADDED, wire::DomainEventCallbackDeviceAdded::NUMBER, &msg)
        }
        "memory-changed" => detail("bytes").parse::<u64>().ok().and_then(|bytes| {
            let msg = wire::DomainEventBalloonChangeMsg { dom: dom(), actual: bytes >> 10 };
            message(kind::BALLOON_CHANGE, wire::DomainEventCallbackBalloonChange::NUMBER, &msg)
        }),
        "write-threshold" => write_threshold(event, handle),
        // The reason comes before the message, as only in these two.
        "guest-slept" => {
            let msg = (0, wire::DomainEventPmsuspendMsg { dom: dom() });
            message(kind::SLEEP, wire::DomainEventCallbackPmsuspend::NUMBER, &msg)
        }
        "guest-woke" => {
            let msg = (0, wire::DomainEventPmwakeupMsg { dom: dom() });
            message(kind::WAKEUP, wire::DomainEventCallbackPmwakeup::NUMBER, &msg)
        }
        _ => None,
    });
    told.extend(block_job(event, handle));
    told.extend(machine::of(event, handle));
    told
}

pub(super) fn message(kind: i32, procedure: i32, content: &impl Xdr) -> Option<Told> {
    let content = encode(content);
    if let Err(error) = &content {
        tracing::error!(procedure, %error, "an event cannot be told");
    }
    Some(Told { kind, procedure, content: content.ok()? })
}

/// That a guest has switched itself off. It is told before its end, whichever of the two is heard of first: its hypervisor says
/// so, and ends at once.
fn switching_off(event: &Event, dom: &DomainHandle, told: &mut HashSet<Uuid>) -> Option<(i32, i32)> {
    const BY_GUEST: (i32, i32) = (6, 1);
    let is = |name: &str, value: &str| event.detail.get(name).is_some_and(|detail| detail == value);
    let new = match event.kind.as_str() {
        "guest-shut-down" => is("guest", "yes") && dom.id >= 0 && told.insert(event.domain),
        "stopped" => !told.remove(&event.domain) && is("reason", "shutdown"),
        _ => false,
    };
    new.then_some(BY_GUEST)
}

/// That a guest has written behind the bytes that somebody wanted to be told of.
fn write_threshold(event: &Event, dom: &DomainHandle) -> Option<Told> {
    let detail = |name: &str| event.detail.get(name).cloned().unwrap_or_default();
    let number = |name: &str| detail(name).parse::<u64>().unwrap_or(0);
    // The active layer goes by the name of its disk.
    let layer = Some(detail("layer")).filter(|layer| layer != "0").map(|layer| format!("[{layer}]"));
    let dev = detail("disk") + &layer.unwrap_or_default();
    let place = (dev, Some(detail("image")));
    let msg = ((dom.clone(), place), (number("threshold"), number("excess")));
    message(kind::BLOCK_THRESHOLD, wire::DomainEventBlockThreshold::NUMBER, &msg)
}

/// News of work on a disk, told twice: by the file that the guest wrote to, and by the disk's target.
fn block_job(event: &Event, dom: &DomainHandle) -> Vec<Told> {
    let detail = |name: &str| event.detail.get(name).map(String::as_str).unwrap_or_default();
    let status = match event.kind.as_str() {
        BLOCK_JOB_READY => 3,
        "block-job-ended" if detail("given-up") == "yes" => 2,
        "block-job-ended" => i32::from(event.detail.contains_key("error")),
        _ => return Vec::new(),
    };
    let r#type = job_type(detail("kind"), detail("active") == "yes");
    let (path, dst) = (detail("image").to_owned(), detail("disk").to_owned());
    let by_file = wire::DomainEventBlockJobMsg { dom: dom.clone(), path, r#type, status };
    let by_target = ((dom.clone(), dst), (r#type, status));
    let by_target = message(kind::BLOCK_JOB_2, wire::DomainEventBlockJob2::NUMBER, &by_target);
    let by_file = message(kind::BLOCK_JOB, wire::DomainEventCallbackBlockJob::NUMBER, &by_file);
    by_file.into_iter().chain(by_target).collect()
}

/// The number of what is done to a disk, as clients know it.
pub(crate) fn job_type(kind: &str, active: bool) -> i32 {
    const PULL: i32 = 1;
    const COPY: i32 = 2;
    const COMMIT: i32 = 3;
    const ACTIVE_COMMIT: i32 = 4;
    match (kind, active) {
        ("pull", _) => PULL,
        ("copy", _) => COPY,
        (_, false) => COMMIT,
        (_, true) => ACTIVE_COMMIT,
    }
}

/// Steps of a life: what happened, and how.
fn lifecycle(event: &Event) -> &'static [(i32, i32)] {
    let detail = |name: &str| event.detail.get(name).map(String::as_str);
    let paused = detail("paused") == Some("yes");
    match event.kind.as_str() {
        "defined" => &[(0, 0)],
        "redefined" => &[(0, 1)],
        "renamed" => &[(1, 1), (0, 2)],
        "undefined" => &[(1, 0)],
        "started" if paused => &[(2, 0), (3, 0)],
        "started" => &[(4, 0), (2, 0)],
        "restored" if paused => &[(2, 2), (3, 4)],
        "restored" => &[(2, 2), (4, 0)],
        "received" => &[(2, 1), (4, 1)],
        "reverted" => &[(2, 3)],
        "suspended" => &[(3, 0)],
        "resumed" => &[(4, 0)],
        "guest-slept" => &[(7, 0)],
        "guest-panicked" => &[(8, 0)],
        "io-error" if detail("action") == Some("stop") => &[(3, 2)],
        "watchdog" if detail("action") == Some("pause") => &[(3, 3)],
        "stopped" => match detail("reason") {
            Some("shutdown") => &[(5, 0)],
            Some("destroyed") => &[(5, 1)],
            Some("migrated") => &[(5, 3)],
            Some("saved") => &[(5, 4)],
            Some("failed") => &[(5, 5)],
            _ => &[(5, 2)],
        },
        _ => &[],
    }
}

fn watchdog_action(word: &str) -> i32 {
    let actions = ["none", "pause", "reset", "poweroff", "shutdown", "debug", "inject-nmi"];
    let found = actions.iter().position(|action| *action == word);
    found.and_then(|action| i32::try_from(action).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn event(kind: &str, detail: &[(&str, &str)]) -> Event {
        let detail = detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Event {
            seq: 1,
            time_ms: 0,
            domain: Uuid::nil(),
            name: "a".to_owned(),
            kind: kind.to_owned(),
            detail: BTreeMap::from_iter(detail),
        }
    }

    #[test]
    fn start_and_end_are_told_in_libvirts_order() {
        assert_eq!(lifecycle(&event("started", &[])), [(4, 0), (2, 0)]);
        assert_eq!(lifecycle(&event("started", &[("paused", "yes")])), [(2, 0), (3, 0)]);
        assert_eq!(lifecycle(&event("stopped", &[("reason", "destroyed")])), [(5, 1)]);
        assert_eq!(lifecycle(&event("stopped", &[("reason", "crashed")])), [(5, 2)]);
        assert!(lifecycle(&event("dumped", &[])).is_empty());
    }

    #[test]
    fn guest_that_switches_itself_off_is_told_once_before_its_end() {
        let dom = |id| DomainHandle { name: "a".to_owned(), uuid: [0; 16], id };
        let said = event("guest-shut-down", &[("guest", "yes")]);
        let ended = event("stopped", &[("reason", "shutdown")]);
        let mut off = HashSet::new();
        assert_eq!(switching_off(&said, &dom(1), &mut off), Some((6, 1)));
        assert_eq!(switching_off(&ended, &dom(-1), &mut off), None);
        // Heard of in the other order.
        assert_eq!(switching_off(&ended, &dom(-1), &mut off), Some((6, 1)));
        assert_eq!(switching_off(&said, &dom(-1), &mut off), None);
        let destroyed = event("stopped", &[("reason", "destroyed")]);
        assert_eq!(switching_off(&destroyed, &dom(-1), &mut off), None);
    }

    #[test]
    fn message_is_what_the_tables_say_but_for_its_number() {
        let dom = DomainHandle { name: "a".to_owned(), uuid: [0; 16], id: 7 };
        let mut off = HashSet::new();
        let told = of(&event("device-attached", &[("device", "net0")]), &dom, &mut off);
        let [told] = told.as_slice() else { panic!("{told:?}") };
        let mut whole = 9_i32.to_be_bytes().to_vec();
        whole.extend(&told.content);
        let read: wire::DomainEventCallbackDeviceAdded = hostler_rpc::xdr::decode(&whole).unwrap();
        assert_eq!((read.callback_id, read.dom, read.dev_alias.as_str()), (9, dom.clone(), "net0"));
        let ended =
            [("kind", "commit"), ("active", "yes"), ("disk", "vda"), ("image", "/a"), ("given-up", "yes")];
        let told = of(&event("block-job-ended", &ended), &dom, &mut off);
        let [by_file, by_target] = told.as_slice() else { panic!("{told:?}") };
        let whole = |told: &Told| [&[0, 0, 0, 9], told.content.as_slice()].concat();
        let read: wire::DomainEventCallbackBlockJob = hostler_rpc::xdr::decode(&whole(by_file)).unwrap();
        assert_eq!((read.msg.path.as_str(), read.msg.r#type, read.msg.status), ("/a", 4, 2));
        let read: wire::DomainEventBlockJob2 = hostler_rpc::xdr::decode(&whole(by_target)).unwrap();
        assert_eq!((read.dst.as_str(), read.r#type, read.status), ("vda", 4, 2));
        let told = of(&event("guest-slept", &[]), &dom, &mut off);
        assert_eq!(told.iter().map(|told| told.kind).collect::<Vec<_>>(), [kind::LIFECYCLE, kind::SLEEP]);
    }
}
