//! The domain model and its XML: the vocabulary that host and drivers share.
//!
//! A [`Domain`] is a lossless [`Document`] and a typed projection of it. Reading uses the projection;
//! writing goes through the document by [`NodeId`], so whatever is not modelled stays as it was written.

#[macro_use]
mod keyword;

pub mod address;
pub mod audio;
pub mod chardev;
pub mod clock;
pub mod controller;
pub mod cpu;
pub mod device_info;
pub mod devices;
pub mod disk;
pub mod document;
pub mod features;
pub mod filesystem;
pub mod given_alias;
pub mod graphics;
pub mod hostdev;
pub mod hub;
pub mod input;
pub mod interface;
pub mod iommu;
pub mod launch_security;
pub mod memballoon;
pub mod memory_backing;
pub mod memory_device;
pub mod network;
pub mod numatune;
pub mod of_a_run;
pub mod os;
pub mod panic;
pub mod permissions;
pub mod pool;
pub mod qemu;
pub mod redirdev;
pub mod rng;
pub mod secret;
pub mod shmem;
pub mod smartcard;
pub mod sound;
pub mod storage_source;
pub mod sysinfo;
pub mod tpm;
pub mod vcpu;
pub mod video;
pub mod virtio;
pub mod volume;
pub mod vsock;
pub mod watchdog;

mod conflicts;
mod domain;
mod domain_type;
mod edit;
mod error;
mod fragment;
mod identity;
mod limit;
mod number_set;
mod pinning;
mod read;
mod storage_name;
mod suggest;
mod target;
mod trace;
mod units;

pub use document::{Document, NodeId};
pub use domain::{Domain, GenId, LifecycleAction, MaxMemory, Pm};
pub use domain_type::DomainType;
pub use error::{Position, XmlError, XmlErrorKind};
pub use fragment::Fragment;
pub use identity::{DomainName, DomainUuid, MAX_NAME_BYTES};
pub use limit::{CpuUser, DeviceLimit, Limit, MemoryLimit};
pub use number_set::{number_set, number_set_text};
pub use pinning::{PinnedThread, Pinning, set_pin};
pub use storage_name::StorageName;
pub use suggest::nearest;
pub use target::TargetName;
pub use trace::Unmodelled;
pub use units::Bytes;
