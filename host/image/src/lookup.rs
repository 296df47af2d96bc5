//! Finding a layer of a chain by what a user calls it: `vda[3]`, a path, a recorded name, or nothing for the base.

use std::fmt;

/// A layer as far as it has names. Layers are given from the active one down.
#[derive(Debug, Clone, Copy)]
pub struct NamedLayer<'a> {
    /// Its number in the domain, from 1; it stays the same while the domain runs. 0 for none.
    pub number: u32,
    /// Its path, or its name on a server.
    pub path: &'a str,
    /// The relative name by which the image above it records it.
    pub recorded: Option<&'a str>,
}

/// What is looked for, and where.
#[derive(Debug, Clone, Copy, Default)]
pub struct LayerQuery<'a> {
    /// What the user calls it; nothing means the base.
    pub name: Option<&'a str>,
    /// The disk that a numbered name must be about.
    pub disk: Option<&'a str>,
    /// Look only below this layer.
    pub below: Option<usize>,
}

/// Why no layer was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerNotFound {
    /// The numbered name is about another disk.
    OtherDisk {
        /// The disk that it names.
        named: String,
    },
    /// No layer has this number.
    Number(u32),
    /// No layer goes by this name.
    Name(String),
    /// There is nothing below the layer where the search began.
    NothingBelow,
}

impl fmt::Display for LayerNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherDisk { named } => write!(f, "the name is about disk '{named}', not about this one"),
            Self::Number(number) => write!(f, "no layer there has the number {number}"),
            Self::Name(name) => write!(f, "no layer there is called '{name}'"),
            Self::NothingBelow => f.write_str("there is nothing below that layer"),
        }
    }
}

impl std::error::Error for LayerNotFound {}

/// Finds a layer; the answer is its place in `layers`, and the layer above it has the place before.
///
/// `same_file` says whether a name, relative to the directory of the layer in that place (or, without one, to the
/// working directory), stands for the layer in the second place. Names that match as text never ask it.
///
/// # Errors
/// Which of the rules found nothing.
pub fn find_layer(
    layers: &[NamedLayer<'_>],
    query: LayerQuery<'_>,
    same_file: impl Fn(Option<usize>, &str, usize) -> bool,
) -> Result<usize, LayerNotFound> {
    let first = query.below.map_or(0, |below| below.saturating_add(1));
    let mut searched = layers.iter().enumerate().skip(first);
    let Some(name) = query.name else {
        return searched.next_back().map(|(place, _)| place).ok_or(LayerNotFound::NothingBelow);
    };
    if let Some((disk, number)) = numbered(name) {
        if query.disk.is_some_and(|wanted| wanted != disk) {
            return Err(LayerNotFound::OtherDisk { named: disk.to_owned() });
        }
        let found = searched.find(|(_, layer)| layer.number == number);
        return found.map(|(place, _)| place).ok_or(LayerNotFound::Number(number));
    }
    searched
        .find(|(place, layer)| {
            let text = layer.path == name || layer.recorded == Some(name);
            text || same_file(place.checked_sub(1), name, *place)
        })
        .map(|(place, _)| place)
        .ok_or_else(|| LayerNotFound::Name(name.to_owned()))
}

/// `vda[3]`: a disk and a number from 1, with nothing behind it.
fn numbered(name: &str) -> Option<(&str, u32)> {
    let (disk, number) = name.strip_suffix(']')?.split_once('[')?;
    let plain = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let number = plain.then(|| number.parse().ok()).flatten().filter(|number| *number > 0)?;
    Some((disk, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: [NamedLayer<'_>; 3] = [
        NamedLayer { number: 4, path: "/srv/top", recorded: None },
        NamedLayer { number: 5, path: "/srv/middle", recorded: Some("middle") },
        NamedLayer { number: 9, path: "/srv/base", recorded: None },
    ];

    fn find(name: Option<&str>, below: Option<usize>) -> Result<usize, LayerNotFound> {
        find_layer(&CHAIN, LayerQuery { name, disk: Some("vda"), below }, |_, _, _| false)
    }

    #[test]
    fn numbers_are_those_of_the_domain_and_not_places() {
        assert_eq!(find(Some("vda[9]"), None), Ok(2));
        assert_eq!(find(Some("vda[1]"), None), Err(LayerNotFound::Number(1)));
        assert_eq!(find(Some("vda[4]"), Some(0)), Err(LayerNotFound::Number(4)));
        assert_eq!(find(Some("vdb[9]"), None), Err(LayerNotFound::OtherDisk { named: "vdb".to_owned() }));
        for odd in ["vda[0]", "vda[-1]", "vda[1][1]", "vda[9]x", "vda[x]", "vda[]", "vda[+9]"] {
            assert_eq!(find(Some(odd), None), Err(LayerNotFound::Name(odd.to_owned())));
        }
    }

    #[test]
    fn names_are_paths_or_recorded_names() {
        assert_eq!(find(Some("/srv/top"), None), Ok(0));
        assert_eq!(find(Some("/srv/top"), Some(0)), Err(LayerNotFound::Name("/srv/top".to_owned())));
        assert_eq!(find(Some("middle"), Some(0)), Ok(1));
        assert!(find(Some("base"), None).is_err(), "nothing asks the file system unless the caller does");
        let query = LayerQuery { name: Some("base"), ..LayerQuery::default() };
        assert_eq!(find_layer(&CHAIN, query, |above, _, place| (above, place) == (Some(1), 2)), Ok(2));
    }

    #[test]
    fn no_name_is_the_base() {
        assert_eq!(find(None, None), Ok(2));
        assert_eq!(find(None, Some(1)), Ok(2));
        assert_eq!(find(None, Some(2)), Err(LayerNotFound::NothingBelow));
    }
}
