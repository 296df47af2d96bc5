//! Authors of drivers: the guide is followed word for word outside the repository, in Rust and in C, and wrong input is told.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::workbench::{Answer, Workbench, built, components};

/// A page of the guide.
fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join("sdk/guide").join(name)).unwrap()
}

/// A step of a page: what kind of block it is, and what is in it.
struct Step {
    kind: String,
    text: String,
}

/// The fenced blocks of a page, in order.
fn steps(page: &str) -> Vec<Step> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let body = lines.by_ref().take_while(|line| *line != "```");
        let text = body.fold(String::new(), |text, line| text + line + "\n");
        found.push(Step { kind: kind.to_owned(), text });
    }
    assert!(!found.is_empty(), "the page has no blocks");
    found
}

/// An author's machine: the `hostler` program, compilers, and no checkout of its repository.
struct Desk {
    bench: Workbench,
    /// What is all its own.
    root: PathBuf,
    /// Where the author stands.
    directory: PathBuf,
    /// What the last command said.
    said: String,
}

impl Desk {
    /// The desk of a test: outside the repository, and at the same place in each run, so that what cargo keeps for a path
    /// does not pile up.
    fn new(test: &str) -> Self {
        let bench = Workbench::new();
        let mut checkout = DefaultHasher::new();
        env!("CARGO_MANIFEST_DIR").hash(&mut checkout);
        let directory = std::env::temp_dir().join(format!("hostler-author-{:x}-{test}", checkout.finish()));
        if directory.exists() {
            std::fs::remove_dir_all(&directory).unwrap();
        }
        std::fs::create_dir(&directory).unwrap();
        std::fs::create_dir(bench.path("none")).unwrap();
        Self { bench, root: directory.clone(), directory, said: String::new() }
    }

    /// A shell line, with the state of this desk. Builds share the directory in which this repository builds components,
    /// so that what all drivers have in common is compiled once.
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let program = built("hostler");
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        command.args(["-euc", line]).current_dir(&self.directory).stdin(Stdio::null());
        command.env("PATH", path).env("HOSTLER_STATE_DIR", self.bench.state_root());
        command.env("HOSTLER_DRIVER_DIR", self.bench.path("none"));
        command.env("CARGO_TARGET_DIR", components("drivers").with_file_name("components-build"));
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    /// Types one line of a page; a comment `# exit N` says how it ends.
    fn types(&mut self, line: &str) {
        let (typed, expected) = match line.split_once("# exit ") {
            Some((typed, status)) => (typed.trim(), status.trim().parse().unwrap()),
            None => (line, 0),
        };
        if let Some(directory) = typed.strip_prefix("cd ") {
            self.directory.push(directory);
            return;
        }
        let answer = Answer::of(self.shell(typed).output().unwrap());
        self.said = answer.stdout + &answer.stderr;
        assert_eq!(answer.status, expected, "{typed}\n{}", self.said);
    }

    /// Makes the change of a page to the file that it names.
    fn changes(&self, change: &str) {
        let (name, hunk) = change.strip_prefix("--- ").unwrap().split_once('\n').unwrap();
        let without = |mark: char| -> String {
            let kept = hunk.lines().filter(|line| !line.starts_with(mark));
            kept.fold(String::new(), |text, line| text + line.get(1..).unwrap_or_default() + "\n")
        };
        let path = self.directory.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let (old, new) = (without('+'), without('-'));
        // A change may begin within a line: the page leaves out what comes before.
        let (old, new) = (old.trim_end_matches('\n'), new.trim_end_matches('\n'));
        assert_eq!(text.matches(old).count(), 1, "{name} has this once:\n{old}\n---\n{text}");
        std::fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Does everything that a page says.
    fn follows(&mut self, page: &str) {
        for step in steps(page) {
            match step.kind.as_str() {
                "sh" => step.text.lines().for_each(|line| self.types(line)),
                "diff" => self.changes(&step.text),
                "text" => assert!(self.said.contains(step.text.trim()), "{}\n---\n{}", step.text, self.said),
                "json" => drop(serde_json::from_str::<serde_json::Value>(&step.text).unwrap()),
                other => panic!("nobody knows what to do with a block of {other:?}"),
            }
        }
    }

    fn run(&self, line: &str) -> Answer {
        Answer::of(self.shell(line).output().unwrap())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What a failed test has built stays, to be looked at.
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.root).ok();
        }
    }
}

#[test]
fn first_driver_is_made_as_the_guide_says() {
    let mut desk = Desk::new("rust");
    desk.follows(&page("first-driver.md"));
    // What has come of it, with what it asks for by now.
    desk.types("hostler driver test sleepy.wasm --yes");
}

#[test]
fn driver_in_c_is_made_as_the_guide_says() {
    Desk::new("c").follows(&page("other-languages.md"));
}

#[test]
fn sdk_of_a_project_is_renewed_as_the_guide_says() {
    Desk::new("sdk").follows(&page("upgrades.md"));
}

#[test]
fn driver_in_c_does_what_the_contract_says() {
    let mut desk = Desk::new("cee");
    desk.types("hostler driver new cee --template c");
    desk.directory.push("cee");
    desk.types("sh build.sh");
    desk.types("hostler driver check cee.wasm");
    let checked = desk.said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "hostler:host/domain@0.1.1 every driver has it",
        "hostler:host/qmp@0.1.1 'qmp' is not asked for: its functions are denied",
        "hostler:driver/lifecycle@0.1.1 every driver has it",
        "Verdict accepted",
    ] {
        assert!(checked.contains(part), "{part}: {}", desk.said);
    }
    desk.types("hostler driver test cee.wasm");
    desk.types("hostler driver install cee.wasm");
    for line in [
        "hostler define domain.xml",
        "hostler start first --paused",
        "hostler resume first",
        "hostler start first    # exit 5",
        "hostler suspend first",
        "hostler reset first",
        "hostler destroy first",
        "hostler start first",
        "hostler shutdown first",
        "hostler shutdown first    # exit 5",
    ] {
        desk.types(line);
    }
    let events = desk.run("hostler events").stdout;
    let seen: Vec<_> = events.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)).collect();
    let expected = ["defined", "started", "resumed", "suspended", "reset", "stopped", "started", "stopped"];
    assert_eq!(seen, expected, "{events}");
    desk.types("sed -e 's/<vcpu>1</<vcpu>99</' -e 's/first/large/' domain.xml > large.xml");
    desk.types("hostler define large.xml    # exit 1");
    assert!(desk.said.contains("error[cee.vcpus]"), "{}", desk.said);
    desk.types("sed -i 's/<vcpu>99</<vcpu>nine</' large.xml");
    desk.types("hostler define large.xml    # exit 1");
}

/// A package that needs nothing and does not compile.
fn broken(desk: &Desk, name: &str) {
    let directory = desk.directory.join(name);
    std::fs::create_dir_all(directory.join("src")).unwrap();
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n");
    std::fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(directory.join("src/lib.rs"), "pub const MAX: u32 = sixty;\n").unwrap();
}

#[test]
fn what_keeps_a_driver_from_being_built_is_told_with_its_remedy() {
    let desk = Desk::new("build");
    broken(&desk, "typo");
    for (line, status, expected) in [
        ("hostler driver build typo", 1, &["error[author.compile]", "`sixty`"][..]),
        (
            "echo > typo/src/lib.rs && hostler driver build typo",
            1,
            &["author.manifest", "hostler_sdk::driver!"],
        ),
        (
            "echo 'sixty!();' > typo/src/lib.rs && hostler driver build typo --quiet",
            1,
            &["error[author.compile]", "`sixty`"],
        ),
        (
            "env -u CARGO PATH=${PATH%%:*} hostler driver build typo",
            1,
            &["author.tool-missing", "sh.rustup.rs"],
        ),
        ("RUSTC=false hostler driver build typo", 1, &["rustup target add wasm32-unknown-unknown"]),
        ("echo x > typo/Cargo.toml && hostler driver build typo", 3, &["author.no-project", "Cargo.toml"]),
        ("hostler driver new c --template c && hostler driver build c", 3, &["is in C", "sh build.sh"]),
        ("hostler driver build typo/src", 3, &["author.no-project", "hostler driver new NAME"]),
        (
            "mkdir full && touch full/a && hostler driver new b --path full",
            5,
            &["author.not-empty", "--path DIR"],
        ),
        ("hostler driver sdk typo/src", 3, &["author.no-project"]),
    ] {
        let answer = desk.run(line);
        assert_eq!(answer.status, status, "{line}: {}", answer.stderr);
        for part in expected {
            assert!(answer.stderr.contains(part), "{line}: {part}: {}", answer.stderr);
        }
    }
}

#[test]
fn what_cannot_be_encoded_is_told_with_its_remedy() {
    let desk = Desk::new("encode");
    let write = |name: &str, bytes: &[u8]| std::fs::write(desk.directory.join(name), bytes).unwrap();
    // A core module that has nothing, and one that imports the function `f` of `env`.
    write("empty.wasm", b"\0asm\x01\0\0\0");
    write("env.wasm", b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0");
    write("driver.wasm", &std::fs::read(components("drivers").join("test.wasm")).unwrap());
    write("good.json", br#"{"name":"a","version":"1","contract":"0.1.0","domain-types":["a"]}"#);
    write("later.json", br#"{"name":"a","version":"1","contract":"9.0.0","domain-types":["a"]}"#);
    write("wrong.json", br#"{"name":"A B","version":"1","contract":"0.1.0","domain-types":[]}"#);
    for (core, manifest, expected) in [
        ("empty.wasm", "", "has no manifest"),
        ("empty.wasm", "--manifest wrong.json", "error[author.manifest]"),
        ("empty.wasm", "--manifest later.json", "9.0.0"),
        ("empty.wasm", "--manifest good.json", "cannot be made a component"),
        ("env.wasm", "--manifest good.json", "env"),
        ("driver.wasm", "", "a component already"),
        ("good.json", "--manifest good.json", "not WebAssembly"),
    ] {
        let answer = desk.run(&format!("hostler driver encode {core} {manifest} --out out.wasm"));
        assert_eq!(answer.status, 1, "{core} {manifest}: {}{}", answer.stdout, answer.stderr);
        assert!(
            answer.stderr.contains(expected) && answer.stderr.contains("hint:"),
            "{expected}: {}",
            answer.stderr
        );
        assert!(!desk.directory.join("out.wasm").exists(), "{core} {manifest}");
    }
}
