//! Firmware descriptors as the interoperability specification has them (`firmware.json`).

use std::path::PathBuf;

use serde::Deserialize;

use crate::pflash::{FlashFormat, FlashImage};

/// One descriptor file. Members that are not used here are ignored, as the specification asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Descriptor {
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// `uefi`, `bios`, and names that are not used here.
    pub interface_types: Vec<String>,
    /// How the firmware is put into the machine.
    pub mapping: Mapping,
    /// Where it runs.
    pub targets: Vec<Target>,
    /// What it offers and needs, for example `secure-boot` and `requires-smm`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// How firmware is put into a machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "device", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Mapping {
    /// As flash devices.
    Flash {
        /// How code and variables are spread over them.
        #[serde(default)]
        mode: FlashMode,
        /// The code.
        executable: MappedFile,
        /// The pristine variable store.
        nvram_template: Option<MappedFile>,
    },
    /// As the machine's ROM (`-bios`).
    Memory {
        /// The code.
        filename: PathBuf,
    },
    /// As a kernel.
    Kernel {
        /// The code.
        filename: PathBuf,
    },
    /// A way that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How code and variables are spread over flash devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlashMode {
    /// Code in one device, variables in another.
    #[default]
    Split,
    /// Both in one file.
    Combined,
    /// Code only; variables are not kept.
    Stateless,
}

/// A file of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MappedFile {
    /// Its path.
    pub filename: PathBuf,
    /// Its image format by name.
    pub format: String,
}

/// Where firmware runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// Architecture as QEMU names it.
    pub architecture: String,
    /// Patterns for versioned machine types, with `*` and `?`.
    pub machines: Vec<String>,
}

impl Descriptor {
    /// The code as an image; `None` for what is started in another way, or of a format that no machine takes.
    #[must_use]
    pub fn code(&self) -> Option<FlashImage> {
        match &self.mapping {
            Mapping::Flash { executable, .. } => executable.image(),
            Mapping::Memory { filename } => {
                Some(FlashImage { path: filename.clone(), format: FlashFormat::Raw })
            }
            Mapping::Kernel { .. } | Mapping::Unknown => None,
        }
    }

    /// The template of the variable store, where there is one.
    #[must_use]
    pub fn template(&self) -> Option<FlashImage> {
        match &self.mapping {
            Mapping::Flash { nvram_template: Some(template), .. } => template.image(),
            _ => None,
        }
    }

    /// Whether it lists the feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }
}

impl MappedFile {
    /// The flash image it stands for; `None` for a format that no flash device takes.
    #[must_use]
    pub fn image(&self) -> Option<FlashImage> {
        let format = FlashFormat::from_name(&self.format)?;
        Some(FlashImage { path: self.filename.clone(), format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_members_and_devices_are_tolerated() {
        let text = r#"{"interface-types":["uefi"],"mapping":{"device":"igvm","filename":"/x"},
            "targets":[],"features":["new-thing"],"tags":["-D X"],"future":1}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor.mapping, Mapping::Unknown);
        assert!(descriptor.has("new-thing"));
    }

    #[test]
    fn split_is_the_default_mode() {
        let text = r#"{"device":"flash","executable":{"filename":"/c","format":"raw"}}"#;
        let Mapping::Flash { mode, executable, nvram_template } = serde_json::from_str(text).unwrap() else {
            panic!("not flash")
        };
        assert_eq!((mode, nvram_template), (FlashMode::Split, None));
        assert_eq!(executable.image().unwrap().format, FlashFormat::Raw);
    }
}
