//! `json:` descriptions: the options of QEMU's block drivers, nested or dotted, in old and new spellings.

mod drivers;
mod flat;
mod members;
mod tree;

pub use tree::Json;

use super::{Fault, Found, Profile};
use hostler_domain::storage_source::Slice;
use members::Members;

pub(super) fn read(text: &str, profile: Profile) -> Result<Found, Fault> {
    let tree = Json::parse(text)?;
    let Json::Object(members) = flat::deflatten(tree)? else {
        return Err("it is not a JSON object".to_owned());
    };
    let top = Members::new(&members, profile);
    let protocol = match top.text("driver")? {
        Some(_) => top,
        None => {
            let file = top.object("file")?.ok_or("it names no driver")?;
            top.finish_into(&file);
            file
        }
    };
    image(&protocol, true)
}

/// The source of one object with a `driver`; `raw` with its window stands only at the top.
fn image(members: &Members<'_>, raw_allowed: bool) -> Result<Found, Fault> {
    let driver = members.text("driver")?.ok_or("it names no driver")?;
    if driver != "raw" {
        let source = drivers::read(driver, members)?;
        return Ok(Found { source, unsupported: members.unsupported() });
    }
    if !raw_allowed {
        return Err("a raw node stands on a raw node".to_owned());
    }
    let file = members.object("file")?.ok_or("a raw node has no file")?;
    let (offset, size) = (members.number("offset")?, members.number("size")?);
    let mut found = image(&file, false)?;
    found.unsupported.extend(members.unsupported());
    if offset.is_some() || size.is_some() {
        found.source.slice = Some(Slice { offset: offset.unwrap_or(0), size: size.unwrap_or(0) });
    }
    Ok(found)
}
