//! `hostler set-memory` and `hostler set-vcpus`: more or less of what a domain has.

use clap::Args;
use hostler_domains::Sized;

use super::attach::{Where, place};
use super::{Target, size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply, quantity};
use crate::session::Session;

/// Give a domain another amount of memory
///
/// A guest that runs is asked through its balloon, and gives memory back when it can. The most that it can have is
/// 'memory' of its XML; what it was asked to do with is 'currentMemory'. The stored definition is changed too, if there
/// is one; --live and --config choose one of both. 'stats' shows what the guest has.
#[derive(Debug, Args)]
pub(crate) struct SetMemory {
    #[command(flatten)]
    target: Target,
    /// How much, such as 512MiB
    #[arg(value_name = "SIZE", value_parser = size::parse)]
    size: u64,
    #[command(flatten)]
    scope: Where,
}

impl SetMemory {
    /// Gives it and says what the guest has.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let sized = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.set_memory(&self.target.reference(), self.size, self.scope.scope()).await?)
        })?;
        let wanted = quantity::size(self.size);
        let line = match sized.now {
            Some(now) if now.memory != self.size => {
                let has = quantity::size(now.memory);
                format!(
                    "'{}' was asked to do with {wanted} of memory, and has {has} still",
                    sized.summary.name
                )
            }
            _ => format!("'{}' has {wanted} of memory", sized.summary.name),
        };
        confirmed(&sized, line)
    }
}

/// Give a domain another number of processors
///
/// They are plugged into the guest that runs, or out of it, as far as its guest lets go of them; those that were there when
/// it started stay. The most that there can be is the number in 'vcpu' of its XML. The stored definition is changed too, if
/// there is one; --live and --config choose one of both.
#[derive(Debug, Args)]
pub(crate) struct SetVcpus {
    #[command(flatten)]
    target: Target,
    /// How many
    #[arg(value_name = "COUNT")]
    count: u32,
    #[command(flatten)]
    scope: Where,
}

impl SetVcpus {
    /// Gives them and says where.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let sized = session.block_on(async {
            let host = session.owner().await?;
            Ok(host.set_vcpus(&self.target.reference(), self.count, self.scope.scope()).await?)
        })?;
        let plural = if self.count == 1 { "" } else { "s" };
        confirmed(&sized, format!("'{}' has {} processor{plural}", sized.summary.name, self.count))
    }
}

fn confirmed(sized: &Sized, line: String) -> Result<Reply, Stop> {
    let place = place(sized.live, sized.stored);
    Ok(Reply::confirmation(view::to_json(sized)?, vec![Block::Line(format!("{line}{place}"))]))
}
