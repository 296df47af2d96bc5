//! Listing a pool of many images, beside the bare calls for each file and beside `virsh pool-refresh`.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use hostler_domain::pool::StoragePool;
use hostler_storage::{Programs, Reach, refresh};
use rustix::fs::{Mode, OFlags, RawDir, fstat, open, openat};
use rustix::io::pread;

use super::row;
use crate::peer::Peer;
use crate::place::{Place, output};

/// Images in the pool.
const IMAGES: usize = 10_000;
/// Bytes read of each by the limit: the page that holds nearly every header.
const PAGE: usize = 4096;
/// Bytes of directory entries that are fetched at once.
const ENTRIES: usize = 64 << 10;

/// Runs the benchmark.
pub(super) fn run(place: &Place, rounds: usize) -> Result<()> {
    let directory = images(place)?;
    let pool = document(&directory)?;
    let mut peer = Peer::begin(place.work())?;
    if let Some(peer) = &mut peer {
        let file = place.work().join("pool.xml");
        std::fs::write(&file, pool.to_xml())?;
        peer.ask(&format!("pool-create {}", file.display()))?;
    }
    let (mut limits, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each fills caches and is not counted. In turn, so that all meet the same load.
    for round in 0..=rounds {
        let limit = bare_calls(&directory)?;
        let listed = listing(&pool)?;
        let refreshed = peer.as_mut().map(|peer| peer.ask("pool-refresh bench")).transpose()?;
        if round > 0 {
            limits.push(limit);
            ours.push(listed);
            theirs.extend(refreshed.map(|took| took.as_secs_f64() * 1e6));
        }
    }
    println!("\na pool of {IMAGES} qcow2 images, median of {rounds}, microseconds for the whole pool");
    println!("{:<44} {:>12} {:>12} {:>10}", "", "median", "an image", "ratio");
    row("limit: openat, fstat, pread, close", IMAGES, &limits, &limits);
    row("  hostler, refresh in the process", IMAGES, &ours, &limits);
    if peer.is_some() {
        row("  virsh pool-refresh (private libvirtd)", IMAGES, &theirs, &limits);
    } else {
        println!("libvirt is not installed: cargo xtask setup --peer");
    }
    Ok(())
}

/// The pool's directory: copies of one image, each a file of its own.
fn images(place: &Place) -> Result<PathBuf> {
    let directory = place.work().join("pool");
    std::fs::create_dir_all(&directory)?;
    let first = place.work().join("first.qcow2");
    output(Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&first).arg("10G"))?;
    let image = std::fs::read(&first)?;
    for number in 0..IMAGES {
        std::fs::write(directory.join(format!("volume-{number:05}.qcow2")), &image)?;
    }
    Ok(directory)
}

fn document(directory: &Path) -> Result<StoragePool> {
    let xml = format!(
        "<pool type='dir'><name>bench</name><target><path>{}</path></target></pool>",
        directory.display()
    );
    Ok(StoragePool::parse(&xml)?)
}

/// The limit: one pass over the directory, and for each file what no listing can do without.
fn bare_calls(path: &Path) -> Result<f64> {
    let begun = Instant::now();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let directory: OwnedFd = open(path, flags | OFlags::DIRECTORY, Mode::empty())?;
    let mut room: Vec<u8> = Vec::with_capacity(ENTRIES);
    let spare: &mut [MaybeUninit<u8>] = room.spare_capacity_mut();
    let mut entries = RawDir::new(directory.as_fd(), spare);
    let (mut page, mut count) = ([0; PAGE], 0);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        let file = openat(
            &directory,
            entry.file_name(),
            flags | OFlags::NONBLOCK | OFlags::NOFOLLOW,
            Mode::empty(),
        )?;
        black_box((fstat(&file)?.st_size, pread(&file, &mut page, 0)?));
        count += 1;
    }
    ensure!(count == IMAGES, "{count} of {IMAGES} images were seen");
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

fn listing(pool: &StoragePool) -> Result<f64> {
    let begun = Instant::now();
    let listed = refresh(pool, &Programs::default(), &Reach::anywhere())?;
    ensure!(listed.volumes.len() == IMAGES, "{} of {IMAGES} images were listed", listed.volumes.len());
    ensure!(listed.volumes.iter().all(|volume| volume.capacity == 10 << 30), "a size is wrong");
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
