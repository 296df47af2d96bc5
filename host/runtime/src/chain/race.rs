//! Names that change while they are opened: an image and a link to a secret trade places as fast as they can.

use std::fs::{create_dir, write};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hostler_image::{ChainRequest, DeclaredLayer, Format, ImagePath};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::explore;
use crate::roots::Roots;

const SECRET: &[u8] = b"SECRET";
/// Chains that are resolved in one race, at least.
const ROUNDS: usize = 3000;
/// Rounds in which the names trade places at least once.
const ROUNDS_PER_TRADE: usize = 16;
/// Rounds after which a race in which nothing happened is given up.
const MOST_ROUNDS: usize = 300_000;

/// What a race came to.
#[derive(Debug, Default)]
struct Tally {
    resolved: usize,
    refused: usize,
    leaks: usize,
}

/// Trades the places of two names until it is told to stop, while `attempt` says what each layer contains.
fn race(one: &Path, other: &Path, mut attempt: impl FnMut() -> Option<Vec<Vec<u8>>>) -> Tally {
    let (stop, trades) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let trader = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                trades.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut tally = Tally::default();
        for round in 0..MOST_ROUNDS {
            if round >= ROUNDS && tally.resolved > 0 && tally.refused > 0 {
                break;
            }
            if round % ROUNDS_PER_TRADE == 0 {
                // A busy machine may leave the other thread waiting: without it there is no race.
                let seen = trades.load(Ordering::Relaxed);
                while trades.load(Ordering::Relaxed) == seen && !trader.is_finished() {
                    std::thread::yield_now();
                }
            }
            match attempt() {
                None => tally.refused += 1,
                Some(contents) => {
                    tally.resolved += 1;
                    tally.leaks += usize::from(contents.iter().any(|content| content.starts_with(SECRET)));
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        tally
    })
}

/// The first bytes of each layer and data file, read from the very files that a hypervisor would be given.
fn contents(path: &Path, format: Format) -> Option<Vec<Vec<u8>>> {
    let top = DeclaredLayer::new(ImagePath::new(path).unwrap(), Some(format));
    let roots = Roots::only(vec![path.parent().unwrap().to_owned()]);
    let request = ChainRequest { policy: roots.references(), ..ChainRequest::new(top) };
    let chain = explore(request, &roots).ok()?;
    let layers = chain.layers.iter().map(|layer| &layer.file);
    let data = chain.layers.iter().filter_map(|layer| layer.data_file.as_ref()).map(|data| &data.file);
    let start = |file: &super::ImageFile| {
        let mut start = vec![0; SECRET.len()];
        file.file().read_at(&mut start, 0).unwrap();
        start
    };
    Some(layers.chain(data).map(start).collect())
}

struct Place {
    home: tempfile::TempDir,
    pool: PathBuf,
}

impl Place {
    /// A secret, and beside it a pool with an image and a link to the secret.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let pool = home.path().join("pool");
        create_dir(&pool).unwrap();
        write(home.path().join("secret"), SECRET.repeat(100)).unwrap();
        write(pool.join("disk"), [0; 4096]).unwrap();
        symlink("../secret", pool.join("evil")).unwrap();
        Self { home, pool }
    }

    fn qemu_img(&self, arguments: &[&str]) {
        let done = Command::new("qemu-img").args(arguments).current_dir(&self.pool).status().unwrap();
        assert!(done.success());
    }
}

fn no_leak(tally: &Tally) {
    assert!(tally.resolved > 0 && tally.refused > 0, "nothing was raced: {tally:?}");
    assert_eq!(tally.leaks, 0, "{tally:?}");
}

#[test]
fn image_that_trades_places_with_a_link_never_leaks() {
    let place = Place::new();
    let (disk, evil) = (place.pool.join("disk"), place.pool.join("evil"));
    no_leak(&race(&disk, &evil, || contents(&disk, Format::Raw)));
}

#[test]
fn base_and_data_file_that_trade_places_with_a_link_never_leak() {
    let place = Place::new();
    place.qemu_img(&["create", "-q", "-f", "qcow2", "-b", "disk", "-F", "raw", "top", "4096"]);
    place.qemu_img(&["create", "-q", "-f", "qcow2", "-o", "data_file=data", "apart", "4096"]);
    let at = |name: &str| place.pool.join(name);
    no_leak(&race(&at("disk"), &at("evil"), || contents(&at("top"), Format::Qcow2)));
    // A race can end with the link under the other name.
    symlink("../secret", at("other-evil")).unwrap();
    no_leak(&race(&at("data"), &at("other-evil"), || contents(&at("apart"), Format::Qcow2)));
}

#[test]
fn directory_that_trades_places_with_a_link_never_leaks() {
    let place = Place::new();
    let outside = place.home.path().join("outside");
    create_dir(&outside).unwrap();
    write(outside.join("disk"), SECRET).unwrap();
    create_dir(place.pool.join("sub")).unwrap();
    write(place.pool.join("sub/disk"), [0; 4096]).unwrap();
    symlink("../outside", place.pool.join("way-out")).unwrap();
    let roots = Roots::only(vec![place.pool.clone()]);
    let disk = place.pool.join("sub/disk");
    let attempt = || {
        let top = DeclaredLayer::new(ImagePath::new(&disk).unwrap(), Some(Format::Raw));
        let chain = explore(ChainRequest::new(top), &roots).ok()?;
        let mut start = vec![0; SECRET.len()];
        chain.layers[0].file.file().read_at(&mut start, 0).unwrap();
        Some(vec![start])
    };
    no_leak(&race(&place.pool.join("sub"), &place.pool.join("way-out"), attempt));
}
