//! Sound: what plays, and where to.

use hostler_sdk::domain::audio::{Audio, AudioStream, AudioType};
use hostler_sdk::domain::graphics::GraphicsKind;

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[streams, outputs];

fn streams(subject: &Subject<'_>) -> Option<Broken> {
    let both = |audio: &'_ Audio| [audio.input.clone(), audio.output.clone()];
    subject.domain.devices.audios.iter().find_map(|audio| {
        let (what, remedy) = both(audio).iter().flatten().find_map(misfit)?;
        broken(audio.node, "qemu.audio", what, remedy)
    })
}

fn misfit(stream: &AudioStream) -> Option<(&'static str, &'static str)> {
    let fixed = stream.fixed_settings == Some(true);
    if fixed && stream.mixing_engine == Some(false) {
        Some(("settings that are fixed need QEMU's mixer", "write mixingEngine='yes', or fixedSettings='no'"))
    } else if stream.settings.is_some() && !fixed {
        Some(("has <settings> that are not fixed", "write fixedSettings='yes', or remove <settings>"))
    } else {
        None
    }
}

/// A client of SPICE hears what there is SPICE for.
fn outputs(subject: &Subject<'_>) -> Option<Broken> {
    let devices = &subject.domain.devices;
    let spice = devices.graphics.iter().any(|display| matches!(display.kind, GraphicsKind::Spice(_)));
    let lost = devices.audios.iter().find(|audio| audio.kind == AudioType::Spice && !spice)?;
    let what = "sound goes to SPICE, and the domain has no such display";
    broken(lost.node, "qemu.audio", what, "add <graphics type='spice'/>, or write type='none'")
}
