//! The projects that can be made: each a handful of files in which the driver's name is filled in.

/// A kind of project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Template {
    /// A driver in Rust with the SDK: an in-memory hypervisor, complete and short.
    #[default]
    Minimal,
    /// The same in C, built with clang.
    C,
}

/// A file of a project: its path, and its text before names are filled in.
type File = (&'static str, &'static str);

const MINIMAL: &[File] = &[
    ("Cargo.toml", include_str!("../templates/minimal/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../templates/minimal/lib.rs.in")),
    ("src/machine.rs", include_str!("../templates/minimal/machine.rs.in")),
    ("domain.xml", include_str!("../templates/domain.xml.in")),
    ("README.md", include_str!("../templates/minimal/README.md.in")),
    (".gitignore", "/target\n*.wasm\n"),
];

const C: &[File] = &[
    ("driver.c", include_str!("../templates/c/driver.c.in")),
    ("document.c", include_str!("../templates/c/document.c.in")),
    ("document.h", include_str!("../templates/c/document.h.in")),
    ("manifest.json", include_str!("../templates/c/manifest.json.in")),
    ("build.sh", include_str!("../templates/c/build.sh.in")),
    ("domain.xml", include_str!("../templates/domain.xml.in")),
    ("README.md", include_str!("../templates/c/README.md.in")),
    (".gitignore", "*.wasm\n"),
];

/// What a C project needs of a C library, and no more: a driver has no system below it.
pub(crate) const C_LIBRARY: &[File] = &[
    ("libc/stdlib.h", include_str!("../templates/c/libc/stdlib.h")),
    ("libc/string.h", include_str!("../templates/c/libc/string.h")),
    ("libc/libc.c", include_str!("../templates/c/libc/libc.c")),
];

impl Template {
    /// Every template.
    pub const ALL: [Self; 2] = [Self::Minimal, Self::C];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::C => "c",
        }
    }

    /// The template with this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.word() == word)
    }

    /// The files of a project for the driver with this name.
    pub(crate) fn files(self, name: &str) -> Vec<(&'static str, String)> {
        let files = match self {
            Self::Minimal => MINIMAL,
            Self::C => C,
        };
        files.iter().map(|(path, text)| (*path, filled(text, name))).collect()
    }
}

/// Fills in the name, and the name of the type made from it: `acme-vmm` is `AcmeVmm`.
fn filled(text: &str, name: &str) -> String {
    text.replace("@NAME@", name)
        .replace("@TYPE@", &type_name(name))
        .replace("@CONTRACT@", hostler_grant::CONTRACT_VERSION)
}

fn type_name(name: &str) -> String {
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    let joined: String = name.split('-').map(capitalised).collect();
    // `Self` is the one type name in camel case that is a keyword.
    if joined == "Self" { "SelfDriver".to_owned() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_filled_in() {
        for template in Template::ALL {
            assert_eq!(Template::named(template.word()), Some(template));
            for (path, text) in template.files("acme-vmm") {
                assert!(!text.contains("@NAME@") && !text.contains("@TYPE@"), "{path}");
            }
        }
        assert_eq!(Template::named("cobol"), None);
    }

    #[test]
    fn types_are_named_after_the_driver() {
        for (name, expected) in
            [("acme", "Acme"), ("acme-vmm2", "AcmeVmm2"), ("a-", "A"), ("self", "SelfDriver")]
        {
            assert_eq!(type_name(name), expected);
        }
    }
}
