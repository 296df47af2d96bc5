//! Directories of images that name each other, and requests to resolve one of them.

use std::collections::HashMap;

use arbitrary::Arbitrary;
use hostler_image::{
    ChainRequest, DeclaredLayer, FileKind, Format, ImagePath, Limits, MAX_DEPTH, ReferencePolicy, Tail,
};

use super::qcow2::{self, Damage};
use crate::oracles::header::Sparse;

/// Where images lie; what is not in `/d` or `/r` no policy of a case grants.
const PLACES: [&str; 8] = ["/d/a", "/d/b", "/d/c,d", "/d/sub/e", "/r/f", "/r/sub/g", "/etc/secret", "/dev/h"];
/// The root that a case's policy may grant.
pub const ROOT: &str = "/r";
/// Formats as headers record them.
const RECORDED: [&str; 5] = ["raw", "qcow2", "vmdk", "file", "\u{1b}[0m"];

/// A case as the fuzzer makes it.
#[derive(Debug, Arbitrary)]
pub struct ChainCase {
    files: Vec<(u8, Content)>,
    /// Images of `/d/l0`, `/d/l1` …, each on the next.
    ladder: u8,
    /// A file that is the same as another one.
    twin: Option<(u8, u8)>,
    top: (Place, Option<bool>, Option<Place>),
    below: Vec<(Place, Option<bool>)>,
    stop_below: bool,
    read_only: bool,
    policy: u8,
    depth: u8,
}

#[derive(Debug, Arbitrary)]
enum Content {
    Empty,
    Raw(u16),
    Bytes(Vec<u8>),
    Directory,
    Image { backing: Option<Name>, format: Option<u8>, data_file: Option<Name>, damage: Damage },
}

#[derive(Debug, Arbitrary)]
enum Place {
    Fixed(u8),
    Ladder(u8),
}

#[derive(Debug, Arbitrary)]
enum Name {
    Absolute(Place),
    Beside(Place),
    Upwards(u8, Place),
    Text(String),
}

/// A file of a case.
#[derive(Debug, Clone)]
pub struct File {
    /// Its content.
    pub content: Sparse,
    /// What kind it is.
    pub kind: FileKind,
    /// Which file it is; twins share it.
    pub inode: u64,
}

/// A case as the walk meets it.
#[derive(Debug)]
pub struct Prepared {
    /// What is to be resolved.
    pub request: ChainRequest,
    /// The files by full path.
    pub files: HashMap<String, File>,
}

impl Place {
    fn path(&self) -> String {
        match self {
            Self::Fixed(at) => PLACES[usize::from(*at) % PLACES.len()].to_owned(),
            Self::Ladder(step) => format!("/d/l{step}"),
        }
    }
}

impl Name {
    fn text(&self) -> String {
        let path = |place: &Place| place.path();
        match self {
            Self::Absolute(place) => path(place),
            Self::Beside(place) => path(place).rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Upwards(steps, place) => {
                "../".repeat(usize::from(steps % 4)) + path(place).trim_matches('/')
            }
            Self::Text(text) => text.clone(),
        }
    }
}

impl Content {
    fn file(&self, inode: u64) -> File {
        let plain = |length: u64, bytes: Vec<u8>| Sparse { bytes, length };
        let (content, kind) = match self {
            Self::Empty => (Sparse::default(), FileKind::Regular),
            Self::Raw(length) => (plain(u64::from(*length), Vec::new()), FileKind::BlockDevice),
            Self::Bytes(bytes) => (plain(1 << 20, bytes.clone()), FileKind::Regular),
            Self::Directory => (Sparse::default(), FileKind::Directory),
            Self::Image { backing, format, data_file, damage } => {
                let backing = backing.as_ref().map(Name::text);
                let data_file = data_file.as_ref().map(Name::text);
                let format = format.map(|at| RECORDED[usize::from(at) % RECORDED.len()]);
                let mut image = qcow2::image(backing.as_deref(), format, data_file.as_deref());
                damage.apply(&mut image);
                (image, FileKind::Regular)
            }
        };
        File { content, kind, inode }
    }
}

/// The file system and the request of a case.
#[must_use]
pub fn prepare(case: &ChainCase) -> Prepared {
    let mut files = HashMap::new();
    for step in 0..u64::from(case.ladder) {
        let next = format!("l{}", step + 1);
        let content = qcow2::image(Some(&next), Some("qcow2"), None);
        files.insert(format!("/d/l{step}"), File { content, kind: FileKind::Regular, inode: 1_000 + step });
    }
    let end = File { content: qcow2::image(None, None, None), kind: FileKind::Regular, inode: 999 };
    files.insert(format!("/d/l{}", case.ladder), end);
    for (number, (place, content)) in (0_u64..).zip(&case.files) {
        files.insert(Place::Fixed(*place).path(), content.file(number));
    }
    if let Some((one, other)) = case.twin
        && let Some(file) = files.get(&Place::Fixed(one).path()).cloned()
    {
        files.insert(Place::Fixed(other).path(), file);
    }
    Prepared { request: request(case), files }
}

fn request(case: &ChainCase) -> ChainRequest {
    let path = |place: &Place| ImagePath::new(place.path()).expect("places are absolute");
    let format = |qcow2: Option<bool>| qcow2.map(|qcow2| if qcow2 { Format::Qcow2 } else { Format::Raw });
    let (top, top_format, data_file) = &case.top;
    let mut request = ChainRequest::new(DeclaredLayer::new(path(top), format(*top_format)));
    request.top.data_file = data_file.as_ref().map(path);
    request.below =
        case.below.iter().map(|(place, qcow2)| DeclaredLayer::new(path(place), format(*qcow2))).collect();
    request.tail = if case.stop_below { Tail::Nothing } else { Tail::FollowHeaders };
    request.read_only = case.read_only;
    request.policy = match case.policy % 4 {
        0 => ReferencePolicy::declared_only(),
        1 => ReferencePolicy::same_directory(),
        2 => ReferencePolicy::declared_only().with_root(ROOT),
        _ => ReferencePolicy::same_directory().with_root(ROOT),
    };
    let depth = if case.depth == 0 { MAX_DEPTH } else { usize::from(case.depth).min(MAX_DEPTH) };
    request.limits = Limits { depth, ..Limits::default() };
    request
}

#[cfg(test)]
mod tests {
    use hostler_image::{ErrorKind, MAX_DEPTH};

    use super::{ChainCase, Place, prepare};
    use crate::oracles::opener::check;

    fn ladder(ladder: u8) -> ChainCase {
        let top = (Place::Ladder(0), Some(true), None);
        let (files, twin, below, depth) = (Vec::new(), None, Vec::new(), 0);
        ChainCase { files, ladder, twin, top, below, stop_below: false, read_only: false, policy: 1, depth }
    }

    #[test]
    fn ladders_reach_the_deepest_chain_and_one_more() {
        for (steps, whole) in [(199, true), (200, false)] {
            let outcome = check(prepare(&ladder(steps)));
            assert_eq!(outcome, if whole { Ok(MAX_DEPTH) } else { Err(ErrorKind::TooDeep) });
        }
    }
}
