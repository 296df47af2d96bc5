//! Pools and volumes through the library: no driver, no hypervisor, a real qemu-img.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a failed unwrap is a failed test")]

mod pools;
mod recovery;
mod setting;
mod volumes;
