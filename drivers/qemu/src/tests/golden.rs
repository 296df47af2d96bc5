//! Command lines of our own documents, as they are started. `BLESS=1` records them anew.

use std::fs;
use std::path::Path;

use super::Case;
use super::render::arguments;
use crate::facts::Facts;

#[test]
fn our_own_documents_have_the_command_lines_that_were_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("BLESS").is_some();
    let facts = Facts { kvm: Some("yes".to_owned()), numeric_id: Some(1), ..Facts::default() };
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let case = entry.unwrap().path();
        let xml = fs::read_to_string(case.join("domain.xml")).unwrap();
        let built = Case::of(&xml, &facts).unwrap_or_else(|error| panic!("{}: {error:?}", case.display()));
        let text = lines(&arguments(&built.launch, &built.domain));
        let recorded = case.join("argv.txt");
        if bless {
            fs::write(&recorded, &text).unwrap();
        }
        let expected = fs::read_to_string(&recorded).unwrap_or_default();
        assert_eq!(text, expected, "{}: look at the difference, then record it with BLESS=1", case.display());
        seen += 1;
    }
    assert!(seen >= 5, "{seen} goldens in {}", folder.display());
}

/// One option a line.
fn lines(arguments: &[String]) -> String {
    let mut text = String::new();
    for argument in arguments {
        let is_option = argument.starts_with('-') && !text.is_empty();
        text.push_str(if text.is_empty() {
            ""
        } else if is_option {
            "\n"
        } else {
            " "
        });
        text.push_str(argument);
    }
    text.push('\n');
    text
}
