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
    /// The file system has no second names.
    linkless: bool,
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
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.linkless {
            return Err(rustix::io::Errno::PERM.into());
        }
        self.next().and_then(|()| RealDisk.link(from, to))
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
    linkless: bool,
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
        Self { directory, template, linkless: false }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("nvram.fd")
    }

    fn store(&self) -> VariableStore {
        VariableStore::new(self.path())
    }

    fn failing(&self, at: usize, dies: bool) -> (VariableStore, Arc<AtomicUsize>) {
        let steps = Arc::new(AtomicUsize::new(0));
        let disk = Failing { steps: steps.clone(), at, dies, linkless: self.linkless };
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

/// Steps of a creation: create, write, fdatasync, rename, fsync of the directory.
const CREATION_STEPS: usize = 5;
/// Steps of a reset: an older copy away, a second name for the old store, fsync of the directory, then a creation.
const RESET_STEPS: usize = 3 + CREATION_STEPS;
/// The same where there are no second names: the old store is read, and copied like a creation.
const LINKLESS_STEPS: usize = 2 + 2 * CREATION_STEPS;

#[test]
fn a_reset_that_fails_at_any_step_leaves_the_old_store() {
    for (linkless, steps) in [(false, RESET_STEPS), (true, LINKLESS_STEPS)] {
        for (step, dies) in (0..steps).flat_map(|step| [(step, false), (step, true)]) {
            let home = Home { linkless, ..Home::new() };
            fs::write(home.path(), used()).unwrap();
            let (store, _) = home.failing(step, dies);
            assert_eq!(store.reset(Some(&home.template)).unwrap_err().code(), "firmware.io", "step {step}");
            let expected = if step == steps - 1 { sound() } else { used() };
            assert_eq!(fs::read(home.path()).unwrap(), expected, "step {step}");
            assert!(dies || home.leftovers() == 0, "step {step}");
            // The next owner takes it back, whatever was left behind.
            home.store().undo_reset().unwrap();
            assert_eq!(fs::read(home.path()).unwrap(), used(), "step {step}");
            assert!(!home.store().is_reset_pending(), "step {step}");
            // And it can be tried again.
            home.store().reset(Some(&home.template)).unwrap();
            assert_eq!(fs::read(home.path()).unwrap(), sound());
        }
        let home = Home { linkless, ..Home::new() };
        fs::write(home.path(), used()).unwrap();
        let (store, counted) = home.failing(usize::MAX, false);
        store.reset(Some(&home.template)).unwrap();
        assert_eq!(counted.load(Ordering::SeqCst), steps, "every step was tried");
    }
}

#[test]
fn a_reset_that_holds_keeps_what_was_sound_and_puts_aside_what_was_not() {
    let home = Home::new();
    let store = home.store();
    fs::write(home.path(), used()).unwrap();
    store.reset(Some(&home.template)).unwrap();
    assert_eq!(fs::read(home.path()).unwrap(), sound());
    assert!(store.is_reset_pending());
    store.settle_reset().unwrap();
    assert!(!store.is_reset_pending());
    assert_eq!(fs::read(store.last_good_path()).unwrap(), used());
    fs::write(home.path(), b"damage").unwrap();
    store.reset(Some(&home.template)).unwrap();
    store.settle_reset().unwrap();
    assert_eq!(fs::read(store.last_good_path()).unwrap(), used(), "damage is no good copy");
    assert_eq!(fs::read(home.directory.path().join("nvram.fd.damaged")).unwrap(), b"damage");
    for settled in [VariableStore::settle_reset, VariableStore::undo_reset] {
        settled(&store).unwrap();
        assert_eq!(fs::read(home.path()).unwrap(), sound(), "nothing is left to do");
    }
    store.remove().unwrap();
    assert_eq!(fs::read_dir(home.directory.path()).unwrap().count(), 1, "only the template stays");
}

#[test]
fn a_reset_of_nothing_is_a_creation() {
    let home = Home::new();
    home.store().reset(Some(&home.template)).unwrap();
    assert!(!home.store().is_reset_pending());
    assert_eq!(fs::read(home.path()).unwrap(), sound());
}

#[test]
fn what_a_start_has_created_goes_only_while_nobody_has_used_it() {
    let home = Home::new();
    let store = home.store();
    assert!(!store.remove_if_pristine(Some(&home.template)).unwrap(), "there is none");
    store.create_if_missing(Some(&home.template)).unwrap();
    fs::write(home.path(), used()).unwrap();
    assert!(!store.remove_if_pristine(Some(&home.template)).unwrap());
    assert_eq!(fs::read(home.path()).unwrap(), used());
    fs::write(home.path(), sound()).unwrap();
    store.remove_if_pristine(None).unwrap_err();
    assert!(store.remove_if_pristine(Some(&home.template)).unwrap());
    assert!(!store.exists().unwrap());
}

/// Two bytes in front of the content, for a format that is not plain.
#[derive(Debug)]
struct Wrapped;

impl Formats for Wrapped {
    fn content(&self, image: &File, format: FlashFormat) -> Result<Vec<u8>, crate::FormatFailure> {
        let bytes = crate::read_bounded(image, MAX_STORE_FILE_BYTES)?;
        match (format, bytes.strip_prefix(b"Q2")) {
            (FlashFormat::Raw, _) => Ok(bytes),
            (_, Some(content)) if content == b"busy" => Err(Box::new(InUse("locked".into()))),
            (_, Some(content)) => Ok(content.to_vec()),
            (_, None) => Err("no Q2".into()),
        }
    }
    fn image(&self, content: &[u8], format: FlashFormat) -> Result<Vec<u8>, crate::FormatFailure> {
        let prefix: &[u8] = if format == FlashFormat::Raw { b"" } else { b"Q2" };
        Ok([prefix, content].concat())
    }
}

#[test]
fn template_and_store_may_differ_in_format() {
    let home = Home::new();
    let wrapped = home.directory.path().join("template.q2");
    fs::write(&wrapped, [b"Q2".as_slice(), &sound()].concat()).unwrap();
    let raw = home.template.clone();
    let other = FlashImage { path: wrapped, format: FlashFormat::Qcow2 };
    for template in [&raw, &other] {
        for format in [FlashFormat::Raw, FlashFormat::Qcow2] {
            let store = home.store().of_format(format, Arc::new(Wrapped));
            store.reset(Some(template)).unwrap();
            let expected = Wrapped.image(&sound(), format).unwrap();
            assert_eq!(fs::read(home.path()).unwrap(), expected, "{template:?} {format:?}");
            assert_eq!(store.check().unwrap().variables, 1);
            store.keep_last_good().unwrap();
            fs::remove_file(home.path()).unwrap();
            store.restore_last_good().unwrap();
            assert!(store.remove_if_pristine(Some(template)).unwrap());
        }
    }
}

#[test]
fn a_store_of_another_format_than_said_is_refused_with_the_remedy() {
    let home = Home::new();
    let other = home.store().of_format(FlashFormat::Qcow2, Arc::new(Wrapped));
    fs::write(home.path(), sound()).unwrap();
    let error = other.check().unwrap_err();
    assert_eq!(error.code(), "firmware.store-invalid");
    assert!(error.hints()[0].text.contains("format="), "{error:?}");
    fs::write(home.path(), b"QFI\xfb...").unwrap();
    let error = home.store().check().unwrap_err();
    assert!(error.hints()[0].text.contains("format='qcow2'"), "{error:?}");
    fs::write(home.path(), b"Q2busy").unwrap();
    assert_eq!(other.check().unwrap_err().code(), "firmware.store-in-use");
    let mut template = home.template.clone();
    template.format = FlashFormat::Qcow2;
    let error = other.reset(Some(&template)).unwrap_err();
    assert_eq!(error.code(), "firmware.template-invalid");
    assert!(error.hints()[0].text.contains("templateFormat"), "{error:?}");
}

#[test]
fn a_creation_that_fails_leaves_no_store() {
    for step in 0..CREATION_STEPS - 1 {
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
