//! Names that say nothing, and files that do not say what they are.

use crate::Violation;
use crate::source::Source;

/// Names under which anything can be put, and so everything is.
const BANNED: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "base"];

/// Every file and directory with a banned name.
#[must_use]
pub fn banned(paths: &[String]) -> Vec<Violation> {
    let stem = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.split('.').next().unwrap_or(name).to_owned()
    };
    let bad = paths.iter().filter(|path| BANNED.contains(&stem(path).as_str()));
    bad.map(|path| format!("{path}: the name says nothing; name it after the one thing it holds")).collect()
}

/// Every source that does not begin with its own description.
#[must_use]
pub fn undescribed(sources: &[Source]) -> Vec<Violation> {
    let bad = sources.iter().filter(|source| !source.text.starts_with("//! "));
    bad.map(|source| format!("{}: must begin with `//! `: what the file is for, in a sentence", source.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{banned, undescribed};
    use crate::source::Source;

    #[test]
    fn banned_names_are_found_as_file_and_directory() {
        let paths = ["host/x/src/util.rs", "host/common", "host/x/src/utility.rs"].map(str::to_owned);
        assert_eq!(banned(&paths).len(), 2);
    }

    #[test]
    fn a_file_without_description_is_found() {
        let sources = [Source::new("a.rs", "//! Yes.\n"), Source::new("b.rs", "use x;\n")];
        assert_eq!(undescribed(&sources).len(), 1);
    }
}
