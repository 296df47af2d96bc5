//! The contract in `wit/`: it parses, lies one interface to a file, and every item says what it is.

use crate::Violation;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use wit_parser::{Docs, Interface, PackageId, Resolve, Stability, TypeDef, TypeDefKind, TypeOwner, World};

/// The packages: directory, name, version. The host's comes first because the driver's uses it.
const PACKAGES: &[(&str, &str)] = &[("host", "hostler:host@0.1.1"), ("driver", "hostler:driver@0.1.1")];
/// Worlds share a file.
const WORLDS: &str = "world.wit";
/// Of a hundred lines that say something, so many are description.
const DESCRIBED_PERCENT: usize = 55;

/// Every break of the contract's rules below the directory `wit`.
///
/// # Errors
/// When a package cannot be parsed; the error shows the place.
pub fn violations(wit: &Path) -> Result<Vec<Violation>> {
    let mut resolve = Resolve::default();
    let mut found = Vec::new();
    for (directory, name) in PACKAGES {
        let path = wit.join(directory);
        let (id, _) = resolve.push_dir(&path).with_context(|| format!("wit/{directory}"))?;
        check_name(&resolve, id, name, &mut found);
        check_files(&resolve, id, &path, &mut found)?;
        check_package(&resolve, id, &mut found);
    }
    Ok(found)
}

fn check_name(resolve: &Resolve, id: PackageId, expected: &str, found: &mut Vec<Violation>) {
    let name = resolve.packages.get(id).map(|package| package.name.to_string()).unwrap_or_default();
    if name != expected {
        found.push(format!(
            "package {name}: expected {expected}: hosts and drivers find each other by this name"
        ));
    }
}

/// One interface to a file of its name; description in every file.
fn check_files(resolve: &Resolve, id: PackageId, path: &Path, found: &mut Vec<Violation>) -> Result<()> {
    let Some(package) = resolve.packages.get(id) else { return Ok(()) };
    let (mut lines, mut described) = (0, 0);
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let (file_lines, file_described) = count_lines(&text);
        lines += file_lines;
        described += file_described;
        let holds: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("interface ")?.split([' ', '{']).next())
            .collect();
        let expected = name.strip_suffix(".wit").unwrap_or(&name);
        if name != WORLDS && holds != [expected] {
            found.push(format!(
                "{}: holds {holds:?}: one interface to a file, named as the file",
                file.display()
            ));
        }
    }
    if described * 100 < lines * DESCRIBED_PERCENT {
        found.push(format!(
            "package {}: {described} of {lines} lines describe, fewer than {DESCRIBED_PERCENT} %: \
             the contract is the text that authors read most",
            package.name
        ));
    }
    Ok(())
}

/// Lines that define something, and those that describe it.
///
/// Version gates, lone brackets and lines that only name what is defined elsewhere are neither.
fn count_lines(text: &str) -> (usize, usize) {
    const NAMING: &[&str] = &["@", "package ", "use ", "import ", "export ", "include "];
    let names = |line: &str| NAMING.iter().any(|word| line.starts_with(word));
    let says = |line: &&str| line.contains(char::is_alphanumeric) && !names(line);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(says).collect();
    (lines.len(), lines.iter().filter(|line| line.starts_with("///")).count())
}

fn check_package(resolve: &Resolve, id: PackageId, found: &mut Vec<Violation>) {
    let Some(package) = resolve.packages.get(id) else { return };
    for interface in package.interfaces.values().filter_map(|id| resolve.interfaces.get(*id)) {
        check_interface(resolve, interface, found);
    }
    for world in package.worlds.values().filter_map(|id| resolve.worlds.get(*id)) {
        check_world(world, found);
    }
}

fn check_world(world: &World, found: &mut Vec<Violation>) {
    check_item(&format!("world {}", world.name), &world.docs, Some(&world.stability), found);
}

fn check_interface(resolve: &Resolve, interface: &Interface, found: &mut Vec<Violation>) {
    let name = interface.name.clone().unwrap_or_default();
    check_item(&format!("interface {name}"), &interface.docs, Some(&interface.stability), found);
    for function in interface.functions.values() {
        check_item(&format!("{name}.{}", function.name), &function.docs, Some(&function.stability), found);
    }
    for (type_name, id) in &interface.types {
        let Some(definition) = resolve.types.get(*id) else { continue };
        // `use` makes a local name for a type that is described where it is defined.
        let borrowed = matches!(definition.kind, TypeDefKind::Type(wit_parser::Type::Id(other))
            if resolve.types.get(other).is_some_and(|other| other.owner != definition.owner));
        if !borrowed && definition.owner != TypeOwner::None {
            check_type(&format!("{name}.{type_name}"), definition, found);
        }
    }
}

fn check_type(path: &str, definition: &TypeDef, found: &mut Vec<Violation>) {
    check_item(path, &definition.docs, Some(&definition.stability), found);
    let parts: Vec<(&String, &Docs)> = match &definition.kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| (&field.name, &field.docs)).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
        TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| (&case.name, &case.docs)).collect(),
        TypeDefKind::Flags(flags) => flags.flags.iter().map(|flag| (&flag.name, &flag.docs)).collect(),
        _ => Vec::new(),
    };
    for (name, docs) in parts {
        check_item(&format!("{path}.{name}"), docs, None, found);
    }
}

/// Described, and gated by the version it came with where WIT allows a gate.
fn check_item(path: &str, docs: &Docs, stability: Option<&Stability>, found: &mut Vec<Violation>) {
    if docs.contents.as_deref().unwrap_or_default().trim().is_empty() {
        found.push(format!(
            "{path}: has no description: units, errors, and what an unknown value means belong there"
        ));
    }
    if stability.is_some_and(|stability| *stability == Stability::Unknown) {
        found.push(format!("{path}: has no @since: authors must see which release an item needs"));
    }
}

#[cfg(test)]
mod tests {
    use super::{count_lines, violations};
    use std::fs;
    use std::path::Path;

    const HOST: &str = "package hostler:host@0.1.1;\n\n/// A clock.\n/// It never goes back.\n@since(version = 0.1.1)\ninterface clock {\n  \
                        /// Nanoseconds since some moment.\n  @since(version = 0.1.1)\n  now: func() -> u64;\n}\n";
    const DRIVER: &str = "package hostler:driver@0.1.1;\n\n/// About.\n/// More.\n@since(version = 0.1.1)\n\
                          interface about {\n  /// A name.\n  @since(version = 0.1.1)\n  name: func() -> string;\n}\n";

    fn check(host: &str, host_file: &str) -> Vec<String> {
        let wit = tempfile::tempdir().unwrap();
        let write = |directory: &str, file: &str, text: &str| {
            let directory: &Path = &wit.path().join(directory);
            fs::create_dir(directory).unwrap();
            fs::write(directory.join(file), text).unwrap();
        };
        write("host", host_file, host);
        write("driver", "about.wit", DRIVER);
        violations(wit.path()).unwrap()
    }

    #[test]
    fn a_described_contract_passes() {
        assert_eq!(check(HOST, "clock.wit"), Vec::<String>::new());
    }

    #[test]
    fn undescribed_ungated_and_misplaced_items_are_found() {
        assert!(check(HOST, "time.wit").iter().any(|v| v.contains("one interface to a file")));
        let bare = HOST.replace("  /// Nanoseconds since some moment.\n  @since(version = 0.1.1)\n", "");
        let found = check(&bare, "clock.wit");
        for part in ["clock.now: has no description", "clock.now: has no @since", "lines describe"] {
            assert!(found.iter().any(|violation| violation.contains(part)), "{part}: {found:?}");
        }
        let renamed = HOST.replace("host@0.1.1", "host@0.2.0");
        assert!(check(&renamed, "clock.wit").iter().any(|v| v.contains("expected hostler:host@0.1.1")));
    }

    #[test]
    fn gates_brackets_and_imports_are_not_lines() {
        assert_eq!(count_lines("use a.{b};\n/// A.\n@since(version = 0.1.1)\nenum a {\n  b,\n}\n\n"), (3, 1));
    }
}
