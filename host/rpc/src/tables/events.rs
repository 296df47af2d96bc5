//! What is told without being asked for. Written by `cargo xtask rpc-tables`.

use crate::macros::*;
#[allow(unused_imports, reason = "written by a program")]
use crate::{tables::records::*, typed::TypedValue, xdr::*};

events! {
    REMOTE 107 DomainEventLifecycle { dom: DomainHandle, event: i32, detail: i32 }
    REMOTE 169 DomainEventReboot { dom: DomainHandle }
    REMOTE 170 DomainEventRtcChange { dom: DomainHandle, offset: i64 }
    REMOTE 171 DomainEventWatchdog { dom: DomainHandle, action: i32 }
    REMOTE 172 DomainEventIoError { dom: DomainHandle, src_path: String, dev_alias: String, action: i32 }
    REMOTE 173 DomainEventGraphics { dom: DomainHandle, phase: i32, local: DomainEventGraphicsAddress, remote: DomainEventGraphicsAddress, auth_scheme: String, subject: List<DomainEventGraphicsIdentity, 20> }
    REMOTE 195 DomainEventIoErrorReason { dom: DomainHandle, src_path: String, dev_alias: String, action: i32, reason: String }
    REMOTE 224 DomainEventControlError { dom: DomainHandle }
    REMOTE 241 DomainEventBlockJob { dom: DomainHandle, path: String, r#type: i32, status: i32 }
    REMOTE 248 DomainEventDiskChange { dom: DomainHandle, old_src_path: Option<String>, new_src_path: Option<String>, dev_alias: String, reason: i32 }
    REMOTE 268 DomainEventTrayChange { dom: DomainHandle, dev_alias: String, reason: i32 }
    REMOTE 269 DomainEventPmwakeup { dom: DomainHandle }
    REMOTE 270 DomainEventPmsuspend { dom: DomainHandle }
    REMOTE 276 DomainEventBalloonChange { dom: DomainHandle, actual: u64 }
    REMOTE 292 DomainEventPmsuspendDisk { dom: DomainHandle }
    REMOTE 311 DomainEventDeviceRemoved { dom: DomainHandle, dev_alias: String }
    REMOTE 315 NetworkEventLifecycle { callback_id: i32, net: NetworkHandle, event: i32, detail: i32 }
    REMOTE 318 DomainEventCallbackLifecycle { callback_id: i32, msg: DomainEventLifecycleMsg }
    REMOTE 319 DomainEventCallbackReboot { callback_id: i32, msg: DomainEventRebootMsg }
    REMOTE 320 DomainEventCallbackRtcChange { callback_id: i32, msg: DomainEventRtcChangeMsg }
    REMOTE 321 DomainEventCallbackWatchdog { callback_id: i32, msg: DomainEventWatchdogMsg }
    REMOTE 322 DomainEventCallbackIoError { callback_id: i32, msg: DomainEventIoErrorMsg }
    REMOTE 323 DomainEventCallbackGraphics { callback_id: i32, msg: DomainEventGraphicsMsg }
    REMOTE 324 DomainEventCallbackIoErrorReason { callback_id: i32, msg: DomainEventIoErrorReasonMsg }
    REMOTE 325 DomainEventCallbackControlError { callback_id: i32, msg: DomainEventControlErrorMsg }
    REMOTE 326 DomainEventCallbackBlockJob { callback_id: i32, msg: DomainEventBlockJobMsg }
    REMOTE 327 DomainEventCallbackDiskChange { callback_id: i32, msg: DomainEventDiskChangeMsg }
    REMOTE 328 DomainEventCallbackTrayChange { callback_id: i32, msg: DomainEventTrayChangeMsg }
    REMOTE 329 DomainEventCallbackPmwakeup { callback_id: i32, reason: i32, msg: DomainEventPmwakeupMsg }
    REMOTE 330 DomainEventCallbackPmsuspend { callback_id: i32, reason: i32, msg: DomainEventPmsuspendMsg }
    REMOTE 331 DomainEventCallbackBalloonChange { callback_id: i32, msg: DomainEventBalloonChangeMsg }
    REMOTE 332 DomainEventCallbackPmsuspendDisk { callback_id: i32, reason: i32, msg: DomainEventPmsuspendDiskMsg }
    REMOTE 333 DomainEventCallbackDeviceRemoved { callback_id: i32, msg: DomainEventDeviceRemovedMsg }
    REMOTE 339 DomainEventBlockJob2 { callback_id: i32, dom: DomainHandle, dst: String, r#type: i32, status: i32 }
    REMOTE 346 DomainEventCallbackTunable { callback_id: i32, dom: DomainHandle, params: List<TypedParam, 2048> }
    REMOTE 348 DomainEventCallbackAgentLifecycle { callback_id: i32, dom: DomainHandle, state: i32, reason: i32 }
    REMOTE 354 DomainEventCallbackDeviceAdded { callback_id: i32, dom: DomainHandle, dev_alias: String }
    REMOTE 359 DomainEventCallbackMigrationIteration { callback_id: i32, dom: DomainHandle, iteration: i32 }
    REMOTE 362 ConnectEventConnectionClosed { reason: i32 }
    REMOTE 363 DomainEventCallbackJobCompleted { callback_id: i32, dom: DomainHandle, params: List<TypedParam, 64> }
    REMOTE 367 DomainEventCallbackDeviceRemovalFailed { callback_id: i32, dom: DomainHandle, dev_alias: String }
    REMOTE 370 StoragePoolEventLifecycle { callback_id: i32, pool: StoragePoolHandle, event: i32, detail: i32 }
    REMOTE 373 StoragePoolEventRefresh { callback_id: i32, pool: StoragePoolHandle }
    REMOTE 376 NodeDeviceEventLifecycle { callback_id: i32, dev: NodeDeviceHandle, event: i32, detail: i32 }
    REMOTE 377 NodeDeviceEventUpdate { callback_id: i32, dev: NodeDeviceHandle }
    REMOTE 379 DomainEventCallbackMetadataChange { callback_id: i32, dom: DomainHandle, r#type: i32, nsuri: Option<String> }
    REMOTE 382 SecretEventLifecycle { callback_id: i32, secret: SecretHandle, event: i32, detail: i32 }
    REMOTE 383 SecretEventValueChanged { callback_id: i32, secret: SecretHandle }
    REMOTE 385 DomainEventBlockThreshold { callback_id: i32, dom: DomainHandle, dev: String, path: Option<String>, threshold: u64, excess: u64 }
    REMOTE 423 DomainEventMemoryFailure { callback_id: i32, dom: DomainHandle, recipient: i32, action: i32, flags: u32 }
    REMOTE 438 DomainEventMemoryDeviceSizeChange { callback_id: i32, dom: DomainHandle, alias: String, size: u64 }
    QEMU 6 QemuDomainMonitorEvent { callback_id: i32, dom: DomainHandle, event: String, seconds: i64, micros: u32, details: Option<String> }
    REMOTE 446 NetworkEventCallbackMetadataChange { callback_id: i32, net: NetworkHandle, r#type: i32, nsuri: Option<String> }
    REMOTE 453 DomainEventNicMacChange { callback_id: i32, dom: DomainHandle, alias: String, old_mac: String, new_mac: String }
    REMOTE 454 DomainEventVcpuRemoved { callback_id: i32, dom: DomainHandle, vcpuid: u32 }
    REMOTE 455 DomainEventCallbackChannelLifecycle { callback_id: i32, dom: DomainHandle, channel_name: String, state: i32, reason: i32 }
}
