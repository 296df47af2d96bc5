//! What a guest tells of itself through its agent, as named values.

use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::typed::TypedValue;
use hostler_rpc::wire::{DomainGetGuestInfo, DomainGetGuestInfoAnswer, TypedParam};
use hostler_rpc::xdr::List;
use serde_json::Value;

use super::guest_agent::{ask, text};
use super::{count, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// Most things of a list of a guest's that are passed on.
const LISTED: usize = 64;
/// Everything that can be asked for.
const ALL: u32 = 127;

/// What is asked for by a bit: the agent's command, and what its answer is as named values.
type Subject = (u32, &'static str, fn(&Value, &mut Params));

const SUBJECTS: [Subject; 7] = [
    (1, "guest-get-users", users),
    (2, "guest-get-osinfo", system),
    (4, "guest-get-timezone", timezone),
    (8, "guest-get-host-name", hostname),
    (16, "guest-get-fsinfo", file_systems),
    (32, "guest-get-disks", disks),
    (64, "guest-network-get-interfaces", interfaces),
];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming; DomainGetGuestInfo => info, }
}

async fn info(client: Arc<Client>, call: DomainGetGuestInfo) -> Result<DomainGetGuestInfoAnswer, RpcError> {
    only(call.flags, 0, "virDomainGetGuestInfo")?;
    if call.types & !ALL != 0 {
        let detail = format!("unsupported guest information types '0x{:x}'", call.types & !ALL);
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail));
    }
    let domain = super::counters::running(&client, &call.dom).await?;
    let mut params = Params::default();
    for (bit, command, read) in SUBJECTS {
        if call.types != 0 && call.types & bit == 0 {
            continue;
        }
        match ask(&client, &domain, command, None).await {
            Ok(told) => read(&told, &mut params),
            // What an agent does not know is an error only when that very thing is asked for.
            Err(error) if error.code == codes::ERR_OPERATION_UNSUPPORTED && call.types == 0 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(DomainGetGuestInfoAnswer { params: List(params.0) })
}

/// Named values.
#[derive(Default)]
struct Params(Vec<TypedParam>);

impl Params {
    fn put(&mut self, name: impl Into<String>, value: TypedValue) {
        self.0.push(TypedParam::new(name, value));
    }

    /// A text of the guest's, if it is there.
    fn text(&mut self, name: impl Into<String>, value: &Value, member: &str) {
        if let Some(text) = text(value, member) {
            self.put(name, TypedValue::Text(text));
        }
    }

    fn number(&mut self, name: impl Into<String>, value: &Value, member: &str) {
        if let Some(number) = value.get(member).and_then(Value::as_u64) {
            self.put(name, TypedValue::ULong(number));
        }
    }

    fn count(&mut self, name: impl Into<String>, list: &[&Value]) {
        self.put(name, TypedValue::UInt(count(list.len())));
    }
}

fn list<'a>(value: &'a Value, member: &str) -> Vec<&'a Value> {
    items(value.get(member).unwrap_or(&Value::Null))
}

fn items(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().take(LISTED).collect()
}

fn users(told: &Value, params: &mut Params) {
    let users = items(told);
    params.count("user.count", &users);
    for (at, user) in users.into_iter().enumerate() {
        params.text(format!("user.{at}.name"), user, "user");
        params.text(format!("user.{at}.domain"), user, "domain");
        let login = user.get("login-time").and_then(Value::as_f64).filter(|time| *time >= 0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds, cut to whole ones"
        )]
        let login = login.map(|seconds| (seconds * 1_000.0) as u64);
        if let Some(login) = login {
            params.put(format!("user.{at}.login-time"), TypedValue::ULong(login));
        }
    }
}

fn system(told: &Value, params: &mut Params) {
    const NAMES: [&str; 10] = [
        "id",
        "name",
        "pretty-name",
        "version",
        "version-id",
        "machine",
        "variant",
        "variant-id",
        "kernel-release",
        "kernel-version",
    ];
    for name in NAMES {
        params.text(format!("os.{name}"), told, name);
    }
}

fn timezone(told: &Value, params: &mut Params) {
    params.text("timezone.name", told, "zone");
    let offset = told.get("offset").and_then(Value::as_i64).and_then(|offset| i32::try_from(offset).ok());
    if let Some(offset) = offset {
        params.put("timezone.offset", TypedValue::Int(offset));
    }
}

fn hostname(told: &Value, params: &mut Params) {
    params.text("hostname", told, "host-name");
}

fn file_systems(told: &Value, params: &mut Params) {
    let systems = items(told);
    params.count("fs.count", &systems);
    for (at, one) in systems.into_iter().enumerate() {
        params.text(format!("fs.{at}.name"), one, "name");
        params.text(format!("fs.{at}.mountpoint"), one, "mountpoint");
        params.text(format!("fs.{at}.fstype"), one, "type");
        params.number(format!("fs.{at}.total-bytes"), one, "total-bytes");
        params.number(format!("fs.{at}.used-bytes"), one, "used-bytes");
        let disks = list(one, "disk");
        params.count(format!("fs.{at}.disk.count"), &disks);
        for (number, disk) in disks.into_iter().enumerate() {
            params.text(format!("fs.{at}.disk.{number}.serial"), disk, "serial");
            params.text(format!("fs.{at}.disk.{number}.device"), disk, "dev");
        }
    }
}

fn disks(told: &Value, params: &mut Params) {
    let disks = items(told);
    params.count("disk.count", &disks);
    for (at, disk) in disks.into_iter().enumerate() {
        params.text(format!("disk.{at}.name"), disk, "name");
        let partition = disk.get("partition").and_then(Value::as_bool).unwrap_or(false);
        params.put(format!("disk.{at}.partition"), TypedValue::Bool(partition));
        params.text(format!("disk.{at}.guest_alias"), disk, "alias");
        if let Some(address) = disk.get("address") {
            params.text(format!("disk.{at}.serial"), address, "serial");
            params.text(format!("disk.{at}.guest_bus"), address, "bus-type");
        }
    }
}

fn interfaces(told: &Value, params: &mut Params) {
    let interfaces = items(told);
    params.count("if.count", &interfaces);
    for (at, one) in interfaces.into_iter().enumerate() {
        params.text(format!("if.{at}.name"), one, "name");
        params.text(format!("if.{at}.hwaddr"), one, "hardware-address");
        let addresses = list(one, "ip-addresses");
        params.count(format!("if.{at}.addr.count"), &addresses);
        for (number, address) in addresses.into_iter().enumerate() {
            params.text(format!("if.{at}.addr.{number}.type"), address, "ip-address-type");
            params.text(format!("if.{at}.addr.{number}.addr"), address, "ip-address");
            let prefix =
                address.get("prefix").and_then(Value::as_u64).and_then(|prefix| u32::try_from(prefix).ok());
            if let Some(prefix) = prefix {
                params.put(format!("if.{at}.addr.{number}.prefix"), TypedValue::UInt(prefix));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_an_agent_become_named_values() {
        let mut params = Params::default();
        users(&json!([{"user": "a", "login-time": 1.5}]), &mut params);
        timezone(&json!({"zone": "UTC", "offset": 0}), &mut params);
        interfaces(
            &json!([{"name": "lo", "ip-addresses": [{"ip-address": "::1", "prefix": 128}]}]),
            &mut params,
        );
        let value = |name: &str| params.0.iter().find(|param| param.field == name).map(|param| &param.value);
        assert_eq!(value("user.count"), Some(&TypedValue::UInt(1)));
        assert_eq!(value("user.0.login-time"), Some(&TypedValue::ULong(1_500)));
        assert_eq!(value("timezone.offset"), Some(&TypedValue::Int(0)));
        assert_eq!(value("if.0.addr.0.prefix"), Some(&TypedValue::UInt(128)));
    }

    #[test]
    fn nonsense_of_a_guest_is_nothing_and_no_list_is_endless() {
        let mut params = Params::default();
        file_systems(&json!({"a": 1}), &mut params);
        assert_eq!(params.0.len(), 1);
        disks(&json!(vec![json!({"name": "a\u{1b}[2J"}); 500]), &mut params);
        assert_eq!(params.0.iter().filter(|param| param.field.ends_with(".name")).count(), LISTED);
        assert!(
            params
                .0
                .iter()
                .all(|param| !matches!(&param.value, TypedValue::Text(text) if text.contains('\u{1b}')))
        );
    }
}
