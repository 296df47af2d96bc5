//! Guests in files: their documents, and what is written of their memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::{STRING_OKAY, TypedValue};
use hostler_rpc::wire::{
    DomainCoreDump, DomainCoreDumpWithFormat, DomainHandle, DomainManagedSaveDefineXml,
    DomainManagedSaveGetXmlDesc, DomainManagedSaveGetXmlDescAnswer, DomainManagedSaveRemove,
    DomainMemoryPeek, DomainMemoryPeekAnswer, DomainRestoreParams, DomainSaveImageDefineXml,
    DomainSaveImageGetXmlDesc, DomainSaveImageGetXmlDescAnswer, DomainSaveParams, TypedParam,
};
use hostler_rpc::xdr::Opaque;

use super::saving::{restored, running, saved};
use super::{invalid, only, unsupported};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// Flags: with its passwords; running or paused afterwards.
const SECURE: u32 = 1;
const RUNNING: u32 = 2;
const PAUSED: u32 = 4;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSaveImageGetXmlDesc => document,
        DomainSaveImageDefineXml => define,
        DomainManagedSaveGetXmlDesc => own_document,
        DomainManagedSaveDefineXml => define_own,
        DomainManagedSaveRemove => remove_own,
        DomainSaveParams => save,
        DomainRestoreParams => restore,
        DomainMemoryPeek => peek,
        DomainCoreDump => async |client, call: DomainCoreDump| {
            dumped(&client, &call.dom, &call.to, (0, call.flags)).await
        },
        DomainCoreDumpWithFormat => async |client, call: DomainCoreDumpWithFormat| {
            dumped(&client, &call.dom, &call.to, (call.dumpformat, call.flags)).await
        },
    }
}

/// What is wrong with a file, in the numbers that clients know.
fn failed(error: &hostler_domains::Error) -> RpcError {
    match error.code() {
        "saved.foreign" => RpcError::new(
            codes::ERR_OPERATION_FAILED,
            codes::FROM_QEMU,
            format!("image magic is incorrect: {error}"),
        ),
        "saved.unfinished" | "saved.damaged" | "saved.unsupported" | "saved.not-found" => {
            RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_QEMU, error.to_string())
        }
        "saved.other-machine" => {
            RpcError::new(codes::ERR_CONFIG_UNSUPPORTED, codes::FROM_DOMAIN, error.to_string())
        }
        "domain.not-saved" => RpcError::new(
            codes::ERR_OPERATION_INVALID,
            codes::FROM_QEMU,
            "domain does not have managed save image",
        ),
        _ => failure::of_domain(error),
    }
}

async fn document(
    client: Arc<Client>,
    call: DomainSaveImageGetXmlDesc,
) -> Result<DomainSaveImageGetXmlDescAnswer, RpcError> {
    only(call.flags, SECURE, "virDomainSaveImageGetXMLDesc")?;
    let xml = client.host().saved_document(Path::new(&call.file)).map_err(|error| failed(&error))?;
    Ok(DomainSaveImageGetXmlDescAnswer { xml: super::xml::without_secrets(&xml, call.flags & SECURE != 0)? })
}

async fn define(client: Arc<Client>, call: DomainSaveImageDefineXml) -> Result<(), RpcError> {
    only(call.flags, RUNNING | PAUSED, "virDomainSaveImageDefineXML")?;
    let running = running(call.flags)?;
    let defined = client.host().redefine_saved(Path::new(&call.file), Some(&call.dxml), running).await;
    defined.map_err(|error| failed(&error))
}

async fn own_document(
    client: Arc<Client>,
    call: DomainManagedSaveGetXmlDesc,
) -> Result<DomainManagedSaveGetXmlDescAnswer, RpcError> {
    only(call.flags, SECURE, "virDomainManagedSaveGetXMLDesc")?;
    let domain = client.domain(&call.dom).await?;
    let xml = client.host().own_saved_document(&reference(&domain)).map_err(|error| failed(&error))?;
    Ok(DomainManagedSaveGetXmlDescAnswer {
        xml: super::xml::without_secrets(&xml, call.flags & SECURE != 0)?,
    })
}

async fn define_own(client: Arc<Client>, call: DomainManagedSaveDefineXml) -> Result<(), RpcError> {
    only(call.flags, RUNNING | PAUSED, "virDomainManagedSaveDefineXML")?;
    let running = running(call.flags)?;
    let (domain, _job) = client.change(&call.dom).await?;
    let defined = client.host().redefine_own_saved(&reference(&domain), call.dxml.as_deref(), running).await;
    defined.map_err(|error| failed(&error))
}

async fn remove_own(client: Arc<Client>, call: DomainManagedSaveRemove) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainManagedSaveRemove")?;
    let (domain, _job) = client.change(&call.dom).await?;
    match client.host().forget_saved(&reference(&domain)) {
        // There is none, as is wanted.
        Err(error) if error.code() == "domain.not-saved" => Ok(()),
        removed => removed.map_err(|error| failed(&error)),
    }
}

/// The file and the document among parameters.
fn file_in(params: &[TypedParam]) -> Result<(Option<PathBuf>, Option<String>), RpcError> {
    let (mut file, mut document) = (None, None);
    for param in params {
        match (param.field.as_str(), &param.value) {
            ("file", TypedValue::Text(path)) => file = Some(PathBuf::from(path)),
            ("dxml", TypedValue::Text(xml)) => document = Some(xml.clone()),
            (name, _) => {
                let detail = format!("parameter '{name}' not supported");
                return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
            }
        }
    }
    Ok((file, document))
}

async fn save(client: Arc<Client>, call: DomainSaveParams) -> Result<(), RpcError> {
    let (file, document) = file_in(&call.params.0)?;
    super::saving::require_own_document(document.as_deref())?;
    saved(&client, &call.dom, file, call.flags & !STRING_OKAY).await
}

async fn restore(client: Arc<Client>, call: DomainRestoreParams) -> Result<(), RpcError> {
    let (file, document) = file_in(&call.params.0)?;
    super::saving::require_own_document(document.as_deref())?;
    let file = file
        .ok_or_else(|| RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, "missing path parameter"))?;
    restored(&client, &file, call.flags & !STRING_OKAY).await
}

/// The memory of a guest in a file.
async fn dumped(
    client: &Client,
    dom: &DomainHandle,
    to: &str,
    (format, flags): (u32, u32),
) -> Result<(), RpcError> {
    const CRASH: u32 = 1;
    const LIVE: u32 = 2;
    const BYPASS_CACHE: u32 = 4;
    const RESET: u32 = 8;
    const MEMORY_ONLY: u32 = 16;
    const FORMATS: [&str; 5] = ["elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp"];
    only(flags, CRASH | LIVE | BYPASS_CACHE | RESET | MEMORY_ONLY, "virDomainCoreDump")?;
    if flags & CRASH != 0 && flags & (LIVE | RESET) != 0 {
        let detail = "a guest that is dumped as crashed does not go on";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail));
    }
    let unknown =
        || RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, format!("unknown dumpformat '{format}'"));
    let format = usize::try_from(format).ok().and_then(|format| FORMATS.get(format)).ok_or_else(unknown)?;
    let (domain, _job) = client.change(dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let (host, wanted) = (client.host(), reference(&domain));
    host.dump(&wanted, Path::new(to), format).await.map_err(|error| failure::of_domain(&error))?;
    let after = match (flags & CRASH != 0, flags & RESET != 0) {
        (true, _) => host.destroy(&wanted).await.map(drop),
        (false, true) => host.reset(&wanted).await.map(drop),
        (false, false) => Ok(()),
    };
    after.map_err(|error| failure::of_domain(&error))
}

/// Bytes of a guest's memory, as its machine counts it.
async fn peek(client: Arc<Client>, call: DomainMemoryPeek) -> Result<DomainMemoryPeekAnswer, RpcError> {
    const VIRTUAL: u32 = 1;
    const PHYSICAL: u32 = 2;
    match call.flags {
        PHYSICAL => {}
        VIRTUAL => {
            let detail = "memory is looked at as the machine counts it, not as one of its processors does";
            return Err(unsupported(codes::FROM_QEMU, detail));
        }
        _ => {
            let detail = "flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL";
            return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
        }
    }
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let seen = client.host().peek(&reference(&domain), call.offset, call.size).await;
    Ok(DomainMemoryPeekAnswer { buffer: Opaque(seen.map_err(|error| failure::of_domain(&error))?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_found_among_parameters_and_others_are_refused() {
        let param = |name: &str| TypedParam::new(name, TypedValue::Text("/a".to_owned()));
        assert_eq!(file_in(&[param("file")]).unwrap(), (Some(PathBuf::from("/a")), None));
        assert_eq!(file_in(&[param("parallel")]).unwrap_err().code, codes::ERR_INVALID_ARG);
    }
}
