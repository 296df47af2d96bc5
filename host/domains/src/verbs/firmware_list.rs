//! `firmware list`: the firmware that is described on this host.

use std::path::Path;

use hostler_firmware::{Descriptor, Descriptors, FlashMode, Mapping};

use crate::firmware_summary::{DescriptorStanding, DescriptorSummary, FirmwareList};
use crate::host::Host;

/// The feature by which a descriptor says that its firmware needs system management mode.
const REQUIRES_SMM: &str = "requires-smm";

impl Host {
    /// Every descriptor of this host: those that count in the order in which they are tried, with those that they hide.
    #[must_use]
    pub fn firmware(&self) -> FirmwareList {
        let search = &self.config.firmware;
        FirmwareList { directories: search.directories().to_vec(), descriptors: summaries(&search.load()) }
    }
}

fn summaries(found: &Descriptors) -> Vec<DescriptorSummary> {
    let used = found.found.iter().map(used);
    let invalid = found.errors.iter().map(|error| DescriptorSummary {
        standing: DescriptorStanding::Invalid,
        problem: Some(error.to_string()),
        ..named(error.path().unwrap_or(Path::new("")))
    });
    let hidden = found.hidden.iter().map(|hidden| DescriptorSummary {
        standing: if hidden.masked { DescriptorStanding::Masked } else { DescriptorStanding::Hidden },
        hidden_by: Some(hidden.by.clone()),
        ..named(&hidden.path)
    });
    let mut all: Vec<DescriptorSummary> = used.chain(invalid).chain(hidden).collect();
    // The sort is stable: what counts stays before what it hides.
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn named(path: &Path) -> DescriptorSummary {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    DescriptorSummary { name, path: path.to_owned(), ..DescriptorSummary::default() }
}

fn used(descriptor: &Descriptor) -> DescriptorSummary {
    let (attachment, mode) = match &descriptor.mapping {
        Mapping::Flash { mode, .. } => ("flash", Some(mode_word(*mode))),
        Mapping::Memory { .. } => ("rom", None),
        Mapping::Kernel { .. } => ("kernel", None),
        Mapping::Unknown => ("unknown", None),
    };
    let (code, template) = (descriptor.code(), descriptor.template());
    let targets = descriptor.targets.iter().flat_map(|target| {
        target.machines.iter().map(|machine| format!("{}:{machine}", target.architecture))
    });
    let needs = descriptor.has(REQUIRES_SMM).then(|| "smm".to_owned());
    DescriptorSummary {
        description: descriptor.description.clone(),
        interfaces: descriptor.interface_types.clone(),
        attachment: attachment.to_owned(),
        mode: mode.map(str::to_owned),
        code_format: code.as_ref().map(|code| code.format.name().to_owned()),
        code: code.map(|code| code.path),
        template_format: template.as_ref().map(|template| template.format.name().to_owned()),
        template: template.map(|template| template.path),
        targets: targets.collect(),
        features: descriptor.features.iter().filter(|feature| *feature != REQUIRES_SMM).cloned().collect(),
        needs: needs.into_iter().collect(),
        ..named(&descriptor.path)
    }
}

fn mode_word(mode: FlashMode) -> &'static str {
    match mode {
        FlashMode::Split => "split",
        FlashMode::Combined => "combined",
        FlashMode::Stateless => "stateless",
    }
}
