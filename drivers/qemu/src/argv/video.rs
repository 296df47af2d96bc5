//! Graphics cards.

use hostler_sdk::domain::video::{Video, VideoBackend};
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};
use super::{comparison, virtio};

/// The memory of a card, in KiB, when the document does not say.
const VRAM_KIB: u32 = 16 * 1024;

/// The memory of a QXL card: for its surfaces, and for its commands.
const QXL_VRAM_KIB: u32 = 64 * 1024;

/// All cards, the primary one first.
pub(super) fn videos(builder: &mut Builder<'_>) -> Result<(), Error> {
    let videos = &builder.domain.devices.videos;
    let marked = videos.iter().position(|video| video.primary == Some(true)).unwrap_or(0);
    let chosen = |position: usize| position == marked;
    for (_, video) in videos.iter().enumerate().filter(|(position, _)| chosen(*position)) {
        one(builder, video, true)?;
    }
    for (_, video) in videos.iter().enumerate().filter(|(position, _)| !chosen(*position)) {
        one(builder, video, false)?;
    }
    Ok(())
}

fn one(builder: &mut Builder<'_>, video: &Video, primary: bool) -> Result<(), Error> {
    let Some(driver) = driver(builder, video, primary)? else { return Ok(()) };
    let mut value = Value::mapping().with("driver", driver.as_str());
    let is_virtio = driver.starts_with("virtio") || driver.starts_with("vhost-user");
    if is_virtio && (!builder.inputs.facts.comparison || comparison::has_virtio_options(primary)) {
        virtio::add_options(&mut value, &video.virtio);
    }
    value.set("id", builder.id(video.node)?);
    add_memory(video, &driver, &mut value);
    if video.backend == Some(VideoBackend::VhostUser) {
        let chardev = comparison::vhost_user_gpu(builder, video)?;
        value.set("chardev", chardev);
    }
    if let Some((x, y)) = video.resolution {
        value.set("xres", x);
        value.set("yres", y);
    }
    builder.place(&mut value, video.node, &video.info)?;
    builder.device(video.node, value);
    Ok(())
}

/// The device of a card; none for a card that is not there.
fn driver(builder: &Builder<'_>, video: &Video, primary: bool) -> Result<Option<String>, Error> {
    let model = video.model.as_deref().unwrap_or("cirrus");
    let backend = video.backend == Some(VideoBackend::VhostUser);
    // Only the emulated card draws with the host's graphics card itself.
    let gl = if video.accel3d == Some(true) && !backend { "-gl" } else { "" };
    let name = match (model, primary) {
        ("none", _) => return Ok(None),
        ("vga", true) => "VGA".to_owned(),
        ("cirrus", true) => "cirrus-vga".to_owned(),
        ("vmvga", true) => "vmware-svga".to_owned(),
        ("qxl", true) => "qxl-vga".to_owned(),
        ("qxl", false) => "qxl".to_owned(),
        ("virtio", true) if backend => "vhost-user-vga".to_owned(),
        ("virtio", false) if backend => "vhost-user-gpu-pci".to_owned(),
        ("virtio", true) => format!("virtio-vga{gl}"),
        ("virtio", false) => format!("virtio-gpu{gl}-pci"),
        ("bochs", _) => "bochs-display".to_owned(),
        ("ramfb", _) => "ramfb".to_owned(),
        _ => {
            let what = format!(
                "of model '{model}' is not for QEMU{}",
                if primary { "" } else { " as a second card" }
            );
            return Err(builder.unsupported(video.node, &what));
        }
    };
    Ok(Some(name))
}

fn add_memory(video: &Video, driver: &str, value: &mut Value) {
    let bytes = |kib: u32| u64::from(kib) * 1024;
    let mib = |kib: u32| kib / 1024;
    match driver {
        "VGA" | "vmware-svga" => value.set("vgamem_mb", mib(video.vram_kib.unwrap_or(VRAM_KIB))),
        "bochs-display" => value.set("vgamem", bytes(video.vram_kib.unwrap_or(VRAM_KIB))),
        "qxl" | "qxl-vga" => {
            set_some(value, "max_outputs", Some(video.heads.unwrap_or(1)));
            value.set("ram_size", bytes(video.ram_kib.unwrap_or(QXL_VRAM_KIB)));
            value.set("vram_size", bytes(video.vram_kib.unwrap_or(QXL_VRAM_KIB)));
            value.set("vram64_size_mb", mib(video.vram64_kib.unwrap_or(0)));
            value.set("vgamem_mb", mib(video.vgamem_kib.unwrap_or(VRAM_KIB)));
        }
        _ if driver.starts_with("virtio") || driver.starts_with("vhost-user") => {
            value.set("max_outputs", video.heads.unwrap_or(1));
            set_some(value, "blob", video.blob);
        }
        _ => {}
    }
}
