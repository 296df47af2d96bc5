//! `firmware`: the chosen code and the domain's variable store, opened.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use hostler_firmware::{
    Attachment, CodeOrigin, ErrorKind, FirmwareError, FirmwarePlan, StorePlace, StorePlan,
    VariableStore as StoreFile, plan,
};
use hostler_grant::Capability;
use hostler_image::Format;
use hostler_launch::Role;
use rustix::fs::OFlags;
use wasmtime::component::Resource;

use super::domain::Subject;
use super::endpoint::unopened;
use crate::answer::{self, yes_no};
use crate::bindings::wit::firmware::{Attachment as Attached, Firmware, Host, HostCode, HostVariableStore};
use crate::bindings::wit::types::Error;
use crate::bindings::wit::types::Fact;
use crate::call::CallState;
use crate::chain;
use crate::flash_formats;
use crate::inspect::header_of;
use crate::limits;
use crate::opened::Opened;
use crate::operation::Operation;
use crate::roots::{Directories, Mark, open_beneath};

/// Firmware code, opened for reading.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Code(pub(crate) Arc<Opened>);

/// The domain's own variables, opened for writing.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct VariableStore(pub(crate) Arc<Opened>);

impl Host for CallState {}

impl HostCode for CallState {
    async fn drop(&mut self, me: Resource<Code>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl HostVariableStore for CallState {
    async fn drop(&mut self, me: Resource<VariableStore>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

/// What was chosen, and opened unless it is only shown.
struct Ready {
    plan: FirmwarePlan,
    code: Opened,
    store: Option<Opened>,
}

impl CallState {
    /// The domain's firmware; none when its machine brings its own.
    pub(crate) async fn chosen_firmware(
        &mut self,
        subject: Arc<Subject>,
    ) -> wasmtime::Result<Result<Option<Firmware>, Error>> {
        if let Err(denied) = self.require(Capability::Firmware, "") {
            return Ok(Err(denied));
        }
        let starting = self.operation == Operation::Start;
        let ready = self
            .blocking("domain.firmware", limits::FILE_DEADLINE, move |_| ready(&subject, starting))
            .await?;
        let Ready { plan, code, store } = match ready {
            Ok(Some(ready)) => ready,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        let store_format = plan.store.as_ref().map_or("raw", |store| store.format.name()).to_owned();
        let store = store.map(|store| self.table.push(VariableStore(Arc::new(store)))).transpose()?;
        Ok(Ok(Some(Firmware {
            attachment: match plan.attachment {
                Attachment::Flash => Attached::Flash,
                Attachment::Rom => Attached::Rom,
            },
            code: self.table.push(Code(Arc::new(code)))?,
            code_format: plan.code.format.name().to_owned(),
            store,
            store_format,
            needs_smm: plan.needs_smm,
            facts: facts(&plan),
        })))
    }
}

fn ready(subject: &Subject, starting: bool) -> Result<Option<Ready>, Error> {
    let context = &subject.context;
    let default_store = context.state.directory().variable_store_path(context.uuid);
    let Some(plan) =
        plan(subject.document()?, &context.firmware, default_store).map_err(|error| failed(&error))?
    else {
        return Ok(None);
    };
    let describes = subject.describes();
    if starting
        && !describes
        && let Some(store) = &plan.store
    {
        require_made(store).map_err(|error| failed(&error))?;
    }
    let code_path = plan.code.path.clone();
    let code = match describes {
        true => None,
        false => Some(open_code(subject, &plan).map_err(|error| unopened(&code_path, &error))?),
    };
    let store = plan.store.as_ref().map(|store| open_store(subject, store)).transpose()?;
    let format = plan.code.format.name();
    let code =
        Opened { fd: code, writable: false, role: Role::Code, format, data_apart: false, path: code_path };
    for flash in std::iter::once(&code).chain(&store) {
        check_flash(flash)?;
    }
    Ok(Some(Ready { plan, code, store }))
}

/// The verb that starts a domain has made its store, and checked it: a call of a driver changes none.
fn require_made(store: &StorePlan) -> Result<(), FirmwareError> {
    match &store.place {
        StorePlace::Host(path) | StorePlace::File(path) => StoreFile::new(path).require(),
        StorePlace::Block(_) => Ok(()),
    }
}

fn facts(plan: &FirmwarePlan) -> Vec<Fact> {
    let Some(described) = &plan.described else { return Vec::new() };
    vec![
        answer::fact("descriptor", described.descriptor.display().to_string()),
        answer::fact("secure-boot", yes_no(described.secure_boot)),
        answer::fact("enrolled-keys", yes_no(described.enrolled_keys)),
    ]
}

fn open_code(subject: &Subject, plan: &FirmwarePlan) -> io::Result<OwnedFd> {
    let path = &plan.code.path;
    let fd = match plan.code_origin {
        // The host's own file, as its package installed it: links are the package's.
        CodeOrigin::Installed => OpenOptions::new().read(true).custom_flags(nonblocking()).open(path)?.into(),
        CodeOrigin::Document => subject.context.roots.open_declared(path, Mark::ReadOnly)?,
    };
    let file = std::fs::File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file.into())
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are a bit set; the sign carries nothing")]
fn nonblocking() -> i32 {
    OFlags::NONBLOCK.bits() as i32
}

fn open_store(subject: &Subject, store: &StorePlan) -> Result<Opened, Error> {
    let path = store.place.path().to_owned();
    let open = || {
        if !matches!(store.place, StorePlace::Host(_)) {
            return subject.context.roots.open_declared(&path, Mark::ReadWrite);
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        open_beneath(&mut Directories::default(), directory, Path::new(name), Mark::ReadWrite)
    };
    let fd = match subject.describes() {
        true => None,
        false => Some(open().map_err(|error| unopened(&path, &error))?),
    };
    let format = store.format.name();
    Ok(Opened { fd, writable: true, role: Role::VariableStore, format, data_apart: false, path })
}

/// Refuses a flash image whose header is not sound, or whose bytes are not in it to be read. A file below it would not be
/// opened, for flash nodes say that there is nothing (S0).
fn check_flash(flash: &Opened) -> Result<(), Error> {
    let (Some(fd), Some(format)) = (&flash.fd, Format::from_qemu_name(flash.format)) else { return Ok(()) };
    let shown = flash.path.display().to_string();
    let file = fd.try_clone().map(std::fs::File::from).map_err(|error| unopened(&flash.path, &error))?;
    let header = header_of(file, format).map_err(|error| chain::refused(&error, &shown))?;
    let Some(flaw) = flash_formats::flaw(&header) else { return Ok(()) };
    let problem =
        answer::problem(flaw.code, format!("the flash image '{shown}' {}", flaw.what)).hint(flaw.hint);
    Err(Error::Denied(match flaw.reference {
        Some(reference) => problem.detail("reference", reference),
        None => problem,
    }))
}

/// What the driver is told when there is no firmware to be had.
fn failed(error: &FirmwareError) -> Error {
    let mut problem = answer::host(error.code(), error);
    problem.hints = error.hints().iter().map(|hint| hint.text.clone()).collect();
    if let Some(path) = error.path() {
        problem = problem.detail("path", path.display().to_string());
    }
    let passed = error.passed_over().iter();
    problem.details.extend(
        passed.map(|passed| answer::fact(&passed.descriptor.display().to_string(), passed.reason.clone())),
    );
    match error.kind() {
        ErrorKind::NoMatch | ErrorKind::TemplateMissing | ErrorKind::StoreMissing => Error::NotFound(problem),
        ErrorKind::StoreInvalid | ErrorKind::StoreInUse => Error::Conflict(problem),
        ErrorKind::StoreUnsupported | ErrorKind::StoreElsewhere | ErrorKind::CodeWritable => {
            Error::Unsupported(problem)
        }
        ErrorKind::Io => Error::Host(problem),
        _ => Error::Invalid(problem),
    }
}
