//! `<video>`: graphics cards.

use crate::device_info::DeviceInfo;
use crate::document::NodeId;
use crate::error::XmlError;
use crate::fragment::Fragment;
use crate::read::Element;
use crate::virtio::VirtioOptions;

/// A graphics card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// The element.
    pub node: NodeId,
    /// Its model, such as `virtio`; none when still to be chosen. Open, because drivers differ.
    pub model: Option<String>,
    /// Whether it is the primary one; none when not said.
    pub primary: Option<bool>,
    /// Number of screens.
    pub heads: Option<u32>,
    /// Primary memory, in KiB (qxl).
    pub ram_kib: Option<u32>,
    /// Memory, in KiB.
    pub vram_kib: Option<u32>,
    /// 64-bit memory, in KiB (qxl).
    pub vram64_kib: Option<u32>,
    /// Memory for VGA modes, in KiB (qxl).
    pub vgamem_kib: Option<u32>,
    /// Whether the guest writes to the device's memory directly (virtio).
    pub blob: Option<bool>,
    /// Whether 3D is accelerated.
    pub accel3d: Option<bool>,
    /// Whether 2D is accelerated.
    pub accel2d: Option<bool>,
    /// Host path of the render node.
    pub rendernode: Option<String>,
    /// Size of the screen: width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Whether another process does the work (`<driver name='vhostuser'>`).
    pub backend: Option<VideoBackend>,
    /// VGA in the guest's firmware.
    pub vgaconf: Option<VgaConf>,
    /// The switches that any virtio device can carry.
    pub virtio: VirtioOptions,
    /// Alias, address.
    pub info: DeviceInfo,
}

keywords! {
    /// Which process does the work.
    VideoBackend { Qemu = "qemu", VhostUser = "vhostuser" }
}
keywords! {
    /// When VGA is used (bhyve).
    VgaConf { Io = "io", On = "on", Off = "off" }
}

impl Video {
    pub(crate) fn read(video: Element<'_>) -> Result<Self, XmlError> {
        let driver = video.child("driver");
        let backend = driver.map(|driver| driver.keyword("name")).transpose()?.flatten();
        let vgaconf = driver.map(|driver| driver.keyword("vgaconf")).transpose()?.flatten();
        let bare = Self {
            node: video.node,
            model: None,
            primary: None,
            heads: None,
            ram_kib: None,
            vram_kib: None,
            vram64_kib: None,
            vgamem_kib: None,
            blob: None,
            accel3d: None,
            accel2d: None,
            rendernode: None,
            resolution: None,
            backend,
            vgaconf,
            virtio: VirtioOptions::of_device(video)?,
            info: DeviceInfo::read(video)?,
        };
        video.child("model").map_or(Ok(bare.clone()), |model| read_model(model, bare))
    }
}

fn read_model(model: Element<'_>, bare: Video) -> Result<Video, XmlError> {
    let acceleration = model.child("acceleration");
    let flag = |name| acceleration.map(|element| element.yes_no(name)).transpose().map(Option::flatten);
    Ok(Video {
        model: model.filled("type").filter(|model| model != "default"),
        primary: model.yes_no("primary")?,
        heads: model.number("heads")?,
        ram_kib: model.number("ram")?,
        vram_kib: model.number("vram")?,
        vram64_kib: model.number("vram64")?,
        vgamem_kib: model.number("vgamem")?,
        blob: model.on_off("blob")?,
        accel3d: flag("accel3d")?,
        accel2d: flag("accel2d")?,
        rendernode: acceleration.and_then(|element| element.filled("rendernode")),
        resolution: model.maybe("resolution", |size| Ok((size.need_number("x")?, size.need_number("y")?)))?,
        ..bare
    })
}

/// A graphics card to be added to a document.
pub fn new_video(model: &str, primary: bool) -> Fragment {
    let primary = primary.then_some("yes");
    let model = Fragment::new("model").attribute("type", model).attribute("heads", 1);
    Fragment::new("video").child(model.maybe_attribute("primary", primary))
}
