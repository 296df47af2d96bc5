//! Pools and volumes: refresh, creation through qemu-img, and the translation of disks that name a volume.
//!
//! Everything here works on the directory of one pool, opened once: files are named relative to that directory
//! and never reached through a link. What a volume contains is looked at for listings only; what a guest is given
//! is what was declared. Everything blocks; asynchronous callers run it on a thread for blocking work.

mod create;
mod error;
mod facts;
mod identity;
mod image_file;
mod ownership;
mod passphrase;
mod probe;
mod programs;
mod reach;
mod refresh;
mod root;
mod support;
mod translate;
mod translations;

pub use create::{
    BackingRequest, CloneRequest, Copied, CreateRequest, Draft, Incoming, InternalStep, NewEncryption,
    Preallocation, RebaseRequest, Resize, ResizeRequest, Transfer, Window, WipePattern, clone_volume,
    commit_arguments, commit_image, convert_arguments, convert_file, copy_image, create_arguments,
    create_volume, delete_volume, download, internal_snapshot, internal_snapshots, rebase_arguments,
    rebase_image, record_arguments, resize_arguments, resize_volume, upload, upload_part, wipe_volume,
};
pub use error::{ErrorKind, Hint, StorageError};
pub use facts::{BackingName, VolumeFacts};
pub use identity::FileIdentity;
pub use image_file::{kind_of_file, opened_image};
pub use passphrase::Passphrase;
pub use probe::probe;
pub use programs::Programs;
pub use reach::Reach;
pub use refresh::{
    Listing, Skipped, Space, VolumeGroupFound, find, parse_logical_volumes, parse_volume_group, refresh,
    volume_groups,
};
pub use root::PoolRoot;
pub use support::{open_pool, prepare_target, remove_directory, require_startable};
pub use translate::{KnownVolume, PoolView, Secret, Translated, TranslatedPlace, VolumeReference, translate};
pub use translations::{Translations, references};
