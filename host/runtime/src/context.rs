//! What a driver is given for one operation on one domain. The caller fills it; nothing in it is ambient.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use hostler_firmware::SearchPath;
use hostler_launch::{CageSetting, TemplateSet};
use hostler_network::Attachments;
use hostler_state::{Owner, StateDir, Uuid};
use hostler_storage::{Translated, Translations, VolumeReference};

use serde::{Deserialize, Serialize};

use crate::roots::Roots;
use crate::secrets::Secrets;

/// Whether the domain is to be worked with, or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Images are opened, a launch starts.
    Operate,
    /// Images are opened and looked at, and a launch is recorded.
    Examine,
    /// Nothing is opened; chains come from the document alone, and a launch is recorded.
    Describe,
    /// As [`Purpose::Describe`], to be held against what libvirt writes.
    Compare,
}

impl Purpose {
    /// Whether images are opened.
    pub(crate) fn opens_images(self) -> bool {
        matches!(self, Self::Operate | Self::Examine)
    }
}

/// The record in a run directory of what a domain was launched with. A later definition does not change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDocument {
    /// The document.
    pub xml: String,
    /// The number of the run, from 1: unique among the domains that run.
    pub numeric_id: u32,
    /// What the volumes of pools that the document names were translated to. The run goes on with these, whatever
    /// becomes of the pools.
    #[serde(default)]
    pub volumes: Vec<(VolumeReference, Translated)>,
    /// Devices that its guest was asked to let go of, and still has: each by its kind and name, `disk vdb`.
    #[serde(default)]
    pub leaving: Vec<String>,
}

/// The record in a run directory of the channels that something in the guest has open, by their names there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenChannels(pub BTreeSet<String>);

/// The state directory, as far as this process may use it.
#[derive(Clone, Debug)]
pub enum StateAccess {
    /// This process owns it.
    Owner(Arc<Owner>),
    /// This process only reads it: what a driver would write is refused.
    Reader(Arc<StateDir>),
}

impl StateAccess {
    pub(crate) fn directory(&self) -> &StateDir {
        match self {
            Self::Owner(owner) => owner,
            Self::Reader(directory) => directory,
        }
    }

    pub(crate) fn owner(&self) -> Option<&Arc<Owner>> {
        match self {
            Self::Owner(owner) => Some(owner),
            Self::Reader(_) => None,
        }
    }
}

/// A file whose bytes the hypervisor writes or reads in one operation.
#[derive(Clone, Debug)]
pub enum Transfer {
    /// Opened for writing only.
    Output(Arc<OwnedFd>, PathBuf),
    /// Opened for reading only, at the place where the bytes begin.
    Input(Arc<OwnedFd>, PathBuf),
}

/// What a domain is to be when an operation that changes a running guest is done.
#[derive(Clone, Debug)]
pub struct Next {
    /// The document as it will be.
    pub xml: String,
    /// What the volumes of pools that it names are.
    pub volumes: Translations,
    /// What its network interfaces are connected to.
    pub networks: Attachments,
}

/// One domain for the length of one operation.
#[derive(Clone, Debug)]
pub struct DomainContext {
    /// Its identifier.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its document: for a running domain, the one it was started with.
    pub xml: String,
    /// The number of this run, from 1; 0 for a domain that is off.
    pub numeric_id: u32,
    /// Whether anything may be opened and started.
    pub purpose: Purpose,
    /// The state directory.
    pub state: StateAccess,
    /// Where images may lie.
    pub roots: Roots,
    /// What the volumes of pools that the document names are.
    pub volumes: Translations,
    /// What the network interfaces of the document are connected to.
    pub networks: Attachments,
    /// Who keeps the secrets that the document names.
    pub secrets: Arc<dyn Secrets>,
    /// What each program may be asked for.
    pub templates: Arc<TemplateSet>,
    /// The `hostler-shim` program, an absolute path.
    pub shim: PathBuf,
    /// How strictly a hypervisor is confined.
    pub cage: CageSetting,
    /// Where this host's firmware is described.
    pub firmware: SearchPath,
    /// What the operation's bytes go to or come from, for an operation that has some.
    pub transfer: Option<Transfer>,
    /// The names that the operation may have written into headers of images: none for most.
    pub references: Vec<String>,
    /// What the domain is to be, for an operation that changes what a running guest is made of.
    pub next: Option<Next>,
}
