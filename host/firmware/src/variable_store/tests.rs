//! Tests of the store's life, with a failure or a death at every single step.

use std::sync::atomic::AtomicUsize;

use hostler_state::Draft;
use tempfile::TempDir;

use super::*;
use crate::volume::tests::sound;

/// A disk on which one step fails, or on which every step from one on does, as after a `kill -9`.
#[derive(Debug)]
struct Failing {
    steps: Arc<AtomicUsize>,
    at: usize,
    dies: bool,
}

impl Failing {
    fn step(steps: &AtomicUsize, at: usize, dies: bool) -> io::Result<()> {
        let now = steps.fetch_add(1, Ordering::SeqCst);
        if now == at || (dies && now > at) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn next(&self) -> io::Result<()> {
        Self::step(&self.steps, self.at, self.dies)
    }
}

impl Disk for Failing {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.next().and_then(|()| RealDisk.read(path, limit))
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.next().and_then(|()| RealDisk.names(directory))
    }
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.next().and_then(|()| RealDisk.make_directory(path))
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn Draft>> {
        self.next()?;
        let (steps, at, dies) = (self.steps.clone(), self.at, self.dies);
        Ok(Box::new(FailingDraft { draft: RealDisk.create_new(path)?, steps, at, dies }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.next().and_then(|()| RealDisk.rename(from, to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.next().and_then(|()| RealDisk.remove_file(path))
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.next().and_then(|()| RealDisk.remove_directory(path))
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.next().and_then(|()| RealDisk.sync_directory(path))
    }
}

struct FailingDraft {
    draft: Box<dyn Draft>,
    steps: Arc<AtomicUsize>,
    at: usize,
    dies: bool,
}

impl Draft for FailingDraft {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = Failing::step(&self.steps, self.at, self.dies) {
            // A full disk takes a part of the bytes.
            self.draft.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.draft.write_all(bytes)
    }
    fn sync_data(&mut self) -> io::Result<()> {
        Failing::step(&self.steps, self.at, self.dies)?;
        self.draft.sync_data()
    }
}

/// A directory with a template in it, and the store that is to be.
struct Home {
    directory: TempDir,
    template: FlashImage,
}

/// A sound store that differs from the template.
fn used() -> Vec<u8> {
    let mut bytes = sound();
    bytes[164] = b'Z';
    bytes
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let template = FlashImage { path: directory.path().join("template.fd"), format: FlashFormat::Raw };
        fs::write(&template.path, sound()).unwrap();
        Self { directory, template }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("nvram.fd")
    }

    fn store(&self) -> VariableStore {
        VariableStore::new(self.path())
    }

    fn failing(&self, at: usize, dies: bool) -> (VariableStore, Arc<AtomicUsize>) {
        let steps = Arc::new(AtomicUsize::new(0));
        let disk = Failing { steps: steps.clone(), at, dies };
        (VariableStore::on_disk(self.path(), Arc::new(disk)), steps)
    }

    fn leftovers(&self) -> usize {
        let names = fs::read_dir(self.directory.path()).unwrap();
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().contains(TEMPORARY)).count()
    }
}

#[test]
fn a_missing_store_is_created_and_an_existing_one_is_kept() {
    let home = Home::new();
    let store = home.store();
    assert!(store.create_if_missing(Some(&home.template)).unwrap());
    assert_eq!(fs::read(home.path()).unwrap(), sound());
    fs::write(home.path(), used()).unwrap();
    assert!(!store.create_if_missing(Some(&home.template)).unwrap());
    assert!(!store.create_if_missing(None).unwrap(), "an existing store needs no template");
    assert_eq!(fs::read(home.path()).unwrap(), used());
    assert_eq!(store.check().unwrap().variables, 1);
}

#[test]
fn the_store_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.store().create_if_missing(Some(&home.template)).unwrap();
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn reset_gives_the_pristine_template() {
    let home = Home::new();
    fs::write(home.path(), used()).unwrap();
    home.store().reset(Some(&home.template)).unwrap();
    assert_eq!(fs::read(home.path()).unwrap(), sound());
    assert_eq!(home.leftovers(), 0);
}

/// Steps of a reset: create, write, fdatasync, rename, fsync of the directory.
const RESET_STEPS: usize = 5;
const LAST_STEP: usize = RESET_STEPS - 1;

#[test]
fn a_reset_that_fails_at_any_step_leaves_the_old_store() {
    for (step, dies) in (0..RESET_STEPS).flat_map(|step| [(step, false), (step, true)]) {
        let home = Home::new();
        fs::write(home.path(), used()).unwrap();
        let (store, _) = home.failing(step, dies);
        assert_eq!(store.reset(Some(&home.template)).unwrap_err().code(), "firmware.io", "step {step}");
        let expected = if step == LAST_STEP { sound() } else { used() };
        assert_eq!(fs::read(home.path()).unwrap(), expected, "step {step}");
        assert!(dies || home.leftovers() == 0, "step {step}");
        // The next owner just tries again, whatever was left behind.
        home.store().reset(Some(&home.template)).unwrap();
        assert_eq!(fs::read(home.path()).unwrap(), sound());
    }
    let home = Home::new();
    let (store, steps) = home.failing(usize::MAX, false);
    store.reset(Some(&home.template)).unwrap();
    assert_eq!(steps.load(Ordering::SeqCst), RESET_STEPS, "every step was tried");
}

#[test]
fn a_creation_that_fails_leaves_no_store() {
    for step in 0..LAST_STEP {
        let home = Home::new();
        home.failing(step, false).0.create_if_missing(Some(&home.template)).unwrap_err();
        assert!(!home.store().exists().unwrap(), "step {step}");
    }
}

#[test]
fn bad_templates_are_refused_and_the_old_store_stays() {
    let home = Home::new();
    fs::write(home.path(), used()).unwrap();
    let at = |name: &str, format| FlashImage { path: home.directory.path().join(name), format };
    fs::write(home.directory.path().join("rubbish"), [7; 4096]).unwrap();
    for (template, code) in [
        (None, "firmware.template-missing"),
        (Some(at("absent", FlashFormat::Raw)), "firmware.template-missing"),
        (Some(at("rubbish", FlashFormat::Raw)), "firmware.template-invalid"),
        (Some(at("template.fd", FlashFormat::Qcow2)), "firmware.template-invalid"),
    ] {
        assert_eq!(home.store().reset(template.as_ref()).unwrap_err().code(), code);
        assert_eq!(fs::read(home.path()).unwrap(), used());
    }
}

#[test]
fn links_and_directories_are_not_stores() {
    let home = Home::new();
    let victim = home.directory.path().join("victim");
    fs::write(&victim, used()).unwrap();
    std::os::unix::fs::symlink(&victim, home.path()).unwrap();
    for error in [
        home.store().reset(Some(&home.template)).unwrap_err(),
        home.store().create_if_missing(Some(&home.template)).unwrap_err(),
        home.store().check().unwrap_err(),
    ] {
        assert_eq!(error.code(), "firmware.store-not-a-file");
    }
    assert_eq!(fs::read(&victim).unwrap(), used());
}

#[test]
fn the_last_good_copy_brings_a_damaged_store_back() {
    let home = Home::new();
    let store = home.store();
    fs::write(home.path(), used()).unwrap();
    store.keep_last_good().unwrap();
    fs::write(home.path(), b"").unwrap();
    let error = store.check().unwrap_err();
    assert_eq!(
        (error.code(), error.hints().len()),
        ("firmware.store-invalid", 2),
        "reset, or the copy: {error}"
    );
    assert_eq!(
        store.keep_last_good().unwrap_err().code(),
        "firmware.store-invalid",
        "damage is no good copy"
    );
    store.restore_last_good().unwrap();
    assert_eq!(fs::read(home.path()).unwrap(), used());
}

#[test]
fn a_store_goes_with_its_domain_or_is_kept_elsewhere() {
    let home = Home::new();
    let store = home.store();
    assert_eq!(store.check().unwrap_err().code(), "firmware.store-missing");
    store.remove().unwrap();
    fs::write(home.path(), used()).unwrap();
    store.keep_last_good().unwrap();
    let kept = home.directory.path().join("kept.fd");
    store.move_to(&kept).unwrap();
    assert_eq!(fs::read(&kept).unwrap(), used());
    store.create_if_missing(Some(&home.template)).unwrap();
    assert_eq!(store.move_to(&kept).unwrap_err().code(), "firmware.io", "nothing is overwritten");
    store.remove().unwrap();
    assert!(!store.exists().unwrap() && !store.last_good_path().exists());
}
