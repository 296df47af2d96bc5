//! What a guest shows, and its keys.

use crate::workbench::{Workbench, rom_domain};

fn with_screen(bench: &Workbench) {
    let document = rom_domain("rom", "qemu").replace(
        "<memballoon model='none'/>",
        "<memballoon model='none'/><video><model type='vga'/></video>",
    );
    bench.define(&document);
}

#[test]
fn picture_of_a_guest_is_a_whole_file_and_keys_are_pressed() {
    let bench = Workbench::new();
    with_screen(&bench);
    let off = bench.run(&["screenshot", "rom", "shot.png"]);
    assert!(off.stderr.contains("domain.off"), "{}", off.stderr);
    bench.ok(&["start", "rom"]);
    let taken = bench.json(&["screenshot", "rom", "shot.png"]);
    let picture = std::fs::read(bench.path("shot.png")).unwrap();
    let begins: &[u8] = if taken["media_type"] == "image/png" { b"\x89PNG\r\n" } else { b"P6\n" };
    assert!(picture.starts_with(begins), "{taken}");
    assert_eq!(taken["bytes"].as_u64(), Some(picture.len() as u64));
    // Each picture has a descriptor of its own, and none of them stays with the hypervisor.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", pid(&bench))).unwrap().count();
    let before = open();
    (0..5).for_each(|number| drop(bench.ok(&["screenshot", "rom", &format!("more-{number}.png")])));
    assert_eq!(open(), before);
    bench.ok(&["send-key", "rom", "LEFTCTRL", "LEFTALT", "DELETE"]);
    for (arguments, code) in [
        (&["screenshot", "rom", "shot.png"][..], "exists"),
        (&["screenshot", "rom", "other.png", "--display", "3"], "qemu.no-display"),
        (&["screenshot", "rom", "no/such/place.png"], "no/such"),
        (&["send-key", "rom", "240"], "qemu.no-key"),
        (&["send-key", "rom", "ENTR"], "did you mean ENTER"),
    ] {
        let refused = bench.run(arguments);
        assert!(refused.status != 0 && refused.stderr.contains(code), "{code}: {}", refused.stderr);
    }
    assert!(!bench.path("other.png").exists());
}

fn pid(bench: &Workbench) -> u64 {
    bench.json(&["show", "rom"])["pid"]
        .as_u64()
        .unwrap_or_else(|| bench.json(&["show", "rom"])["domain"]["pid"].as_u64().expect("it runs"))
}
