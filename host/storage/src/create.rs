//! Making, copying, resizing, filling and removing volumes.
//!
//! A new image is made under a name that no listing shows, and gets its own name when it is finished and synced; the
//! caller journals that name, so that whatever a killed process leaves is swept by the next owner. `qemu-img` gets open
//! files by their descriptors, formats in so many words, and never a name out of an image.

mod arguments;
mod commit;
mod convert;
mod copy;
mod draft;
mod encryption;
mod internal;
mod make;
mod qemu_img;
mod rebase;
mod remove;
mod request;
mod resize;
mod source;
mod transfer;
mod wipe;

pub use arguments::{
    commit_arguments, convert_arguments, create_arguments, rebase_arguments, record_arguments,
    resize_arguments,
};
pub use commit::commit_image;
pub use convert::convert_file;
pub use copy::{CloneRequest, Copied, clone_volume, copy_image};
pub use draft::Draft;
pub(crate) use draft::is_draft;
pub use encryption::NewEncryption;
pub use internal::{InternalStep, internal_snapshot, internal_snapshots};
pub use make::create_volume;
pub use rebase::{RebaseRequest, rebase_image};
pub use remove::delete_volume;
pub use request::{BackingRequest, CreateRequest, Preallocation};
pub use resize::{Resize, ResizeRequest, resize_volume};
pub use transfer::{Incoming, Transfer, Window, download, upload, upload_part};
pub use wipe::{WipePattern, wipe_volume};

/// Told how much of something is done, from 0 to 1.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(f64);
