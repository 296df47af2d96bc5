//! Builds the project of a driver in Rust: cargo compiles it, then its core module becomes a component.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hostler_package::judge;
use serde::{Deserialize, Serialize};

use crate::encode::{encode, write_whole};
use crate::error::{AuthorError, Kind};
use crate::project::{no_project, template_of};
use crate::template::Template;

/// What drivers are compiled for: no system interface at all, for the host gives everything that a driver has.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The profile of a component, in the project's manifest: `release`, and whatever makes it small.
pub const PROFILE: &str = "component";
/// Makes that profile known to cargo in a project that does not have it.
const PROFILE_AT_LEAST: &str = "profile.component.inherits=\"release\"";
/// Settings for native builds that must not leak into a component.
pub const NATIVE_SETTINGS: [&str; 8] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_PRIMARY_PACKAGE",
    "LLVM_PROFILE_FILE",
    "RUSTC_LINKER",
];
/// Lines of a quiet compiler that an error carries: its last words.
const LAST_LINES: usize = 40;

/// Whether somebody watches the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// What it says goes to standard error as it comes.
    Yes,
    /// It is quiet, and its last words are in the error.
    No,
}

/// A driver that has been built.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// The driver's name, from its manifest; none when that cannot be read.
    pub name: Option<String>,
    /// The component.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Builds the project in a directory. The component is called as the driver and lies in the project, unless `out` says
/// otherwise: a file, or a directory for it.
///
/// # Errors
/// [`Kind::NoProject`]; [`Kind::Tool`] when cargo or the target is missing, with the remedy; [`Kind::Compile`];
/// what [`encode`] says of the module.
pub fn build(directory: &Path, out: Option<&Path>, watched: Watched) -> Result<Built, AuthorError> {
    let package = Package::find(directory)?;
    require_target(directory)?;
    package.compile(directory, watched)?;
    let module = package.module();
    let core =
        std::fs::read(&module).map_err(|error| AuthorError::io("read the core module", &module, error))?;
    let component = encode(&core, None)?;
    let name = judge(&component).manifest.map(|manifest| manifest.name);
    let file = format!("{}.wasm", name.as_deref().unwrap_or("driver"));
    let path = match out {
        Some(out) if out.is_dir() => out.join(file),
        Some(out) => out.to_owned(),
        None if directory == Path::new(".") => file.into(),
        None => directory.join(file),
    };
    write_whole(&path, &component)?;
    Ok(Built { name, path, size: component.len() as u64 })
}

/// Whether the compiler that is used in a directory has the target.
///
/// # Errors
/// [`Kind::Tool`] when there is no compiler.
pub fn target_is_installed(directory: &Path) -> Result<bool, AuthorError> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.current_dir(directory).args(["--print", "target-libdir", "--target", TARGET]);
    let output = command.stdin(Stdio::null()).output().map_err(|error| no_tool("rustc", &error))?;
    let path = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(path.trim()).is_dir())
}

fn require_target(directory: &Path) -> Result<(), AuthorError> {
    if target_is_installed(directory)? {
        return Ok(());
    }
    let message = format!("the Rust target {TARGET} is not installed, and drivers are compiled for it");
    Err(AuthorError::new(Kind::Tool, message).command("install it", format!("rustup target add {TARGET}")))
}

/// That there is nothing to build with cargo: it may be a project in another language.
fn no_package(directory: &Path) -> AuthorError {
    if template_of(directory) != Some(Template::C) {
        return no_project(directory);
    }
    let message = format!("the driver in '{}' is in C, and its own script builds it", directory.display());
    AuthorError::new(Kind::NoProject, message).command("run it in the project", "sh build.sh")
}

fn no_tool(program: &str, error: &std::io::Error) -> AuthorError {
    AuthorError::new(Kind::Tool, format!("cannot run {program}, which compiles drivers in Rust: {error}"))
        .command("install Rust, then open a new shell", "curl https://sh.rustup.rs -sSf | sh")
        .command("then add what drivers are compiled for", format!("rustup target add {TARGET}"))
}

/// The cargo that runs this program, or the one on the path.
fn cargo(directory: &Path) -> Command {
    let program: OsString = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for setting in NATIVE_SETTINGS {
        command.env_remove(setting);
    }
    command
}

/// What cargo says of the project, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    #[serde(skip)]
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Package {
    /// The package that lies in a directory.
    fn find(directory: &Path) -> Result<Self, AuthorError> {
        let manifest = directory.join("Cargo.toml");
        let manifest = std::fs::canonicalize(&manifest).map_err(|_| no_package(directory))?;
        let mut command = cargo(directory);
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = command.output().map_err(|error| no_tool("cargo", &error))?;
        if !output.status.success() {
            let why = last_lines(&output.stderr);
            return Err(AuthorError::new(Kind::NoProject, format!("cargo cannot read the project: {why}")));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|error| {
            AuthorError::new(
                Kind::NoProject,
                format!("cargo describes the project in an unknown way: {error}"),
            )
        })?;
        let found = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let found = found.filter(|package| package.library().is_some()).ok_or_else(|| {
            AuthorError::new(
                Kind::NoProject,
                format!("'{}' describes no library, as a driver is", manifest.display()),
            )
            .hint("name the directory of the driver's own package")
        })?;
        Ok(Self { target_directory: metadata.target_directory, ..found })
    }

    fn library(&self) -> Option<&Target> {
        let libraries = ["lib", "cdylib", "rlib"];
        self.targets.iter().find(|target| target.kind.iter().any(|kind| libraries.contains(&kind.as_str())))
    }

    /// Where the linker puts the core module.
    fn module(&self) -> PathBuf {
        let name = self.library().map(|target| target.name.replace('-', "_")).unwrap_or_default();
        self.target_directory.join(TARGET).join(PROFILE).join(format!("{name}.wasm"))
    }

    /// The crate type is given here: a driver's tests run natively, and no native linker takes the names of what a
    /// component exports.
    fn compile(&self, directory: &Path, watched: Watched) -> Result<(), AuthorError> {
        let mut command = cargo(directory);
        command.args(["rustc", "--lib", "--crate-type", "cdylib", "--target", TARGET]);
        command.args(["--profile", PROFILE, "--config", PROFILE_AT_LEAST, "-p", &self.name]);
        let failed = |why: String| {
            AuthorError::new(Kind::Compile, format!("the driver '{}' does not compile{why}", self.name))
                .hint("mend what the compiler has found, and build again")
        };
        if watched == Watched::Yes {
            let status = command.status().map_err(|error| no_tool("cargo", &error))?;
            return if status.success() { Ok(()) } else { Err(failed(String::new())) };
        }
        let output = command.arg("--quiet").output().map_err(|error| no_tool("cargo", &error))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(failed(format!(":\n{}", last_lines(&output.stderr))))
        }
    }
}

fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.trim().lines().collect();
    lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project_is_told_before_anything_is_compiled() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(build(place.path(), None, Watched::No).unwrap_err().kind, Kind::NoProject);
        std::fs::write(place.path().join("Cargo.toml"), "[package\n").unwrap();
        let error = build(place.path(), None, Watched::No).unwrap_err();
        assert!(error.kind == Kind::NoProject && error.to_string().contains("Cargo.toml"), "{error}");
        let program = "[package]\nname = \"p\"\nversion = \"0.1.0\"\n[[bin]]\nname = \"p\"\npath = \"p.rs\"\n[workspace]\n";
        std::fs::write(place.path().join("Cargo.toml"), program).unwrap();
        std::fs::write(place.path().join("p.rs"), "fn main() {}").unwrap();
        let error = build(place.path(), None, Watched::No).unwrap_err();
        assert!(error.to_string().contains("no library"), "{error}");
    }

    #[test]
    fn last_words_of_the_compiler_are_kept() {
        let long: String = (0..100).map(|number| format!("{number}\n")).collect();
        let kept = last_lines(long.as_bytes());
        assert_eq!((kept.lines().count(), kept.lines().last()), (LAST_LINES, Some("99")));
    }
}
