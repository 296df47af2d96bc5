//! A chain drawn as a tree, and as JSON.

use hostler_domains::{ImageChain, ImageLayer};
use serde_json::{Value, json};

use crate::commands::view;
use crate::failure::{Failure, Stop};
use crate::output::colour::Tone;
use crate::output::table::{Cell, Table};
use crate::output::{Block, quantity};

/// A layer deeper than this is drawn at the depth of this one: a chain can have 200.
const DEEPEST_INDENT: usize = 10;

/// The chain as far as it goes: a line for each layer, what is below the last, and the remarks.
pub(super) fn blocks(chain: &ImageChain) -> Vec<Block> {
    let mut blocks = vec![Block::Table(table(chain))];
    let barriers = chain.layers.iter().filter_map(|layer| layer.barrier.as_ref());
    blocks.extend(chain.notes.iter().map(|note| Block::Line(format!("note: {note}"))));
    blocks.extend(barriers.map(|barrier| Block::Line(format!("access: {barrier}"))));
    blocks
}

/// The members that a JSON answer has for a chain.
pub(super) fn json(chain: &ImageChain) -> Result<Value, Stop> {
    Ok(json!({
        "layers": view::to_json(&chain.layers)?,
        "notes": chain.notes,
        "complete": chain.refusal.is_none(),
    }))
}

/// The failure that a refusal is, about `file`.
pub(super) fn refused(refusal: hostler_domains::Error, file: &std::path::Path) -> Stop {
    Stop::from(Failure::from(refusal)).about("image", file.display())
}

fn table(chain: &ImageChain) -> Table {
    let mut table = Table::new()
        .words("IMAGE")
        .words("FORMAT")
        .words("FROM")
        .words("LOOKS LIKE")
        .numbers("VIRTUAL")
        .numbers("ON DISK")
        .words("OWNER")
        .words("MODE")
        .words("FLAGS");
    for (depth, layer) in chain.layers.iter().enumerate() {
        table.row(row(depth, layer));
        if let Some(data) = &layer.data_file {
            let place = format!("{}data: {}", branch(depth.saturating_add(1), "├─ "), data.to_string_lossy());
            table.row(rest(Cell::new(place)));
        }
    }
    if let Some(last) = chain.layers.len().checked_sub(1) {
        let end = if chain.refusal.is_none() { "nothing" } else { "refused" };
        let place = format!("{}{end}", branch(last.saturating_add(1), "└─ "));
        let tone = if chain.refusal.is_none() { Tone::Faint } else { Tone::Bad };
        table.row(rest(Cell::new(place).tone(tone)));
    }
    table
}

fn row(depth: usize, layer: &ImageLayer) -> Vec<Cell> {
    let flags = layer.flags.join(",");
    // Raw bytes look like nothing in particular; that is no news.
    let expected = Some(layer.format.as_str()).filter(|format| *format != "raw");
    let content = Cell::new(layer.content.unwrap_or("nothing in particular"));
    let surprising = layer.content != expected;
    vec![
        Cell::new(format!("{}{}", branch(depth, "└─ "), layer.path.to_string_lossy())),
        Cell::new(&layer.format),
        Cell::new(layer.format_origin),
        if surprising { content.tone(Tone::Warning) } else { content.tone(Tone::Faint) },
        Cell::new(quantity::size(layer.virtual_size)),
        Cell::new(quantity::size(layer.allocated)),
        Cell::new(format!("{}:{}", layer.uid, layer.gid)),
        Cell::new(&layer.mode),
        Cell::optional(Some(flags.as_str()).filter(|flags| !flags.is_empty())).tone(Tone::Warning),
    ]
}

/// A row with nothing in it but its place in the tree.
fn rest(place: Cell) -> Vec<Cell> {
    std::iter::once(place).chain(std::iter::repeat_n(Cell::new(""), 8)).collect()
}

fn branch(depth: usize, joint: &str) -> String {
    match depth.min(DEEPEST_INDENT).checked_sub(1) {
        None => String::new(),
        Some(indent) => format!("{}{joint}", "   ".repeat(indent)),
    }
}

#[cfg(test)]
pub(super) mod samples {
    //! A chain for the tests of this folder.

    use super::*;

    pub(in crate::commands::image) fn chain() -> ImageChain {
        let layer = |path: &str, format: &str, format_origin, content| ImageLayer {
            path: path.into(),
            format: format.into(),
            format_origin,
            content,
            virtual_size: 2 << 30,
            allocated: 200 << 10,
            below: None,
            data_file: None,
            flags: Vec::new(),
            uid: 0,
            gid: 64_055,
            mode: "0640".into(),
            barrier: None,
        };
        let mut top = layer("/srv/web.qcow2", "qcow2", "recognised", Some("qcow2"));
        (top.below, top.data_file) = (Some(1), Some("/srv/web.data".into()));
        let base = layer("/srv/base.img", "raw", "recorded", Some("vmdk"));
        ImageChain { layers: vec![top, base], notes: Vec::new(), refusal: None }
    }
}

#[cfg(test)]
mod tests {
    use hostler_domains::{Error, Kind};

    use super::*;

    fn text(chain: &ImageChain) -> String {
        table(chain).render(None, false)
    }

    #[test]
    fn tree_shows_what_stands_on_what() {
        let expected = "\
IMAGE                   FORMAT  FROM        LOOKS LIKE  VIRTUAL  ON DISK  OWNER    MODE  FLAGS
/srv/web.qcow2          qcow2   recognised  qcow2         2 GiB  200 KiB  0:64055  0640  -
├─ data: /srv/web.data
└─ /srv/base.img        raw     recorded    vmdk          2 GiB  200 KiB  0:64055  0640  -
   └─ nothing
";
        assert_eq!(text(&samples::chain()), expected);
    }

    #[test]
    fn broken_chain_ends_in_its_refusal_and_deep_ones_stay_readable() {
        let mut chain = samples::chain();
        chain.refusal = Some(Error::new(Kind::Denied, "image.loop", "x"));
        assert!(text(&chain).ends_with("   └─ refused\n"));
        assert_eq!(branch(200, "└─ "), branch(DEEPEST_INDENT, "└─ "));
        assert_eq!(json(&chain).unwrap()["complete"], false);
    }
}
