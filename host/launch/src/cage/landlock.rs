//! The wall of Landlock: the second one against names, should the first be passed.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

use super::closure::Item;
use super::plan::{CagePlan, SOCKETS};
use super::{Wall, WallFailure, server};

/// The version whose rights are asked for; a kernel that knows fewer enforces those that it knows. Version 6 has
/// files, devices, TCP, abstract sockets and signals; later ones add nothing that is missing inside a cage.
const WANTED: ABI = ABI::V6;

/// Restricts this process and all that it starts to what the plan has. The kernel's version, as far as it is used.
pub(crate) fn restrict(plan: &CagePlan) -> Result<u32, WallFailure> {
    let failed = |error: RulesetError| Wall::Landlock.failed("restrict", error);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .map_err(failed)?;
    if !plan.host_network {
        rules = rules.handle_access(AccessNet::from_all(WANTED)).map_err(failed)?;
    }
    let rules = allow(rules.create().map_err(failed)?, plan)?;
    let done = rules.restrict_self().map_err(failed)?;
    match (done.ruleset, done.landlock) {
        (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => {
            Err(Wall::Landlock.failed("restrict", "this kernel has no Landlock, or it is not enabled").hint(
                "add 'landlock' to the kernel's lsm= list; or start with --cage=without-landlock, which keeps the \
                 other walls",
            ))
        }
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok((effective_abi as u32).min(WANTED as u32)),
    }
}

/// Restricts this process and all that it starts to no file, no port and no socket of others. On a kernel without
/// Landlock nothing is restricted: see [`super::room`].
pub(crate) fn forbid_everything() -> Result<(), WallFailure> {
    let failed = |error: RulesetError| Wall::Landlock.failed("restrict", error);
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
        .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
        .map_err(failed)?;
    rules.create().and_then(RulesetCreated::restrict_self).map(drop).map_err(failed)
}

fn allow(mut rules: RulesetCreated, plan: &CagePlan) -> Result<RulesetCreated, WallFailure> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let file = BitFlags::from(AccessFs::ReadFile);
    for item in &plan.items {
        rules = match item {
            Item::Link { .. } => rules,
            Item::Directory { path } => add(rules, path, read)?,
            Item::File { path, run: true } => add(rules, path, file | AccessFs::Execute)?,
            Item::File { path, .. } => add(rules, path, file)?,
        };
    }
    for device in &plan.devices {
        rules = add(rules, device, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    }
    for named in &plan.files {
        let write = AccessFs::WriteFile | AccessFs::Truncate;
        let access = match (named.directory, named.writable) {
            (false, false) => file,
            (false, true) => file | write,
            (true, false) => read,
            (true, true) => read | write | AccessFs::MakeReg | AccessFs::RemoveFile,
        };
        rules = add(rules, &named.path, access)?;
    }
    if plan.file_server {
        // What there is of `/proc` is found by what it is open as; this alone is opened by its name.
        rules = add(rules, Path::new(server::PROC_FILE), file)?;
    }
    for folder in &plan.folders {
        rules = add(rules, &folder.path, in_folders())?;
    }
    if plan.sockets.is_some() {
        // Sockets and nothing else: no file of the program's own making lands on the host.
        rules = add(rules, Path::new(SOCKETS), AccessFs::MakeSock | AccessFs::RemoveFile)?;
    }
    Ok(rules)
}

/// All that can be done to files, but running them and making or using devices.
fn in_folders() -> BitFlags<AccessFs> {
    AccessFs::from_all(WANTED)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

fn add(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, WallFailure> {
    let failed = |error: String| Wall::Landlock.failed(format!("allow '{}'", path.display()), error);
    let place = PathFd::new(path).map_err(|error| failed(error.to_string()))?;
    rules.add_rule(PathBeneath::new(place, access)).map_err(|error| failed(error.to_string()))
}
