//! What QEMU counts, under the names of libvirt's bulk statistics.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::domain::chardev::Chardev;
use hostler_sdk::{Command, Domain, Error, Fact, MonitorExt, fact};
use serde_json::Value as Json;

use super::hotplug;
use crate::alias::{self, Aliases};

/// Counters of a disk: libvirt's name, and where QEMU has it (`BlockDeviceStats`).
const DISK_COUNTERS: &[(&str, &str)] = &[
    ("rd.reqs", "rd_operations"),
    ("rd.bytes", "rd_bytes"),
    ("rd.times", "rd_total_time_ns"),
    ("wr.reqs", "wr_operations"),
    ("wr.bytes", "wr_bytes"),
    ("wr.times", "wr_total_time_ns"),
    ("fl.reqs", "flush_operations"),
    ("fl.times", "flush_total_time_ns"),
];

/// What a guest tells of its memory through its balloon: libvirt's name, QEMU's, and the unit that libvirt counts in.
const GUEST_COUNTERS: &[(&str, &str, u64)] = &[
    ("swap_in", "stat-swap-in", 1_024),
    ("swap_out", "stat-swap-out", 1_024),
    ("major_fault", "stat-major-faults", 1),
    ("minor_fault", "stat-minor-faults", 1),
    ("unused", "stat-free-memory", 1_024),
    ("available", "stat-total-memory", 1_024),
    ("usable", "stat-available-memory", 1_024),
    ("disk_caches", "stat-disk-caches", 1_024),
    ("hugetlb_pgalloc", "stat-htlb-pgalloc", 1),
    ("hugetlb_pgfail", "stat-htlb-pgfail", 1),
];

/// What is told of how fast a guest writes: libvirt's name, and QEMU's.
const DIRTY_RATE: &[(&str, &str)] = &[
    ("calc_start_time", "start-time"),
    ("calc_period", "calc-time"),
    ("megabytes_per_second", "dirty-rate"),
];

/// Reads them: some questions in one exchange.
///
/// # Errors
/// What the host or the monitor answers. A machine without a balloon has no counters of one.
pub(crate) fn read(domain: &Domain) -> Result<Vec<Fact>, Error> {
    let document = Document::parse(&domain.config())?;
    let monitor = domain.monitor()?;
    let asked = [
        "query-cpus-fast",
        "query-blockstats",
        "query-block",
        "query-balloon",
        "query-iothreads",
        "query-dirty-rate",
        "query-chardev",
        "query-status",
    ];
    let told = balloon_path(&document)
        .map(|path| Command::new("qom-get").with("path", path).with("property", "guest-stats"));
    let asked: Vec<_> = asked.map(Command::new).into_iter().chain(told).collect();
    let mut answers = monitor.run_all(&asked).into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Ok("null".to_owned()));
    let (cpus, counters, images) = (json(&next()?), json(&next()?), json(&next()?));
    // The rest is not asked of every machine or version in vain.
    let mut known = || next().map(|text| json(&text)).unwrap_or_default();
    let (balloon, threads, rate, backends) = (known(), known(), known(), known());
    let (status, told) = (known(), known());
    let mut facts = memory(&document, &balloon);
    facts.extend(guest_memory(&told));
    facts.extend(cause(&status));
    facts.extend(processors(&document, &cpus));
    facts.extend(io_threads(&threads));
    facts.extend(dirty_rate(&rate));
    facts.extend(channels(&document, &hotplug::aliases(domain, &document)?, &backends));
    facts.extend(disks(&document, &counters, &images));
    Ok(facts)
}

/// The object of a machine's balloon; none for a machine without one.
pub(super) fn balloon_path(document: &Document) -> Option<String> {
    let balloon = document.devices.memballoon.as_ref().filter(|balloon| balloon.model != "none")?;
    Some(format!("/machine/peripheral/{}", alias::assign(document).get(balloon.node)?))
}

fn processors(document: &Document, cpus: &Json) -> Vec<Fact> {
    let mut facts =
        vec![fact("vcpu.current", count(cpus)), fact("vcpu.maximum", document.vcpus.maximum.to_string())];
    for cpu in cpus.as_array().into_iter().flatten() {
        let number = |name: &str| cpu.get(name).and_then(Json::as_u64);
        if let (Some(index), Some(thread)) = (number("cpu-index"), number("thread-id")) {
            facts.push(fact(&format!("vcpu.{index}.thread"), thread.to_string()));
        }
    }
    facts
}

/// Why a guest's processors stand still, where nobody asked for that (`RunState`).
fn cause(status: &Json) -> Option<Fact> {
    let cause = match status.get("status")?.as_str()? {
        "io-error" => "io-error",
        "watchdog" => "watchdog",
        "finish-migrate" | "postmigrate" => "migration",
        _ => return None,
    };
    Some(fact("standing.cause", cause))
}

/// Whether something in the guest has opened each of its channels.
fn channels(document: &Document, aliases: &Aliases, backends: &Json) -> Vec<Fact> {
    let is_open = |channel: &Chardev| {
        let label = format!("char{}", aliases.get(channel.node)?);
        let named = |backend: &&Json| backend.get("label").and_then(Json::as_str) == Some(label.as_str());
        backends.as_array()?.iter().find(named)?.get("frontend-open")?.as_bool()
    };
    let told = |(index, channel): (usize, &Chardev)| {
        let word = if is_open(channel)? { "yes" } else { "no" };
        Some(fact(&format!("channel.{index}.connected"), word))
    };
    document.devices.channels.iter().enumerate().filter_map(told).collect()
}

/// Threads that do nothing but I/O, by their numbers in the document.
fn io_threads(threads: &Json) -> Vec<Fact> {
    let number = |thread: &Json, name: &str| thread.get(name).and_then(Json::as_u64);
    let own = |thread: &&Json| {
        thread.get("id").and_then(Json::as_str)?.strip_prefix("iothread")?.parse::<u32>().ok()
    };
    let threads = threads.as_array().into_iter().flatten();
    let threads: Vec<_> = threads.filter_map(|thread| Some((own(&thread)?, thread))).collect();
    let mut facts = vec![fact("iothread.count", threads.len().to_string())];
    for (index, (id, thread)) in threads.into_iter().enumerate() {
        facts.push(fact(&format!("iothread.{index}.id"), id.to_string()));
        if let Some(thread) = number(thread, "thread-id") {
            facts.push(fact(&format!("iothread.{index}.thread"), thread.to_string()));
        }
        for name in ["poll-max-ns", "poll-grow", "poll-shrink"] {
            if let Some(value) = number(thread, name) {
                facts.push(fact(&format!("iothread.{id}.{name}"), value.to_string()));
            }
        }
    }
    facts
}

/// How fast the guest writes, once that was measured.
fn dirty_rate(rate: &Json) -> Vec<Fact> {
    let status = match rate.get("status").and_then(Json::as_str) {
        Some("measuring") => "1",
        Some("measured") => "2",
        _ => return Vec::new(),
    };
    let numbers = DIRTY_RATE.iter().filter_map(|(name, member)| {
        Some(fact(&format!("dirtyrate.{name}"), rate.get(member)?.as_i64()?.to_string()))
    });
    std::iter::once(fact("dirtyrate.calc_status", status)).chain(numbers).collect()
}

/// What the guest has told of its memory. What it has not told it has as the highest number.
fn guest_memory(told: &Json) -> Vec<Fact> {
    let number =
        |pointer: &str| told.pointer(pointer).and_then(Json::as_u64).filter(|told| *told != u64::MAX);
    let counters = GUEST_COUNTERS.iter().filter_map(|(name, member, unit)| {
        Some(fact(&format!("balloon.{name}"), (number(&format!("/stats/{member}"))? / unit).to_string()))
    });
    let last = number("/last-update").map(|last| fact("balloon.last-update", last.to_string()));
    counters.chain(last).collect()
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

fn count(list: &Json) -> String {
    list.as_array().map_or(0, Vec::len).to_string()
}

fn memory(document: &Document, balloon: &Json) -> Vec<Fact> {
    let kib = |bytes: u64| (bytes >> 10).to_string();
    let mut facts = vec![fact("balloon.maximum", kib(document.memory.0))];
    if let Some(actual) = balloon.get("actual").and_then(Json::as_u64) {
        facts.push(fact("balloon.current", kib(actual)));
    }
    facts
}

fn disks(document: &Document, counters: &Json, images: &Json) -> Vec<Fact> {
    let aliases = alias::assign(document);
    let disks = &document.devices.disks;
    let mut facts = vec![fact("block.count", disks.len().to_string())];
    for (index, disk) in disks.iter().enumerate() {
        let mut put = |key: &str, value: String| facts.push(fact(&format!("block.{index}.{key}"), value));
        put("name", disk.target.to_string());
        let mut number = |key: &str, entry: Option<&Json>, pointer: &str| {
            if let Some(value) = entry.and_then(|entry| entry.pointer(pointer)).and_then(Json::as_u64) {
                put(key, value.to_string());
            }
        };
        let counted = entry_of(counters, &aliases, disk.node);
        for (name, member) in DISK_COUNTERS {
            number(name, counted, &format!("/stats/{member}"));
        }
        number("allocation", counted, "/parent/stats/wr_highest_offset");
        let image = entry_of(images, &aliases, disk.node);
        number("capacity", image, "/inserted/image/virtual-size");
        number("physical", image, "/inserted/image/actual-size");
        let status = image.and_then(|image| image.get("io-status")?.as_str());
        if let Some(error) = status.filter(|status| *status != "ok") {
            put("error", error.to_owned());
        }
    }
    facts
}

/// The entry whose device is this one: QEMU names it by its id, or by its path in the object tree.
fn entry_of<'a>(list: &'a Json, aliases: &Aliases, node: hostler_sdk::domain::NodeId) -> Option<&'a Json> {
    let alias = aliases.get(node)?;
    list.as_array()?.iter().find(|entry| {
        let device = entry.get("qdev").and_then(Json::as_str).unwrap_or_default();
        device.split('/').any(|part| part == alias)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Document {
        Document::parse(
            "<domain type='qemu'><name>n</name><memory>2048</memory><vcpu>4</vcpu><os><type>hvm</type></os><devices>\
             <disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>\
             <disk type='file' device='cdrom'><target dev='sda' bus='sata'/>\
             <address type='drive' controller='0' bus='0' target='0' unit='0'/></disk></devices></domain>",
        )
        .unwrap()
    }

    #[test]
    fn channels_are_connected_when_the_guest_has_opened_them() {
        let channel =
            |name: &str| format!("<channel type='unix'><target type='virtio' name='{name}'/></channel>");
        let document = Document::parse(&format!(
            "<domain type='qemu'><name>n</name><memory>2048</memory><os><type>hvm</type></os><devices>{}{}{}</devices></domain>",
            channel("a"),
            channel("b"),
            channel("c")
        ))
        .unwrap();
        let backends = json!([
            {"label": "charchannel1", "frontend-open": true, "filename": "x"},
            {"label": "charchannel0", "frontend-open": false, "filename": "x"},
        ]);
        let facts = channels(&document, &alias::assign(&document), &backends);
        let facts: Vec<_> = facts.iter().map(|fact| format!("{}={}", fact.key, fact.value)).collect();
        assert_eq!(facts, ["channel.0.connected=no", "channel.1.connected=yes"]);
    }

    #[test]
    fn counters_are_those_of_the_disk_by_its_device() {
        let counters = json!([
            {"qdev": "sata0-0-0", "stats": {"rd_bytes": 7}},
            {"qdev": "/machine/peripheral/virtio-disk0/virtio-backend",
             "stats": {"rd_bytes": 42, "wr_operations": 3}, "parent": {"stats": {"wr_highest_offset": 9}}},
        ]);
        let images = json!([{"qdev": "/machine/peripheral/virtio-disk0/virtio-backend",
            "inserted": {"image": {"virtual-size": 1024, "actual-size": 512}}}]);
        let facts = disks(&document(), &counters, &images);
        let value = |key: &str| facts.iter().find(|fact| fact.key == key).map(|fact| fact.value.as_str());
        assert_eq!(value("block.count"), Some("2"));
        assert_eq!((value("block.0.name"), value("block.0.rd.bytes")), (Some("vda"), Some("42")));
        assert_eq!((value("block.0.allocation"), value("block.0.capacity")), (Some("9"), Some("1024")));
        assert_eq!((value("block.1.name"), value("block.1.rd.bytes")), (Some("sda"), Some("7")));
        assert_eq!(value("block.1.capacity"), None, "an empty drive");
    }

    #[test]
    fn threads_and_writes_are_told_as_far_as_they_are_known() {
        let key = |fact: &Fact| format!("{}={}", fact.key, fact.value);
        let cpus = json!([{"cpu-index": 0, "thread-id": 7}, {"cpu-index": 1}]);
        let facts: Vec<_> = processors(&document(), &cpus).iter().map(key).collect();
        assert_eq!(facts, ["vcpu.current=2", "vcpu.maximum=4", "vcpu.0.thread=7"]);
        let threads = json!([{"id": "iothread3", "thread-id": 9, "poll-max-ns": 32_768}, {"id": "mine"}]);
        let facts: Vec<_> = io_threads(&threads).iter().map(key).collect();
        let wanted =
            ["iothread.count=1", "iothread.0.id=3", "iothread.0.thread=9", "iothread.3.poll-max-ns=32768"];
        assert_eq!(facts, wanted);
        assert!(dirty_rate(&json!({"status": "unstarted", "calc-time": 0})).is_empty());
        let rate = json!({"status": "measured", "calc-time": 1, "dirty-rate": 5});
        let facts: Vec<_> = dirty_rate(&rate).iter().map(key).collect();
        let wanted =
            ["dirtyrate.calc_status=2", "dirtyrate.calc_period=1", "dirtyrate.megabytes_per_second=5"];
        assert_eq!(facts, wanted);
    }

    #[test]
    fn guest_tells_what_it_knows_of_its_memory() {
        let told = json!({"stats": {"stat-free-memory": 4_096, "stat-swap-in": u64::MAX}, "last-update": 5});
        let facts: Vec<_> = guest_memory(&told).into_iter().map(|fact| (fact.key, fact.value)).collect();
        let wanted = [("balloon.unused", "4"), ("balloon.last-update", "5")];
        assert_eq!(facts, wanted.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn machine_without_a_balloon_has_no_counters_of_one() {
        assert_eq!(memory(&document(), &Json::Null).len(), 1);
        let facts = memory(&document(), &json!({"actual": 1_048_576}));
        assert_eq!((facts[1].key.as_str(), facts[1].value.as_str()), ("balloon.current", "1024"));
    }
}
