//! What is asked of a guest through the agent in it. Its answers are a guest's: they are shown, and never acted on.

use std::sync::Arc;
use std::time::Duration;

use hostler_domain::number_set;
use hostler_domains::DomainIdentity;
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::{
    DomainAgentSetResponseTimeout, DomainAgentSetResponseTimeoutAnswer, DomainFsfreeze, DomainFsfreezeAnswer,
    DomainFsinfo, DomainFsthaw, DomainFsthawAnswer, DomainFstrim, DomainGetFsinfo, DomainGetFsinfoAnswer,
    DomainGetGuestVcpus, DomainGetGuestVcpusAnswer, DomainGetHostname, DomainGetHostnameAnswer,
    DomainGetTime, DomainGetTimeAnswer, DomainHandle, DomainPmSuspendForDuration, DomainSetGuestVcpus,
    DomainSetTime, DomainSetUserPassword, QemuDomainAgentCommand, QemuDomainAgentCommandAnswer, TypedParam,
};
use hostler_rpc::xdr::List;
use serde_json::{Value, json};

use super::{count, invalid, only};
use crate::client::{Client, reference};
use crate::dispatch::{Incoming, Work, routes};
use crate::failure;

/// How long an agent may take for what costs it little.
const WAIT: Duration = Duration::from_secs(5);
/// How long it may take for work on all its file systems.
const LONG_WAIT: Duration = Duration::from_secs(60);
/// Nanoseconds of a second.
const NANOSECONDS: i64 = 1_000_000_000;
/// Most things of a list of a guest's that are passed on.
const LISTED: usize = 256;

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        DomainGetTime => time,
        DomainSetTime => set_time,
        DomainGetHostname => hostname,
        DomainGetFsinfo => file_systems,
        DomainGetGuestVcpus => guest_vcpus,
        DomainSetGuestVcpus => set_guest_vcpus,
        DomainFsfreeze => freeze,
        DomainFsthaw => thaw,
        DomainFstrim => trim,
        DomainSetUserPassword => set_password,
        DomainPmSuspendForDuration => sleep,
        DomainAgentSetResponseTimeout => set_timeout,
    }
}

/// Calls of the program of QEMU's own.
pub(super) fn route_qemu(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; QemuDomainAgentCommand => command, }
}

/// Says a command, and hears the answer.
pub(super) async fn ask(
    client: &Client,
    domain: &DomainIdentity,
    command: &str,
    arguments: Option<Value>,
) -> Result<Value, RpcError> {
    let asked = client.host().agent_call(&reference(domain), command, arguments, WAIT).await;
    asked.map_err(|error| failure::of_domain(&error))
}

/// A domain that runs, and what its agent says.
pub(super) async fn asked(
    client: &Client,
    dom: &DomainHandle,
    command: &str,
    arguments: Option<Value>,
) -> Result<Value, RpcError> {
    let domain = super::counters::running(client, dom).await?;
    ask(client, &domain, command, arguments).await
}

fn nonsense(command: &str) -> RpcError {
    let detail = format!("the agent's answer to '{command}' is none");
    RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_QEMU, detail)
}

/// A text of a guest's, made short and harmless.
pub(super) fn text(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?;
    Some(text.chars().filter(|letter| !letter.is_control()).take(512).collect())
}

async fn time(client: Arc<Client>, call: DomainGetTime) -> Result<DomainGetTimeAnswer, RpcError> {
    const COMMAND: &str = "guest-get-time";
    only(call.flags, 0, "virDomainGetTime")?;
    let told = asked(&client, &call.dom, COMMAND, None).await?.as_i64().ok_or_else(|| nonsense(COMMAND))?;
    let nseconds = u32::try_from(told.rem_euclid(NANOSECONDS)).unwrap_or(0);
    Ok(DomainGetTimeAnswer { seconds: told.div_euclid(NANOSECONDS), nseconds })
}

async fn set_time(client: Arc<Client>, call: DomainSetTime) -> Result<(), RpcError> {
    const SYNC: u32 = 1;
    only(call.flags, SYNC, "virDomainSetTime")?;
    let time = call.seconds.checked_mul(NANOSECONDS).and_then(|time| time.checked_add(call.nseconds.into()));
    let time = time.ok_or_else(|| {
        RpcError::new(
            codes::ERR_OVERFLOW,
            codes::FROM_QEMU,
            format!("Time '{}' is too big for guest agent", call.seconds),
        )
    })?;
    // Without a time a guest takes the one of its machine's clock.
    let arguments = (call.flags & SYNC == 0).then(|| json!({"time": time}));
    asked(&client, &call.dom, "guest-set-time", arguments).await.map(drop)
}

async fn hostname(client: Arc<Client>, call: DomainGetHostname) -> Result<DomainGetHostnameAnswer, RpcError> {
    const COMMAND: &str = "guest-get-host-name";
    const LEASE: u32 = 1;
    const AGENT: u32 = 2;
    only(call.flags, LEASE | AGENT, "virDomainGetHostname")?;
    if call.flags == LEASE | AGENT {
        let detail = "a name is that of a lease or the agent's, not both";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    if call.flags == LEASE {
        let domain = super::counters::running(&client, &call.dom).await?;
        let hostname = super::addresses::leased_name(&client, &domain).await?;
        return Ok(DomainGetHostnameAnswer { hostname });
    }
    let told = asked(&client, &call.dom, COMMAND, None).await?;
    let hostname = text(&told, "host-name").ok_or_else(|| nonsense(COMMAND))?;
    Ok(DomainGetHostnameAnswer { hostname })
}

async fn file_systems(client: Arc<Client>, call: DomainGetFsinfo) -> Result<DomainGetFsinfoAnswer, RpcError> {
    only(call.flags, 0, "virDomainGetFSInfo")?;
    let told = asked(&client, &call.dom, "guest-get-fsinfo", None).await?;
    let listed = told.as_array().into_iter().flatten().take(LISTED);
    let info: Vec<_> = listed
        .filter_map(|one| {
            Some(DomainFsinfo {
                mountpoint: text(one, "mountpoint")?,
                name: text(one, "name")?,
                fstype: text(one, "type")?,
                dev_aliases: List(Vec::new()),
            })
        })
        .collect();
    Ok(DomainGetFsinfoAnswer { ret: count(info.len()), info: List(info) })
}

/// The processors of a guest as it sees them.
async fn processors(client: &Client, domain: &DomainIdentity) -> Result<Vec<(u32, bool, bool)>, RpcError> {
    let told = ask(client, domain, "guest-get-vcpus", None).await?;
    let one = |cpu: &Value| {
        let flag = |name: &str| cpu.get(name).and_then(Value::as_bool);
        let id = u32::try_from(cpu.get("logical-id")?.as_u64()?).ok()?;
        Some((id, flag("online")?, flag("can-offline").unwrap_or(false)))
    };
    Ok(told.as_array().into_iter().flatten().filter_map(one).collect())
}

async fn guest_vcpus(
    client: Arc<Client>,
    call: DomainGetGuestVcpus,
) -> Result<DomainGetGuestVcpusAnswer, RpcError> {
    only(call.flags, 0, "virDomainGetGuestVcpus")?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let cpus = processors(&client, &domain).await?;
    let set = |is: &dyn Fn(&(u32, bool, bool)) -> bool| {
        cpus.iter().filter(|cpu| is(cpu)).map(|(id, ..)| id.to_string()).collect::<Vec<_>>().join(",")
    };
    let params =
        [("vcpus", set(&|_| true)), ("online", set(&|cpu| cpu.1)), ("offlinable", set(&|cpu| cpu.2))];
    let params = params.map(|(name, set)| TypedParam::new(name, TypedValue::Text(set)));
    Ok(DomainGetGuestVcpusAnswer { params: List(params.to_vec()) })
}

/// Has a guest use some of its processors, or do without them.
async fn set_guest_vcpus(client: Arc<Client>, call: DomainSetGuestVcpus) -> Result<(), RpcError> {
    let wrong = |detail: String| RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail);
    only(call.flags, 0, "virDomainSetGuestVcpus")?;
    let online = match call.state {
        0 => false,
        1 => true,
        other => return Err(wrong(format!("unsupported state value '{other}'"))),
    };
    let wanted = number_set(&call.cpumap).filter(|set| !set.is_empty());
    let wanted = wanted.ok_or_else(|| wrong(format!("'{}' is no set of processors", call.cpumap)))?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let known = processors(&client, &domain).await?;
    if let Some(absent) = wanted.iter().find(|id| known.iter().all(|(known, ..)| known != *id)) {
        return Err(wrong(format!("guest vCPU '{absent}' is not present in the guest")));
    }
    let set: Vec<_> = wanted.iter().map(|id| json!({"logical-id": id, "online": online})).collect();
    let done = ask(&client, &domain, "guest-set-vcpus", Some(json!({"vcpus": set}))).await?;
    // It does one after the other, and stops at the first that it cannot change.
    match done.as_u64().and_then(|done| wanted.get(usize::try_from(done).ok()?)) {
        Some(left) => {
            let detail = format!("the guest did not change the state of vCPU '{left}' and those after it");
            Err(RpcError::new(codes::ERR_OPERATION_FAILED, codes::FROM_QEMU, detail))
        }
        None => Ok(()),
    }
}

/// How many processors a guest uses, or could.
pub(super) async fn vcpu_count(client: &Client, domain: &DomainIdentity, all: bool) -> Result<i32, RpcError> {
    let cpus = processors(client, domain).await?;
    Ok(count(cpus.iter().filter(|(_, online, _)| all || *online).count()))
}

/// Has a guest use so many of its processors.
pub(super) async fn set_vcpus(client: &Client, domain: &DomainIdentity, wanted: u32) -> Result<(), RpcError> {
    let cpus = processors(client, domain).await?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    if wanted > cpus.len() {
        let detail = format!(
            "requested vcpu count is greater than the count of enabled vcpus in the guest: {wanted} > {}",
            cpus.len()
        );
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    // Those that cannot be taken out are used first.
    let (mut stay, mut may): (Vec<_>, Vec<_>) = cpus.into_iter().partition(|(_, _, can_leave)| !can_leave);
    stay.append(&mut may);
    let set = stay.iter().enumerate().map(|(at, (id, ..))| json!({"logical-id": id, "online": at < wanted}));
    let set = json!({"vcpus": set.collect::<Vec<_>>()});
    ask(client, domain, "guest-set-vcpus", Some(set)).await.map(drop)
}

/// All file systems stand still, or none: what is only some of them is not thawed by whoever comes after a crash.
fn require_all(mountpoints: &[String]) -> Result<(), RpcError> {
    if mountpoints.is_empty() {
        return Ok(());
    }
    let detail = "all file systems of a guest are frozen together";
    Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail))
}

async fn freeze(client: Arc<Client>, call: DomainFsfreeze) -> Result<DomainFsfreezeAnswer, RpcError> {
    only(call.flags, 0, "virDomainFSFreeze")?;
    require_all(&call.mountpoints.0)?;
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let frozen =
        client.host().agent_freeze(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainFsfreezeAnswer { filesystems: i32::try_from(frozen.file_systems).unwrap_or(i32::MAX) })
}

async fn thaw(client: Arc<Client>, call: DomainFsthaw) -> Result<DomainFsthawAnswer, RpcError> {
    only(call.flags, 0, "virDomainFSThaw")?;
    require_all(&call.mountpoints.0)?;
    let (domain, _job) = client.change(&call.dom).await?;
    if domain.run_number.is_none() {
        return Err(invalid("domain is not running"));
    }
    let thawed =
        client.host().agent_thaw(&reference(&domain)).await.map_err(|error| failure::of_domain(&error))?;
    Ok(DomainFsthawAnswer { filesystems: i32::try_from(thawed.file_systems).unwrap_or(i32::MAX) })
}

async fn trim(client: Arc<Client>, call: DomainFstrim) -> Result<(), RpcError> {
    only(call.flags, 0, "virDomainFSTrim")?;
    if call.mount_point.is_some() {
        let detail = "Specifying mount point is not supported for now";
        return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    let domain = super::counters::running(&client, &call.dom).await?;
    let arguments = json!({"minimum": call.minimum});
    let trimmed =
        client.host().agent_call(&reference(&domain), "guest-fstrim", Some(arguments), LONG_WAIT).await;
    trimmed.map(drop).map_err(|error| failure::of_domain(&error))
}

async fn set_password(client: Arc<Client>, call: DomainSetUserPassword) -> Result<(), RpcError> {
    const ENCRYPTED: u32 = 1;
    only(call.flags, ENCRYPTED, "virDomainSetUserPassword")?;
    let (Some(user), Some(password)) = (call.user, call.password) else {
        let detail = "a user and a password have to be given";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_DOMAIN, detail));
    };
    let password = base64(password.as_bytes());
    let arguments = json!({"username": user, "password": password, "crypted": call.flags & ENCRYPTED != 0});
    asked(&client, &call.dom, "guest-set-user-password", Some(arguments)).await.map(drop)
}

/// RFC 4648, as the agent wants passwords.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| LETTERS.get((bits & 63) as usize).copied().map_or('=', char::from);
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([letter(bits >> 18), letter(bits >> 12)]);
        text.push(if group.len() > 1 { letter(bits >> 6) } else { '=' });
        text.push(if group.len() > 2 { letter(bits) } else { '=' });
    }
    text
}

async fn sleep(client: Arc<Client>, call: DomainPmSuspendForDuration) -> Result<(), RpcError> {
    const COMMANDS: [&str; 3] = ["guest-suspend-ram", "guest-suspend-disk", "guest-suspend-hybrid"];
    only(call.flags, 0, "virDomainPMSuspendForDuration")?;
    if call.duration != 0 {
        let detail = "Duration not supported. Use 0 for now";
        return Err(RpcError::new(codes::ERR_ARGUMENT_UNSUPPORTED, codes::FROM_QEMU, detail));
    }
    let command = usize::try_from(call.target).ok().and_then(|target| COMMANDS.get(target));
    let command = command.ok_or_else(|| {
        RpcError::new(
            codes::ERR_INVALID_ARG,
            codes::FROM_QEMU,
            format!("Unknown suspend target: {}", call.target),
        )
    })?;
    asked(&client, &call.dom, command, None).await.map(drop)
}

/// Every question here has a time of its own, which fits it.
async fn set_timeout(
    client: Arc<Client>,
    call: DomainAgentSetResponseTimeout,
) -> Result<DomainAgentSetResponseTimeoutAnswer, RpcError> {
    const BLOCK: i32 = -2;
    only(call.flags, 0, "virDomainAgentSetResponseTimeout")?;
    client.domain(&call.dom).await?;
    if call.timeout < BLOCK {
        let detail = format!("guest agent timeout '{}' is less than the minimum '{BLOCK}'", call.timeout);
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    Ok(DomainAgentSetResponseTimeoutAnswer { result: 0 })
}

/// A command in the agent's own words: it goes to the guest, and nowhere else.
async fn command(
    client: Arc<Client>,
    call: QemuDomainAgentCommand,
) -> Result<QemuDomainAgentCommandAnswer, RpcError> {
    only(call.flags, 0, "virDomainQemuAgentCommand")?;
    let wrong = |detail: &str| RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail);
    let said: Value =
        serde_json::from_str(&call.cmd).map_err(|error| wrong(&format!("cannot parse json: {error}")))?;
    let name = said
        .get("execute")
        .and_then(Value::as_str)
        .ok_or_else(|| wrong("a command has a member 'execute'"))?;
    let domain = super::counters::running(&client, &call.dom).await?;
    let wait = u64::try_from(call.timeout).map_or(WAIT, |seconds| Duration::from_secs(seconds.clamp(1, 60)));
    let arguments = said.get("arguments").cloned();
    let answer = client.host().agent_call(&reference(&domain), name, arguments, wait).await;
    let answer = answer.map_err(|error| failure::of_domain(&error))?;
    Ok(QemuDomainAgentCommandAnswer { result: Some(json!({"return": answer}).to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_written_as_agents_read_them() {
        assert_eq!(base64(b""), "");
        assert_eq!(
            (base64(b"f"), base64(b"fo"), base64(b"foo")),
            ("Zg==".into(), "Zm8=".into(), "Zm9v".into())
        );
        assert_eq!(base64(&[0xff, 0xfe, 0xfd, 0]), "//79AA==");
    }
}
