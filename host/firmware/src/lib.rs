//! Firmware descriptors, the pflash pair, and the life of a variable store.
//!
//! [`SearchPath`] reads the host's descriptors, [`select`] picks one (pure), [`resolve`] does so for a document when it
//! is defined, and [`explain`] says why. [`plan`] tells what a document's machine starts with: the code and a
//! [`StorePlan`]. A [`VariableStore`] is the domain's own copy of the template: created once, reset only on request,
//! checked before every start, and never lost by a failure.

mod descriptor;
mod error;
mod explain;
mod formats;
mod glob;
mod pflash;
mod plan;
mod request;
mod resolve;
mod search;
mod select;
mod store_plan;
mod template;
mod variable_store;
mod volume;

pub use descriptor::{Descriptor, FlashMode, MappedFile, Mapping, Target};
pub use error::{ErrorKind, FirmwareError, Hint, PassedOver};
pub use explain::{Considered, Verdict, explain};
pub use formats::{FormatFailure, Formats, InUse, MAX_STORE_FILE_BYTES, PlainBytes, read_bounded};
pub use pflash::{FlashFormat, FlashImage, PflashPair};
pub use plan::{Attachment, CodeOrigin, Described, FirmwarePlan, is_installed, plan};
pub use resolve::{resolve, write as write_choice};
pub use search::{Descriptors, Hidden, SearchPath};
pub use select::{FirmwareRequest, Interface, Program, Selection, select};
pub use store_plan::{StorePlace, StorePlan, place as store_place};
pub use variable_store::{LAST_GOOD_SUFFIX, VariableStore};
pub use volume::{MAX_STORE_BYTES, StoreLayout, check_store};
