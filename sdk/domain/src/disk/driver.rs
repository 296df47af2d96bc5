//! `<driver>` of a disk.

use crate::error::XmlError;
use crate::read::Element;
use crate::virtio::VirtioOptions;

keywords! {
    /// How the host caches.
    CacheMode {
        Default = "default", None = "none", Writethrough = "writethrough", Writeback = "writeback",
        DirectSync = "directsync", Unsafe = "unsafe",
    }
}
keywords! {
    /// What happens on an I/O error.
    ErrorPolicy { Default = "default", Stop = "stop", Report = "report", Ignore = "ignore", Enospace = "enospace" }
}
keywords! {
    /// What happens on a read error.
    ReadErrorPolicy { Default = "default", Stop = "stop", Report = "report", Ignore = "ignore" }
}
keywords! {
    /// How requests reach the host.
    IoMode { Default = "default", Native = "native", Threads = "threads", IoUring = "io_uring" }
}
keywords! {
    /// What becomes of discard requests.
    Discard { Default = "default", Unmap = "unmap", Ignore = "ignore" }
}
keywords! {
    /// What becomes of writes of zeroes.
    DetectZeroes { Default = "default", Off = "off", On = "on", Unmap = "unmap" }
}

/// How a disk is driven; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskDriver {
    /// The implementation, `qemu` in practice.
    pub name: Option<String>,
    /// Format of the active layer (attribute `type`); never guessed.
    pub format: Option<String>,
    /// How the host caches.
    pub cache: Option<CacheMode>,
    /// What happens on an I/O error.
    pub error_policy: Option<ErrorPolicy>,
    /// What happens on a read error, where that differs.
    pub rerror_policy: Option<ReadErrorPolicy>,
    /// How requests reach the host.
    pub io: Option<IoMode>,
    /// Whether the host takes notifications asynchronously.
    pub ioeventfd: Option<bool>,
    /// Whether guest and host tell each other which notification they want.
    pub event_idx: Option<bool>,
    /// Whether what is read from below is copied up.
    pub copy_on_read: Option<bool>,
    /// What becomes of discard requests.
    pub discard: Option<Discard>,
    /// Whether discarded clusters stay allocated in the image.
    pub discard_no_unref: Option<bool>,
    /// What becomes of writes of zeroes.
    pub detect_zeroes: Option<DetectZeroes>,
    /// Id of the I/O thread that serves it.
    pub iothread: Option<u32>,
    /// Number of queues.
    pub queues: Option<u32>,
    /// Entries per queue.
    pub queue_size: Option<u32>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
}

impl DiskDriver {
    pub(super) fn read(driver: Element<'_>) -> Result<Self, XmlError> {
        // Read with the source, where it belongs.
        driver.keep("metadata_cache");
        Ok(Self {
            name: driver.filled("name"),
            // Xen's old name for raw with asynchronous I/O.
            format: driver
                .filled("type")
                .map(|format| if format == "aio" { "raw".to_owned() } else { format }),
            cache: driver.keyword("cache")?,
            error_policy: driver.keyword("error_policy")?,
            rerror_policy: driver.keyword("rerror_policy")?,
            io: driver.keyword("io")?,
            ioeventfd: driver.on_off("ioeventfd")?,
            event_idx: driver.on_off("event_idx")?,
            copy_on_read: driver.on_off("copy_on_read")?,
            discard: driver.keyword("discard")?,
            discard_no_unref: driver.on_off("discard_no_unref")?,
            detect_zeroes: driver.keyword("detect_zeroes")?,
            iothread: driver.number("iothread")?,
            queues: driver.number("queues")?,
            queue_size: driver.number("queue_size")?,
            virtio: VirtioOptions::read(driver)?,
        })
    }
}
