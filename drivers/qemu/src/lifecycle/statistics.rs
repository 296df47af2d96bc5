//! What QEMU counts, under the names of libvirt's bulk statistics.

use hostler_sdk::domain::Domain as Document;
use hostler_sdk::{Command, Domain, Error, Fact, MonitorExt, fact};
use serde_json::Value as Json;

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

/// Reads them: four questions in one exchange.
///
/// # Errors
/// What the host or the monitor answers. A machine without a balloon has no counters of one.
pub(crate) fn read(domain: &Domain) -> Result<Vec<Fact>, Error> {
    let document = Document::parse(&domain.config())?;
    let monitor = domain.monitor()?;
    let asked = ["query-cpus-fast", "query-blockstats", "query-block", "query-balloon"];
    let mut answers = monitor.run_all(&asked.map(Command::new)).into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Ok("null".to_owned()));
    let (cpus, counters, images) = (json(&next()?), json(&next()?), json(&next()?));
    let balloon = next().map(|text| json(&text)).unwrap_or_default();
    let mut facts = memory(&document, &balloon);
    facts.push(fact("vcpu.current", count(&cpus)));
    facts.push(fact("vcpu.maximum", document.vcpus.maximum.to_string()));
    facts.extend(disks(&document, &counters, &images));
    Ok(facts)
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
    fn machine_without_a_balloon_has_no_counters_of_one() {
        assert_eq!(memory(&document(), &Json::Null).len(), 1);
        let facts = memory(&document(), &json!({"actual": 1_048_576}));
        assert_eq!((facts[1].key.as_str(), facts[1].value.as_str()), ("balloon.current", "1024"));
    }
}
