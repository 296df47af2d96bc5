//! Which files an image may name. A name in an image is a request, not a path.

use std::path::{Path, PathBuf};

use crate::location::ImagePath;

/// Directories whose entries have nothing to do with each other: standing in one together grants nothing.
const NEVER_SHARED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// Which files the images of a chain may name. Images that are declared (in domain XML) need no grant.
///
/// The default grants nothing: every layer must be declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencePolicy {
    same_directory: bool,
    roots: Vec<PathBuf>,
}

/// Why a file may be opened, and beneath which directory it must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The directory that was granted. The file is opened beneath it, without following links.
    pub directory: PathBuf,
    /// The path below that directory; one or more plain components.
    pub relative: PathBuf,
}

impl ReferencePolicy {
    /// Only what is declared.
    #[must_use]
    pub fn declared_only() -> Self {
        Self::default()
    }

    /// An image may also name files that lie directly in its own directory.
    #[must_use]
    pub fn same_directory() -> Self {
        Self { same_directory: true, roots: Vec::new() }
    }

    /// Allows images to name any file beneath `root` as well.
    #[must_use]
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.roots.push(root.into());
        self
    }

    /// The grant under which the image `naming` may reach `target`, if there is one.
    #[must_use]
    pub fn judge(&self, naming: &ImagePath, target: &ImagePath) -> Option<Grant> {
        let own = (self.same_directory
            && target.directory() == naming.directory()
            && may_share(naming.directory()))
        .then(|| naming.directory());
        let directory =
            own.or_else(|| self.roots.iter().map(PathBuf::as_path).find(|root| is_beneath(target, root)))?;
        let relative = target.as_path().strip_prefix(directory).ok()?.to_path_buf();
        Some(Grant { directory: directory.to_path_buf(), relative })
    }

    /// What this policy allows, in words that follow "an image may name".
    #[must_use]
    pub fn describe(&self) -> String {
        let mut allowed = vec!["files that the domain declares".to_owned()];
        if self.same_directory {
            allowed.push("files in its own directory".to_owned());
        }
        allowed.extend(self.roots.iter().map(|root| format!("files under '{}'", root.display())));
        allowed.join(", ")
    }
}

/// A root must be absolute and free of `..`, otherwise it grants nothing.
fn is_beneath(target: &ImagePath, root: &Path) -> bool {
    let sound = root == Path::new("/") || ImagePath::new(root).is_ok();
    sound && target.as_path() != root && target.as_path().starts_with(root)
}

fn may_share(directory: &Path) -> bool {
    directory != Path::new("/") && !NEVER_SHARED.iter().any(|never| directory.starts_with(never))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &ReferencePolicy, naming: &str, target: &str) -> Option<Grant> {
        policy.judge(&ImagePath::new(naming).unwrap(), &ImagePath::new(target).unwrap())
    }

    #[test]
    fn the_default_grants_nothing() {
        assert_eq!(judge(&ReferencePolicy::default(), "/srv/a", "/srv/b"), None);
        assert_eq!(ReferencePolicy::default(), ReferencePolicy::declared_only());
    }

    #[test]
    fn the_same_directory_is_exactly_that() {
        let policy = ReferencePolicy::same_directory();
        let grant = judge(&policy, "/srv/a", "/srv/b").unwrap();
        assert_eq!((grant.directory, grant.relative), ("/srv".into(), "b".into()));
        assert_eq!(judge(&policy, "/srv/a", "/srv/sub/b"), None);
        assert_eq!(judge(&policy, "/srv/a", "/b"), None);
    }

    #[test]
    fn device_directories_are_not_shared() {
        let policy = ReferencePolicy::same_directory();
        assert_eq!(judge(&policy, "/dev/sda", "/dev/sdb"), None);
        assert_eq!(judge(&policy, "/dev/vg/a", "/dev/vg/b"), None);
        assert_eq!(judge(&policy, "/a", "/b"), None);
    }

    #[test]
    fn roots_are_compared_by_component() {
        let policy = ReferencePolicy::declared_only().with_root("/srv/images");
        assert_eq!(judge(&policy, "/x/a", "/srv/images/sub/b").unwrap().relative, Path::new("sub/b"));
        assert_eq!(judge(&policy, "/x/a", "/srv/images-secret/b"), None);
        assert_eq!(judge(&ReferencePolicy::declared_only().with_root("srv"), "/x/a", "/srv/b"), None);
        assert!(policy.describe().ends_with("files under '/srv/images'"));
    }
}
