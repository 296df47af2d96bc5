//! Firmware descriptors, the pflash pair, and the life of a variable store.
//!
//! [`SearchPath`] reads the host's descriptors, [`select`] picks one (pure), the result names the
//! [`PflashPair`], and a [`VariableStore`] is the domain's own copy of the template: created once, reset only
//! on request, checked before every start, and never lost by a failure.

mod descriptor;
mod error;
mod glob;
mod pflash;
mod search;
mod select;
mod variable_store;
mod volume;

pub use descriptor::{Descriptor, FlashMode, MappedFile, Mapping, Target};
pub use error::{ErrorKind, FirmwareError, Hint, PassedOver};
pub use pflash::{FlashFormat, FlashImage, PflashPair, template_for_loader};
pub use search::{Descriptors, SearchPath};
pub use select::{FirmwareRequest, Interface, Program, Selection, select};
pub use variable_store::{LAST_GOOD_SUFFIX, VariableStore};
pub use volume::{MAX_STORE_BYTES, StoreLayout, check_store};
