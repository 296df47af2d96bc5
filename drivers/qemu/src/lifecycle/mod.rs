//! What happens to a guest: each operation is one conversation with the host and the guest's monitor.

mod check;
mod destroy;
mod migration;
mod monitor_state;
mod notes;
mod on_event;
mod plan;
mod query;
mod reactions;
mod reattach;
mod refuse;
mod refuse_silent;
mod reset;
mod restore;
mod resume;
mod save;
mod show;
mod shutdown;
mod start;
mod suspend;

pub(crate) use check::check;
pub(crate) use destroy::destroy;
pub(crate) use on_event::on_event;
pub(crate) use query::query;
pub(crate) use reattach::reattach;
pub(crate) use reset::reset;
pub(crate) use restore::restore;
pub(crate) use resume::resume;
pub(crate) use save::{abandon, save};
pub(crate) use show::show;
pub(crate) use shutdown::shutdown;
pub(crate) use start::start;
pub(crate) use suspend::suspend;
