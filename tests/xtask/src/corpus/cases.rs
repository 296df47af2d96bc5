//! The cases of a corpus directory: `NAME/{domain.xml,expected.json,meta.json}`.

use crate::workspace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// What the case is about; the report is totalled by it.
    pub(crate) category: String,
    /// The domain to translate.
    pub(crate) xml: PathBuf,
    /// The command line expected, as JSON text.
    pub(crate) expected: String,
}

#[derive(Deserialize)]
struct Meta {
    category: Option<String>,
}

/// The corpus that lies beside the repository, when this runs within one.
pub(crate) fn default_corpus() -> Option<PathBuf> {
    Some(workspace::root().ok()?.join("../shared/corpus/argv"))
}

/// All cases of a directory by name; those named in `only`, when any are.
pub(crate) fn load(directory: &Path, only: &[String]) -> Result<Vec<Case>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read the corpus {}", directory.display()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let wanted = only.is_empty() || only.contains(&name);
        if wanted && path.join("expected.json").is_file() {
            cases.push(load_case(&path, name)?);
        }
    }
    if let Some(absent) = only.iter().find(|name| cases.iter().all(|case| case.name != **name)) {
        bail!("no case named {absent} in {}", directory.display());
    }
    if cases.is_empty() {
        bail!("no case in {}: expected NAME/domain.xml with NAME/expected.json", directory.display());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn load_case(path: &Path, name: String) -> Result<Case> {
    let read = |file: &str| {
        let file = path.join(file);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let expected = read("expected.json")?;
    let meta = path.join("meta.json");
    let category = if meta.is_file() {
        let meta: Meta =
            serde_json::from_str(&read("meta.json")?).with_context(|| format!("{name}: meta.json"))?;
        meta.category
    } else {
        None
    };
    let category = category.unwrap_or_else(|| "uncategorised".to_owned());
    Ok(Case { name, category, xml: path.join("domain.xml"), expected })
}

#[cfg(test)]
mod tests {
    use super::load;
    use std::fs;

    #[test]
    fn cases_are_read_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "a"] {
            let case = directory.path().join(name);
            fs::create_dir(&case).unwrap();
            fs::write(case.join("expected.json"), "[]").unwrap();
        }
        fs::write(directory.path().join("a/meta.json"), r#"{"category":"disk"}"#).unwrap();
        let cases = load(directory.path(), &[]).unwrap();
        let found: Vec<_> = cases.iter().map(|c| (c.name.as_str(), c.category.as_str())).collect();
        assert_eq!(found, [("a", "disk"), ("b", "uncategorised")]);
        assert_eq!(load(directory.path(), &["b".to_owned()]).unwrap().len(), 1);
        assert!(load(directory.path(), &["c".to_owned()]).is_err());
    }
}
