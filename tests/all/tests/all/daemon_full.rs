//! A daemon on a file system without room: at each of its writes the client is told so, nothing is lost, and the same call
//! is done once there is room.

use std::fs::{self, File};
use std::path::PathBuf;

use hostler_rpc::frame::{FrameKind, Status};
use hostler_rpc::wire::{
    DomainCreate, DomainDefineXml, DomainDestroy, DomainGetXmlDesc, DomainHandle, DomainManagedSave,
    DomainSetAutostart, DomainSnapshotCreateXml, DomainSnapshotCreateXmlAnswer, StoragePoolCreate,
    StoragePoolDefineXml, StorageVolCreateXml, StorageVolHandle, StorageVolUpload,
};
use hostler_state::StateDir;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::daemon::Daemon;
use crate::rpc_client::{Outcome, RpcClient};
use crate::small_file_system::SmallFileSystem;
use crate::workbench::{Workbench, rom_domain};

/// All that there is.
const SIZE: &str = "64m";
/// The least that the file system hands out, in bytes.
const PAGE: u64 = 4 << 10;
/// What an upload brings.
const UPLOAD_BYTES: usize = 96 << 10;

/// A small file system, with everything of a workbench on it.
struct Small {
    /// It goes before the workbench beneath it.
    _mounted: SmallFileSystem,
    bench: Workbench,
}

impl Small {
    fn new() -> Self {
        let bench = Workbench::of_drivers();
        Self { _mounted: SmallFileSystem::mount(bench.path(""), SIZE), bench }
    }

    fn root(&self) -> PathBuf {
        self.bench.path("")
    }

    /// Leaves so many pages of it; all that is free where nothing is said.
    fn leave(&self, pages: Option<u64>) {
        let filler = File::create(self.bench.path("filler")).unwrap();
        let Some(pages) = pages else { return };
        // What runs there may take some in between: then there is less to take.
        loop {
            let free = statvfs(self.root()).unwrap().f_bavail;
            let taken = free.saturating_sub(pages) * PAGE;
            match fallocate(&filler, FallocateFlags::empty(), 0, taken.max(1)) {
                Err(Errno::NOSPC) => {}
                filled => return filled.unwrap(),
            }
        }
    }

    /// Calls this with no room, then with ever more, until it is done. What holds after each refusal is looked at.
    fn until_done<T>(&self, mut call: impl FnMut() -> Outcome<T>, mut refused: impl FnMut(u64)) -> T {
        let mut refusals = 0;
        // Page by page where records are written, and faster where a guest's memory is.
        for pages in (0..24).chain((5..14).map(|power| 1 << power)) {
            self.leave(Some(pages));
            let outcome = call();
            self.leave(None);
            match outcome {
                Outcome::Answered(answer) => {
                    assert!(refusals > 0, "it took nothing");
                    self.is_settled(pages);
                    return answer;
                }
                Outcome::Refused(error) => {
                    let said = error.message;
                    assert!(said.contains("No space left on device"), "{pages} pages: {said}");
                    refusals += 1;
                    self.is_settled(pages);
                    refused(pages);
                }
                Outcome::Gone => panic!("{pages} pages: the daemon is gone"),
            }
        }
        panic!("it is never done")
    }

    /// Nothing is under way, damaged or half-written.
    fn is_settled(&self, pages: u64) {
        let state = StateDir::open_reader(&self.bench.state_root()).unwrap();
        assert!(state.pending().unwrap().is_empty(), "{pages} pages: {:?}", state.pending());
        assert!(state.set_aside().unwrap().is_empty(), "{pages} pages: {:?}", state.set_aside());
        state.definitions().unwrap();
        assert!(state.damage().is_empty(), "{pages} pages: {:?}", state.damage());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Guests have their files there.
        let state = StateDir::open_reader(&self.bench.state_root());
        for run in state.and_then(|state| state.run_dirs()).unwrap_or_default() {
            if run.is_held().unwrap_or(false) {
                self.bench.run(&["destroy", &run.domain().to_string()]);
            }
        }
    }
}

/// A guest with a disk on the small file system.
fn with_disk(small: &Small, name: &str) -> String {
    small.bench.image(&["create", "-q", "-f", "qcow2", "disk.qcow2", "4M"]);
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>",
        small.bench.path("disk.qcow2").display()
    );
    rom_domain(name, "qemu").replace("<devices>", &format!("<devices>{disk}"))
}

#[test]
fn definition_without_room_is_refused_and_the_one_before_stands() {
    let small = Small::new();
    let daemon = Daemon::start(&small.bench);
    let mut client = RpcClient::open(daemon.socket()).unwrap();
    let xml = rom_domain("rom", "qemu");
    let dom = small
        .until_done(
            || client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml: xml.clone() }),
            |pages| assert_eq!(small.bench.state_of("rom"), None, "{pages} pages"),
        )
        .dom;
    let document = |client: &mut RpcClient| {
        let call = DomainGetXmlDesc { dom: dom.clone(), flags: 0 };
        client.call(DomainGetXmlDesc::NUMBER, &call).unwrap().xml
    };
    let first = document(&mut client);
    let xml =
        first.replace("<vcpu>1</vcpu>", "<vcpu>2</vcpu>").replace("<vcpu placement='static'>1<", "<vcpu>2<");
    assert_ne!(xml, first);
    let mut asking = RpcClient::open(daemon.socket()).unwrap();
    small.until_done(
        || client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml: xml.clone() }),
        |pages| assert_eq!(document(&mut asking), first, "{pages} pages"),
    );
    assert_ne!(document(&mut asking), first);
}

#[test]
fn start_save_and_return_without_room_are_refused_and_the_guest_is_what_it_was() {
    let small = Small::new();
    let daemon = Daemon::start(&small.bench);
    let mut client = RpcClient::open(daemon.socket()).unwrap();
    let xml = rom_domain("rom", "qemu");
    let dom = client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml }).unwrap().dom;
    let is = |state: &'static str| {
        let bench = &small.bench;
        move |pages: u64| assert_eq!(bench.state_of("rom").as_deref(), Some(state), "{pages} pages")
    };
    let start = DomainCreate { dom: dom.clone() };
    small.until_done(
        || client.call(DomainCreate::NUMBER, &start),
        |pages| {
            is("off")(pages);
            small.bench.nothing_runs("a start without room");
        },
    );
    is("running")(0);
    let save = DomainManagedSave { dom: dom.clone(), flags: 0 };
    small.until_done(|| client.call(DomainManagedSave::NUMBER, &save), is("running"));
    is("off")(0);
    let saved = || small.bench.json(&["show", "rom"])["reason"] == "saved";
    assert!(saved());
    small.until_done(
        || client.call(DomainCreate::NUMBER, &start),
        |pages| {
            is("off")(pages);
            assert!(saved(), "{pages} pages");
        },
    );
    is("running")(0);
    client.call(DomainDestroy::NUMBER, &DomainDestroy { dom }).unwrap();
}

#[test]
fn snapshot_without_room_is_refused_and_the_guest_goes_on_with_its_disk() {
    let small = Small::new();
    let daemon = Daemon::start(&small.bench);
    let mut client = RpcClient::open(daemon.socket()).unwrap();
    let xml = with_disk(&small, "rom");
    let dom = client.call(DomainDefineXml::NUMBER, &DomainDefineXml { xml }).unwrap().dom;
    client.call(DomainCreate::NUMBER, &DomainCreate { dom: dom.clone() }).unwrap();
    let mut refusals = 0;
    for pages in 0..48 {
        small.leave(Some(pages));
        let done = snapshot(&mut client, &dom, &format!("s{pages}"));
        small.leave(None);
        // What could neither be finished nor undone then is by the next change.
        let call = DomainSetAutostart { dom: dom.clone(), autostart: 1 };
        client.call(DomainSetAutostart::NUMBER, &call).unwrap();
        small.is_settled(pages);
        let shown = small.bench.json(&["show", "rom"]);
        assert_eq!(shown["state"], "running", "{pages} pages");
        let layers = shown["disks"][0]["layers"].as_array().unwrap().len();
        let listed = small.bench.json(&["snapshot", "list", "rom"]);
        let snapshots = listed["snapshots"].as_array().unwrap().len();
        assert_eq!(layers, 1 + snapshots, "{pages} pages: {listed} {shown}");
        let images = fs::read_dir(small.root()).unwrap().flatten().map(|entry| entry.file_name());
        let images = images.filter(|name| name.to_string_lossy().starts_with("disk.")).count();
        assert_eq!(images, layers, "{pages} pages");
        if let Outcome::Refused(error) = done {
            refusals += 1;
            assert!(error.message.contains("No space left on device"), "{pages} pages: {error:?}");
            continue;
        }
        assert!(refusals > 0 && snapshots > 0);
        client.call(DomainDestroy::NUMBER, &DomainDestroy { dom: dom.clone() }).unwrap();
        client.call(DomainCreate::NUMBER, &DomainCreate { dom: dom.clone() }).unwrap();
        client.call(DomainDestroy::NUMBER, &DomainDestroy { dom }).unwrap();
        return;
    }
    panic!("it is never done");
}

/// Takes a snapshot of the disks of a guest that runs.
fn snapshot(
    client: &mut RpcClient,
    dom: &DomainHandle,
    name: &str,
) -> Outcome<DomainSnapshotCreateXmlAnswer> {
    const DISKS_ONLY: u32 = 16;
    let xml_desc = format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
    let call = DomainSnapshotCreateXml { dom: dom.clone(), xml_desc, flags: DISKS_ONLY };
    client.call(DomainSnapshotCreateXml::NUMBER, &call)
}

/// A volume of a pool on the small file system.
fn volume(small: &Small, client: &mut RpcClient) -> StorageVolHandle {
    let place = small.bench.path("pool");
    fs::create_dir(&place).unwrap();
    let xml =
        format!("<pool type='dir'><name>p</name><target><path>{}</path></target></pool>", place.display());
    let pool =
        client.call(StoragePoolDefineXml::NUMBER, &StoragePoolDefineXml { xml, flags: 0 }).unwrap().pool;
    let start = StoragePoolCreate { pool: pool.clone(), flags: 0 };
    client.call(StoragePoolCreate::NUMBER, &start).unwrap();
    let xml = format!(
        "<volume><name>v</name><capacity>{UPLOAD_BYTES}</capacity><target><format type='raw'/></target></volume>"
    );
    let make = StorageVolCreateXml { pool, xml, flags: 0 };
    small
        .until_done(
            || client.call(StorageVolCreateXml::NUMBER, &make),
            |pages| assert!(!place.join("v").exists(), "{pages} pages"),
        )
        .vol
}

/// Uploads this to the beginning of a volume.
fn upload(client: &mut RpcClient, vol: &StorageVolHandle, content: &[u8]) -> Outcome<()> {
    let (number, length) = (StorageVolUpload::NUMBER, content.len() as u64);
    let call = StorageVolUpload { vol: vol.clone(), offset: 0, length, flags: 0 };
    if let Outcome::Refused(error) = client.call(number, &call) {
        return Outcome::Refused(error);
    }
    for piece in content.chunks(16 << 10) {
        client.frame(number, FrameKind::Stream, Status::More, piece.to_vec());
    }
    client.frame(number, FrameKind::Stream, Status::Good, Vec::new());
    client.answer()
}

#[test]
fn upload_without_room_is_refused_and_the_volume_has_its_old_content() {
    let small = Small::new();
    let daemon = Daemon::start(&small.bench);
    let mut client = RpcClient::open(daemon.socket()).unwrap();
    let vol = volume(&small, &mut client);
    let old = vec![1; UPLOAD_BYTES];
    upload(&mut client, &vol, &old).unwrap();
    let new = vec![2; UPLOAD_BYTES];
    let content = || fs::read(small.bench.path("pool/v")).unwrap();
    small.until_done(
        || {
            // A stream that was refused is over: another connection has none of its frames.
            let mut client = RpcClient::open(daemon.socket()).unwrap();
            upload(&mut client, &vol, &new)
        },
        |pages| {
            assert!(content() == old, "{pages} pages");
            assert_eq!(fs::read_dir(small.bench.path("pool")).unwrap().count(), 1, "{pages} pages");
        },
    );
    assert!(content() == new);
}
