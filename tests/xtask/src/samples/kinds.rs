//! The samples: how each image comes about, how a document names it, and what QEMU may open of it.

use super::craft;
use std::io;
use std::path::Path;

/// One sample. `DIR` stands for its directory, wherever a name is given.
#[derive(Clone)]
pub(crate) struct Sample {
    /// What it is.
    pub(crate) name: &'static str,
    /// Arguments of `qemu-img`, a call each.
    pub(crate) images: Vec<&'static str>,
    /// What `qemu-img` cannot make.
    pub(crate) craft: Option<fn(&Path) -> io::Result<()>>,
    /// The document's element.
    pub(crate) disk: String,
    /// The external data file of the active layer.
    pub(crate) data_file: Option<&'static str>,
    /// What else it needs.
    pub(crate) needs: Needs,
    /// The files that QEMU holds open, and whether for writing. Nothing else in the directory may be.
    pub(crate) files: &'static [(&'static str, bool)],
}

/// What a sample needs besides its files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// The file `a` as the block device `DEVICE`.
    Loop,
    /// A server of the file `a` behind the socket `DIR/socket`.
    Server,
    /// QEMU makes nodes of its own for it.
    HiddenNodes,
}

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    [plain(), formats(), read_only_formats(), encrypted(), chains(), elsewhere(), filters()].concat()
}

fn sample(name: &'static str, images: &[&'static str], disk: String) -> Sample {
    Sample {
        name,
        images: images.to_vec(),
        craft: None,
        disk,
        data_file: None,
        needs: Needs::Nothing,
        // S1: bytes that no format node writes to by itself are open for reading until a guest or a job writes.
        files: &[("a", false)],
    }
}

/// A sample whose format's own header is written as soon as it is open for writing.
fn formatted(name: &'static str, images: &[&'static str], disk: String) -> Sample {
    Sample { files: &[("a", true)], ..sample(name, images, disk) }
}

/// A disk in the file `a`.
fn file(driver: &str, in_source: &str, after: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' {driver}/><source file='DIR/a'>{in_source}</source>{after}\
         <target dev='vda' bus='virtio'/></disk>"
    )
}

const SLICE: &str = "<slices><slice type='storage' offset='1048576' size='2097152'/></slices>";

fn plain() -> Vec<Sample> {
    let options = "type='raw' cache='unsafe' discard='unmap' detect_zeroes='unmap' io='threads'";
    vec![
        sample("raw", &["create -f raw DIR/a 4M"], file("type='raw'", "", "")),
        sample("raw with every option", &["create -f raw DIR/a 4M"], file(options, "", "")),
        sample("raw slice", &["create -f raw DIR/a 4M"], file("type='raw'", SLICE, "")),
        sample("raw, read-only", &["create -f raw DIR/a 4M"], file("type='raw'", "", "<readonly/>")),
    ]
}

fn formats() -> Vec<Sample> {
    let made = |format: &'static str, image: &'static str| {
        formatted(format, &[image], file(&format!("type='{format}'"), "", "<backingStore/>"))
    };
    let mut all = vec![
        made("qcow2", "create -f qcow2 DIR/a 4M"),
        made("qcow", "create -f qcow DIR/a 4M"),
        made("qed", "create -f qed DIR/a 4M"),
        made("vmdk", "create -f vmdk DIR/a 4M"),
        made("vdi", "create -f vdi DIR/a 4M"),
        made("vpc", "create -f vpc DIR/a 4M"),
        made("vhdx", "create -f vhdx DIR/a 4M"),
        made("parallels", "create -f parallels DIR/a 4M"),
    ];
    all.push(Sample {
        craft: Some(craft::sliced_qcow2),
        ..formatted(
            "qcow2 in a slice",
            &["create -f qcow2 DIR/inner 4M", "create -f raw DIR/a 4M"],
            file("type='qcow2'", SLICE, "<backingStore/>"),
        )
    });
    all
}

fn read_only_formats() -> Vec<Sample> {
    let crafted = |name: &'static str, craft: fn(&Path) -> io::Result<()>| Sample {
        craft: Some(craft),
        ..sample(name, &[], file(&format!("type='{name}'"), "", "<readonly/>"))
    };
    vec![crafted("bochs", craft::bochs), crafted("cloop", craft::cloop), crafted("dmg", craft::dmg)]
}

fn encrypted() -> Vec<Sample> {
    const LUKS: &str = "<encryption format='luks'><secret type='passphrase' usage='u'/></encryption>";
    let inside = format!("{SLICE}{LUKS}");
    vec![
        sample(
            "luks",
            &[
                "create --object secret,id=s,data=hunter2 -f luks -o key-secret=s,iter-time=10,hash-alg=sha512 DIR/a 4M",
            ],
            file("type='raw'", LUKS, ""),
        ),
        Sample {
            craft: Some(craft::sliced_luks),
            ..sample(
                "luks in a slice",
                &[
                    "create --object secret,id=s,data=hunter2 -f luks -o key-secret=s,iter-time=10,hash-alg=sha512 DIR/inner 16k",
                    "create -f raw DIR/a 8M",
                ],
                file("type='raw'", &inside.replace("2097152", "6291456"), ""),
            )
        },
        formatted(
            "qcow2 with luks",
            &[
                "create --object secret,id=s,data=hunter2 -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,encrypt.hash-alg=sha512 DIR/a 4M",
            ],
            file("type='qcow2'", LUKS, "<backingStore/>"),
        ),
    ]
}

fn chains() -> Vec<Sample> {
    let below = "<backingStore type='file'><format type='qcow2'/><source file='DIR/b'/>\
                 <backingStore type='file'><format type='raw'/><source file='DIR/c'/><backingStore/></backingStore></backingStore>";
    let chain = [
        "create -f raw DIR/c 4M",
        "create -f qcow2 -b DIR/c -F raw DIR/b",
        "create -f qcow2 -b DIR/b -F qcow2 DIR/a",
    ];
    vec![
        Sample {
            files: &[("a", true), ("b", false), ("c", false)],
            ..sample("qcow2 chain", &chain, file("type='qcow2' cache='writeback'", "", below))
        },
        // S0: the header names a file, the document says that nothing is below, and the document is right.
        formatted(
            "qcow2 whose header is not followed",
            &["create -f raw DIR/secret 4M", "create -f qcow2 -b DIR/secret -F raw DIR/a"],
            file("type='qcow2'", "", "<backingStore/>"),
        ),
        Sample {
            data_file: Some("d"),
            files: &[("a", true), ("d", false)],
            ..sample(
                "qcow2 with data file",
                &["create -f qcow2 -o data_file=DIR/d,data_file_raw=on DIR/a 4M"],
                file("type='qcow2'", "", "<backingStore/>"),
            )
        },
    ]
}

fn elsewhere() -> Vec<Sample> {
    let disk = |kind: &str, device: &str, driver: &str, source: &str, after: &str| {
        format!(
            "<disk type='{kind}' device='{device}'><driver name='qemu' type='{driver}'/>{source}{after}</disk>"
        )
    };
    let vda = "<target dev='vda' bus='virtio'/>";
    let server =
        "<source protocol='nbd'><host transport='unix' socket='DIR/socket'/><reconnect delay='1'/></source>";
    vec![
        Sample {
            needs: Needs::Loop,
            ..sample(
                "block device",
                &["create -f raw DIR/a 4M"],
                disk("block", "disk", "raw", "<source dev='DEVICE'/>", vda),
            )
        },
        Sample {
            needs: Needs::HiddenNodes,
            craft: Some(craft::directory),
            files: &[],
            ..sample(
                "directory",
                &[],
                disk("dir", "disk", "fat", "<source dir='DIR/tree'/>", &format!("{vda}<readonly/>")),
            )
        },
        Sample {
            needs: Needs::HiddenNodes,
            craft: Some(craft::directory),
            files: &[],
            ..sample(
                "directory as a floppy",
                &[],
                disk(
                    "dir",
                    "floppy",
                    "fat",
                    "<source dir='DIR/tree'/>",
                    "<target dev='fda' bus='fdc'/><readonly/>",
                ),
            )
        },
        Sample {
            needs: Needs::Server,
            files: &[],
            ..sample(
                "nbd on a socket",
                &["create -f raw DIR/a 4M"],
                disk("network", "disk", "raw", server, vda),
            )
        },
    ]
}

fn filters() -> Vec<Sample> {
    let limits = "<iotune><total_bytes_sec>1048576</total_bytes_sec><read_iops_sec>100</read_iops_sec>\
                  <read_iops_sec_max>200</read_iops_sec_max><read_iops_sec_max_length>2</read_iops_sec_max_length></iotune>";
    vec![
        formatted(
            "copy on read",
            &["create -f qcow2 DIR/a 4M"],
            file("type='qcow2' copy_on_read='on'", "", "<backingStore/>"),
        ),
        // What is read is written up, so copying on read holds the file for writing.
        formatted(
            "throttled and copied on read",
            &["create -f raw DIR/a 4M"],
            file("type='raw' copy_on_read='on'", "", limits),
        ),
    ]
}
