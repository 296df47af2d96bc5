//! The verbs, one file each.

mod console;
mod define;
mod doctor;
mod drivers;
mod events;
mod image_chain;
mod image_check;
mod image_inspect;
mod image_probe;
mod list;
mod native;
mod run;
mod show;
mod signal;
mod start;
pub(crate) mod undefine;
mod xml;

pub use console::ConsoleStream;
pub use image_probe::probe_image;
pub use native::NativeSource;
pub use start::StartOptions;
pub use undefine::UndefineOptions;
pub use xml::Which;
