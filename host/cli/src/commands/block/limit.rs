//! `hostler block limit`: how much a guest may read and write.

use clap::Args;
use hostler_domains::DiskLimit;

use super::DiskTarget;
use crate::commands::attach::{Where, places};
use crate::commands::{size, view};
use crate::failure::Stop;
use crate::output::{Block, Reply};
use crate::session::Session;

/// Limit how much a guest reads from a disk and writes to it
///
/// Limits have the names of the XML ('iotune'): total_bytes_sec, read_iops_sec, write_bytes_sec_max …; those that are not
/// given stay, and 0 is none. Disks of one group share them. A guest that runs can only be given other limits for a disk
/// that it was started with some for.
#[derive(Debug, Args)]
pub(super) struct Limit {
    #[command(flatten)]
    disk: DiskTarget,
    /// Limits, such as total_bytes_sec=10MiB and total_iops_sec=500
    #[arg(value_name = "NAME=VALUE", value_parser = limit, required = true)]
    limits: Vec<DiskLimit>,
    #[command(flatten)]
    scope: Where,
}

fn limit(text: &str) -> Result<DiskLimit, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as total_iops_sec=500")?;
    if !DiskLimit::names().iter().any(|known| known == name) {
        return Err(format!("there is no limit '{name}'; there are {}", DiskLimit::names().join(", ")));
    }
    let value = match name.contains("bytes") && !name.ends_with("_length") {
        true => size::parse(value)?,
        false => value.parse().map_err(|_| format!("'{value}' is no whole number"))?,
    };
    Ok(DiskLimit { name: name.to_owned(), value })
}

impl Limit {
    /// Limits it and says where.
    pub(super) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let changed = session.block_on(async {
            let host = session.owner().await?;
            let Self { disk, limits, scope } = &self;
            Ok(host.limit_disk(&disk.reference(), &disk.target, limits, scope.scope()).await?)
        })?;
        let line =
            format!("{} of '{}' is limited anew{}", changed.device, changed.summary.name, places(&changed));
        Ok(Reply::confirmation(view::to_json(&changed)?, vec![Block::Line(line)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_name_with_units_where_they_are_bytes() {
        assert_eq!(limit("total_bytes_sec=10MiB").unwrap().value, 10 << 20);
        assert_eq!(limit("read_iops_sec=500").unwrap().value, 500);
        assert_eq!(limit("write_bytes_sec_max_length=3").unwrap().value, 3);
        for wrong in ["total_iops_sec", "iops=5", "read_iops_sec=5MiB", "total_bytes_sec=many"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
