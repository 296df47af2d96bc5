//! `firmware`: the chosen code and the domain's variable store, opened.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use hostler_firmware::{ErrorKind, FirmwareError, VariableStore as StoreFile};
use hostler_grant::Capability;
use hostler_image::{Format, redact};
use hostler_launch::Role;
use rustix::fs::OFlags;
use wasmtime::component::Resource;

use super::domain::{Subject, only_reads};
use super::endpoint::unopened;
use crate::answer::{self, yes_no};
use crate::bindings::wit::firmware::{Firmware, Host, HostCode, HostVariableStore};
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::chain;
use crate::firmware_plan::{self, CodeOrigin, FirmwarePlan, StorePlan};
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
            attachment: plan.attachment,
            code: self.table.push(Code(Arc::new(code)))?,
            code_format: plan.code.format.name().to_owned(),
            store,
            store_format,
            needs_smm: plan.needs_smm,
            facts: plan.facts.iter().map(|(key, value)| answer::fact(key, value)).collect(),
        })))
    }
}

fn ready(subject: &Subject, starting: bool) -> Result<Option<Ready>, Error> {
    let context = &subject.context;
    let default_store = context.state.directory().variable_store_path(context.uuid);
    let Some(plan) =
        firmware_plan::plan(subject.document()?, default_store).map_err(|error| failed(&error))?
    else {
        return Ok(None);
    };
    let describes = subject.describes();
    if starting
        && !describes
        && let Some(store) = &plan.store
    {
        if context.state.owner().is_none() {
            return Err(only_reads());
        }
        prepare(store, context.reset_nvram)?;
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

/// Makes the store, or makes it anew, and checks it: the last moment before a guest writes to it.
fn prepare(store: &StorePlan, reset: bool) -> Result<(), Error> {
    let file = StoreFile::new(&store.path);
    let made = |result: Result<(), FirmwareError>| result.map_err(|error| failed(&error));
    if !store.is_plain() {
        if !reset {
            return Ok(());
        }
        let message =
            format!("a variable store of format {} cannot be made from a template", store.format.name());
        return Err(Error::Unsupported(
            answer::problem("firmware.store-format", message).hint("use a raw file"),
        ));
    }
    if reset {
        made(file.reset(store.template.as_ref()))?;
    } else {
        made(file.create_if_missing(store.template.as_ref()).map(drop))?;
    }
    made(file.check().map(drop))
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
    let open = || {
        if !store.is_default {
            return subject.context.roots.open_declared(&store.path, Mark::ReadWrite);
        }
        let (Some(directory), Some(name)) = (store.path.parent(), store.path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        open_beneath(&mut Directories::default(), directory, Path::new(name), Mark::ReadWrite)
    };
    let fd = match subject.describes() {
        true => None,
        false => Some(open().map_err(|error| unopened(&store.path, &error))?),
    };
    let (format, path) = (store.format.name(), store.path.clone());
    Ok(Opened { fd, writable: true, role: Role::VariableStore, format, data_apart: false, path })
}

/// Refuses a flash image whose header is not sound, or that keeps its data in another file. A file below it would not be
/// opened, for flash nodes say that there is nothing (S0).
fn check_flash(flash: &Opened) -> Result<(), Error> {
    let (Some(fd), Some(format)) = (&flash.fd, Format::from_qemu_name(flash.format)) else { return Ok(()) };
    let shown = flash.path.display().to_string();
    let file = fd.try_clone().map(std::fs::File::from).map_err(|error| unopened(&flash.path, &error))?;
    let header = header_of(file, format).map_err(|error| chain::refused(&error, &shown))?;
    match header.data_file {
        None => Ok(()),
        Some(record) => {
            let message = format!("the flash image '{shown}' keeps its data in another file");
            let problem = answer::problem("firmware.data-file", message)
                .hint("convert it to one file with 'hostler image convert'")
                .detail("reference", redact(&record.name));
            Err(Error::Denied(problem))
        }
    }
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
        ErrorKind::StoreInvalid => Error::Conflict(problem),
        ErrorKind::StoreUnsupported => Error::Unsupported(problem),
        ErrorKind::Io => Error::Host(problem),
        _ => Error::Invalid(problem),
    }
}

impl FirmwarePlan {
    /// A statement about what was chosen.
    pub(crate) fn state(&mut self, key: &'static str, value: bool) {
        self.facts.push((key, yes_no(value).to_owned()));
    }
}
