//! What the machine of a guest says by itself, in messages for clients of libvirt: trouble with its disks, its clock, its agent.

use hostler_domain::chardev::GUEST_AGENT;
use hostler_domains::Event;
use hostler_rpc::procedure::EventContent as _;
use hostler_rpc::wire::{self, DomainHandle};
use hostler_rpc::xdr::List;

use super::meaning::{Told, kind, message};

/// Everything that such an event is; nothing for an event of another kind.
pub(super) fn of(event: &Event, dom: &DomainHandle) -> Vec<Told> {
    let detail = |name: &str| event.detail.get(name).map(String::as_str).unwrap_or_default();
    let told = match event.kind.as_str() {
        "io-error" => return io_error(event, dom),
        "clock-changed" => detail("seconds").parse().ok().and_then(|offset| {
            let msg = wire::DomainEventRtcChangeMsg { dom: dom.clone(), offset };
            message(kind::CLOCK_CHANGE, wire::DomainEventCallbackRtcChange::NUMBER, &msg)
        }),
        // Clients are told of no other channel.
        "channel-changed" if detail("name") == GUEST_AGENT => {
            const CHANNEL: i32 = 2;
            let state = if detail("open") == "yes" { 1 } else { 2 };
            let msg = (dom.clone(), (state, CHANNEL));
            message(kind::AGENT, wire::DomainEventCallbackAgentLifecycle::NUMBER, &msg)
        }
        "device-removal-refused" => {
            let number = wire::DomainEventCallbackDeviceRemovalFailed::NUMBER;
            message(kind::DEVICE_REMOVAL_FAILED, number, &(dom.clone(), detail("device").to_owned()))
        }
        "display-connected" => viewer(event, dom, 0),
        "display-authenticated" => viewer(event, dom, 1),
        "display-disconnected" => viewer(event, dom, 2),
        "annotated" => {
            let number = wire::DomainEventCallbackMetadataChange::NUMBER;
            let about = match detail("what") {
                "description" => 0,
                "title" => 1,
                _ => 2,
            };
            let msg = (dom.clone(), (about, event.detail.get("uri").cloned()));
            message(kind::METADATA_CHANGE, number, &msg)
        }
        _ => None,
    };
    told.into_iter().collect()
}

/// Somebody who comes to a display, is let in, or goes.
fn viewer(event: &Event, dom: &DomainHandle, phase: i32) -> Option<Told> {
    let detail = |name: &str| event.detail.get(name).cloned().unwrap_or_default();
    let address = |side: &str| wire::DomainEventGraphicsAddress {
        family: match detail(&format!("{side}-family")).as_str() {
            "ipv6" => 1,
            "unix" => 2,
            _ => 0,
        },
        node: detail(&format!("{side}-host")),
        service: detail(&format!("{side}-service")),
    };
    let known = |(key, r#type): (&str, &str)| {
        let name = event.detail.get(key)?.clone();
        Some(wire::DomainEventGraphicsIdentity { r#type: r#type.to_owned(), name })
    };
    let subject = [("x509-dname", "x509dname"), ("sasl-username", "saslUsername")].into_iter();
    let msg = wire::DomainEventGraphicsMsg {
        dom: dom.clone(),
        phase,
        local: address("server"),
        remote: address("client"),
        auth_scheme: detail("auth"),
        subject: List(subject.filter_map(known).collect()),
    };
    message(kind::GRAPHICS, wire::DomainEventCallbackGraphics::NUMBER, &msg)
}

/// Told twice: without a reason, and with it. It is empty where it is not that there is no room.
fn io_error(event: &Event, dom: &DomainHandle) -> Vec<Told> {
    let detail = |name: &str| event.detail.get(name).cloned().unwrap_or_default();
    let action = match detail("action").as_str() {
        "stop" => 1,
        "report" => 2,
        _ => 0,
    };
    let (src_path, dev_alias) = (detail("image"), detail("alias"));
    let plain = wire::DomainEventIoErrorMsg {
        dom: dom.clone(),
        src_path: src_path.clone(),
        dev_alias: dev_alias.clone(),
        action,
    };
    let reasoned = wire::DomainEventIoErrorReasonMsg {
        dom: dom.clone(),
        src_path,
        dev_alias,
        action,
        reason: detail("reason"),
    };
    let plain = message(kind::IO_ERROR, wire::DomainEventCallbackIoError::NUMBER, &plain);
    let number = wire::DomainEventCallbackIoErrorReason::NUMBER;
    let reasoned = message(kind::IO_ERROR_REASON, number, &reasoned);
    plain.into_iter().chain(reasoned).collect()
}
