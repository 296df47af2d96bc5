//! Consoles, pictures and keys.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hostler_domains::ConsoleStream;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    DomainOpenChannel, DomainOpenConsole, DomainScreenshot, DomainScreenshotAnswer, DomainSendKey,
};
use tokio::net::UnixStream;

use super::{invalid, only};
use crate::client::{Client, internal, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;
use crate::streams::StreamBody;

/// Flags of a console: take it from whoever has it; be alone with it. Everybody shares it here, so the first is nothing to do.
const CONSOLE_FORCE: u32 = 1;
const CONSOLE_SAFE: u32 = 2;
/// The flag by which a channel is taken from whoever has it: that is refused here, and the flag is nothing to do.
const CHANNEL_FORCE: u32 = 1;
/// The set of key codes that is Linux's own.
const CODESET_LINUX: u32 = 0;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainSendKey => send_key,
        ;
        DomainOpenConsole => console,
        DomainOpenChannel => channel,
        DomainScreenshot => screenshot,
    }
}

async fn console(client: Arc<Client>, call: DomainOpenConsole) -> Result<((), StreamBody), RpcError> {
    only(call.flags, CONSOLE_FORCE | CONSOLE_SAFE, "virDomainOpenConsole")?;
    let domain = client.domain(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let console = client.host().console(&reference(&domain), call.dev_name.as_deref(), false).await;
    let console = console.map_err(|error| failure::of_domain(&error))?;
    Ok(((), StreamBody::Console(streamed(console)?)))
}

/// A line to a program in the guest.
async fn channel(client: Arc<Client>, call: DomainOpenChannel) -> Result<((), StreamBody), RpcError> {
    only(call.flags, CHANNEL_FORCE, "virDomainOpenChannel")?;
    let domain = client.domain(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let channel = client.host().channel(&reference(&domain), call.name.as_deref()).await;
    let channel = channel.map_err(|error| failure::of_domain(&error))?;
    Ok(((), StreamBody::Console(streamed(channel)?)))
}

fn streamed(line: ConsoleStream) -> Result<UnixStream, RpcError> {
    let opened = line.set_nonblocking(true).and_then(|()| UnixStream::from_std(line));
    opened.map_err(|error| internal(&format!("it cannot be opened: {error}")))
}

async fn screenshot(
    client: Arc<Client>,
    call: DomainScreenshot,
) -> Result<(DomainScreenshotAnswer, StreamBody), RpcError> {
    only(call.flags, 0, "virDomainScreenshot")?;
    let (domain, _job) = client.change(&call.dom).await?;
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let path = client.host().run_directory(domain.uuid).join(format!("screen-{stamp}"));
    let taken = client.host().screenshot(&reference(&domain), call.screen, &path).await;
    let taken = taken.map_err(|error| failure::of_domain(&error))?;
    let file = std::fs::File::open(&path);
    // Open, it needs no name any more.
    std::fs::remove_file(&path).ok();
    let file = file.map_err(|error| internal(&format!("the picture cannot be read: {error}")))?;
    Ok((DomainScreenshotAnswer { mime: Some(taken.media_type) }, StreamBody::File(file)))
}

async fn send_key(client: Arc<Client>, call: DomainSendKey) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainSendKey")?;
    if call.codeset != CODESET_LINUX {
        let detail = "keys are named by Linux's codes only";
        return Err(RpcError::new(codes::ERR_OPERATION_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    let (domain, _job) = client.change(&call.dom).await?;
    let pressed = client.host().press_keys(&reference(&domain), &call.keycodes.0, call.holdtime).await;
    pressed.map_err(|error| failure::of_domain(&error))
}
