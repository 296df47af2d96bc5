//! The launch: block nodes for each disk, a server, and an export of each.

use hostler_sdk::domain::Domain;
use hostler_sdk::domain::disk::Disk;
use hostler_sdk::{Below, Error, Launch, Layer, ProblemExt, Symbol, Value, problem};

/// The program.
pub(crate) const TEMPLATE: &str = "qemu-storage-daemon";
/// The socket of the server, in the domain's directory for sockets.
pub(crate) const SOCKET: &str = "nbd.sock";
/// The end of the control connection, as the program calls it.
const MONITOR: &str = "charmonitor";

/// Formats of images that are read, the program's drivers for them, and whether something can be below.
const FORMATS: &[(&str, &str, bool)] = &[
    ("raw", "raw", false),
    ("qcow2", "qcow2", true),
    ("qed", "qed", true),
    ("vmdk", "vmdk", true),
    ("vdi", "vdi", false),
    ("vpc", "vpc", false),
    ("vhdx", "vhdx", false),
    ("parallels", "parallels", false),
];

/// The launch of a domain whose disks have these chains; what is not `serving` exports nothing yet.
///
/// # Errors
/// A layer that the program does not read, or whose end is not known.
pub(crate) fn launch(domain: &Domain, chains: &[Vec<Layer>], serving: bool) -> Result<Launch, Error> {
    let mut launch = Launch::new(TEMPLATE);
    let monitor = Value::mapping().with("backend", Symbol::Monitor).with("id", MONITOR);
    launch.option("chardev", monitor);
    launch.option("monitor", Value::mapping().with("chardev", MONITOR).with("mode", "control"));
    let disks = domain.devices.disks.iter().zip(chains).enumerate();
    for (at, (disk, layers)) in disks {
        // What is below comes first.
        for (index, layer) in layers.iter().enumerate().rev() {
            launch.option("blockdev", node(disk, at, index, layer)?);
        }
    }
    let address = Value::mapping().with("type", "unix").with("path", Symbol::Socket(SOCKET.to_owned()));
    launch.option("nbd-server", Value::mapping().with("addr", address));
    if serving {
        exports(domain).into_iter().for_each(|export| launch.option("export", export));
    }
    Ok(launch)
}

/// What is served: each disk under its name.
pub(crate) fn exports(domain: &Domain) -> Vec<Value> {
    let disks = domain.devices.disks.iter().enumerate();
    let export = |(at, disk): (usize, &Disk)| {
        Value::mapping()
            .with("type", "nbd")
            .with("id", format!("export{at}"))
            .with("node-name", name(at, 0))
            .with("name", disk.target.as_str())
            .with("writable", !disk.readonly)
    };
    disks.map(export).collect()
}

/// What the node of a layer is called.
fn name(disk: usize, layer: usize) -> String {
    format!("disk{disk}-layer{layer}")
}

/// A layer's node, with the file that it reads inside it: nobody else can name its bytes.
fn node(disk: &Disk, at: usize, index: usize, layer: &Layer) -> Result<Value, Error> {
    let target = disk.target.as_str();
    let (_, driver, has_backing) =
        FORMATS.iter().find(|(format, ..)| *format == layer.format).ok_or_else(|| {
            let message =
                format!("disk '{target}' has a layer of format '{}', which is not read", layer.format);
            problem("storage-daemon.format", message)
                .hint("convert the image to qcow2 or raw, and name that format in <driver type='…'/>")
                .detail("disk", target)
                .unsupported()
        })?;
    if layer.kind != "file" {
        let message = format!(
            "disk '{target}' has a layer that is held as '{}', and only files are served",
            layer.kind
        );
        return Err(problem("storage-daemon.disk", message).detail("disk", target).unsupported());
    }
    let image = Symbol::Image { disk: target.to_owned(), layer: u32::try_from(index).unwrap_or(u32::MAX) };
    let file = Value::mapping().with("driver", "file").with("filename", image).with("auto-read-only", true);
    let mut node = Value::mapping()
        .with("driver", *driver)
        .with("node-name", name(at, index))
        .with("read-only", layer.read_only || (index == 0 && disk.readonly))
        .with("file", file);
    if let Some(data) = layer.data_file {
        node.set("data-file", below(at, data));
    }
    match layer.below {
        Below::Layer(layer) if *has_backing => node.set("backing", below(at, layer)),
        Below::Nothing if *has_backing => node.set("backing", Value::Null),
        Below::Nothing => {}
        Below::Layer(_) | Below::Unexamined => {
            let message = format!("what lies below layer {index} of disk '{target}' is not known");
            return Err(problem("storage-daemon.chain", message)
                .hint("end the chain in the document with <backingStore/>, or name its layers")
                .detail("disk", target)
                .conflict());
        }
    }
    Ok(node)
}

fn below(disk: usize, layer: u32) -> String {
    name(disk, usize::try_from(layer).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn domain(disks: &str) -> Domain {
        let xml = format!(
            "<domain type='storage-daemon'><name>n</name><memory>1024</memory><os><type>hvm</type></os>\
             <devices>{disks}</devices></domain>"
        );
        document::read(&xml).unwrap()
    }

    fn layer(format: &str, read_only: bool, below: Below) -> Layer {
        Layer {
            format: format.to_owned(),
            kind: "file".to_owned(),
            description: String::new(),
            virtual_size: 1 << 20,
            read_only,
            below,
            data_file: None,
            facts: Vec::new(),
        }
    }

    fn all<'a>(launch: &'a Launch, option: &str) -> Vec<&'a Value> {
        let options = launch.options.iter().filter(|(name, _)| name == option);
        options.filter_map(|(_, value)| value.as_ref()).collect()
    }

    const DISK: &str = "<disk type='file'><source file='/x'/><target dev='vda'/></disk>";

    #[test]
    fn each_disk_is_served_under_its_name_with_what_is_below() {
        let domain =
            domain(&format!("{DISK}{}", DISK.replace("vda", "vdb").replace("<target", "<readonly/><target")));
        let chains = [
            vec![layer("qcow2", false, Below::Layer(1)), layer("raw", true, Below::Nothing)],
            vec![layer("qcow2", false, Below::Nothing)],
        ];
        let paused = launch(&domain, &chains, false).unwrap();
        assert_eq!((all(&paused, "export").len(), all(&paused, "blockdev").len()), (0, 3));
        let launch = launch(&domain, &chains, true).unwrap();
        let nodes = all(&launch, "blockdev");
        let texts = |key: &str| nodes.iter().map(|node| node.get(key).cloned()).collect::<Vec<_>>();
        let names = ["disk0-layer1", "disk0-layer0", "disk1-layer0"].map(|name| Some(Value::from(name)));
        assert_eq!(texts("node-name"), names);
        assert_eq!(texts("backing"), [None, Some("disk0-layer1".into()), Some(Value::Null)]);
        assert_eq!(texts("read-only"), [Some(true.into()), Some(false.into()), Some(true.into())]);
        let exports = all(&launch, "export");
        let exported: Vec<_> =
            exports.iter().map(|export| (export.get("name"), export.get("writable"))).collect();
        let (one, two, yes, no) = ("vda".into(), "vdb".into(), true.into(), false.into());
        assert_eq!(exported, [(Some(&one), Some(&yes)), (Some(&two), Some(&no))]);
    }

    #[test]
    fn layers_that_are_not_read_or_not_known_are_refused() {
        let domain = domain(DISK);
        let code = |layer: Layer| match launch(&domain, &[vec![layer]], true) {
            Err(Error::Unsupported(problem) | Error::Conflict(problem)) => problem.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(layer("cow", false, Below::Nothing)), "storage-daemon.format");
        assert_eq!(code(layer("qcow2", false, Below::Unexamined)), "storage-daemon.chain");
        assert_eq!(code(layer("raw", false, Below::Layer(1))), "storage-daemon.chain");
        let device = Layer { kind: "block".to_owned(), ..layer("raw", false, Below::Nothing) };
        assert_eq!(code(device), "storage-daemon.disk");
    }
}
