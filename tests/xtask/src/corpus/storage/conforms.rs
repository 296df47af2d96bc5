//! What we write, and what was recorded, against the schema of the installed QEMU.

use super::Outcome;
use super::documents::sources;
use super::nodes::{self, Recorded};
use super::{blockdev, image_create};
use crate::qemu::Schema;
use anyhow::Result;
use hostler_image::Profile;
use serde_json::Value;
use std::path::Path;

/// Judges every object of the corpora that QEMU would be given.
pub(super) fn judge(directory: &Path) -> Result<Vec<Outcome>> {
    let schema = Schema::of_installed()?;
    let mut objects = Vec::new();
    disks(directory, &mut objects)?;
    servers(directory, &mut objects)?;
    images(directory, &mut objects)?;
    Ok(objects.into_iter().filter_map(|object| object.judge(&schema)).collect())
}

/// Something that QEMU is given.
struct Object {
    /// Where it is from.
    name: String,
    /// The command that takes it.
    command: Command,
    value: Result<Value, String>,
}

#[derive(Clone, Copy)]
enum Command {
    /// A block node.
    Add,
    /// An image that is made.
    Create,
}

impl Object {
    /// None for a driver that this QEMU does not have: that is said, and nothing can be judged.
    fn judge(self, schema: &Schema) -> Option<Outcome> {
        let value = match self.value {
            Ok(value) => value,
            Err(why) => return Some((self.name, Err(why))),
        };
        let driver = value.get("driver").and_then(Value::as_str).unwrap_or_default();
        if !schema.has_block_driver(driver) {
            println!("  {}: this QEMU has no block driver '{driver}': not judged", self.name);
            return None;
        }
        let outcome = match self.command {
            Command::Add => schema.check_command("blockdev-add", &value),
            Command::Create => schema.check_argument("blockdev-create", "options", &value),
        };
        Some((self.name, outcome))
    }
}

fn disks(directory: &Path, objects: &mut Vec<Object>) -> Result<()> {
    for case in nodes::cases(directory)? {
        let Some(images) = case.images else { continue };
        let mut add = |what: &str, value| {
            objects.push(Object { name: format!("{} ({what})", case.name), command: Command::Add, value })
        };
        match nodes::made(&case.disk_xml) {
            Ok(made) => made.into_iter().for_each(|node| add("made", Ok(node))),
            Err(why) => add("made", Err(why)),
        }
        for image in images {
            add("format", Ok(image.format_props));
            add("storage", Ok(image.storage_props));
            add("target", Ok(image.target_only_props));
            if let Recorded::Json(mut reference) = image.backing_string
                && let Some(file) = reference.get_mut("file")
            {
                add("reference", Ok(file.take()));
            }
        }
    }
    Ok(())
}

fn servers(directory: &Path, objects: &mut Vec<Object>) -> Result<()> {
    for case in blockdev::round_trip_cases(directory)? {
        let described = sources(&case.disk()).and_then(|sources| {
            let source = sources.first().ok_or("the disk has no source")?;
            blockdev::properties(&blockdev::backing(source), Profile::Strict)
        });
        objects.push(Object { name: case.name, command: Command::Add, value: described });
    }
    for case in blockdev::description_cases(directory)? {
        objects.push(Object { name: case.name, command: Command::Add, value: Ok(case.expect_storage_props) });
    }
    Ok(())
}

fn images(directory: &Path, objects: &mut Vec<Object>) -> Result<()> {
    for case in image_create::cases(directory)? {
        let made = image_create::made(&case);
        let mut add = |what: &str, value: Result<Value, String>| {
            objects.push(Object { name: format!("{} ({what})", case.name), command: Command::Create, value });
        };
        match made {
            Ok((storage, content)) => {
                [storage, content].into_iter().flatten().for_each(|made| add("made", Ok(made)))
            }
            Err(why) => add("made", Err(why)),
        }
        let recorded = [case.protocol_create, case.format_create];
        recorded.into_iter().flatten().for_each(|recorded| add("recorded", Ok(recorded)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
