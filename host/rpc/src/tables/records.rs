//! What calls and events are made of. Written by `cargo xtask rpc-tables`.

use crate::macros::*;
use crate::typed::TypedValue;
use crate::xdr::*;

records! {
    /// A domain disk error.
    DomainDiskError { disk: String, error: i32 }
    /// A domain event balloon change.
    DomainEventBalloonChangeMsg { dom: DomainHandle, actual: u64 }
    /// A domain event block job.
    DomainEventBlockJobMsg { dom: DomainHandle, path: String, r#type: i32, status: i32 }
    /// A domain event control error.
    DomainEventControlErrorMsg { dom: DomainHandle }
    /// A domain event device removed.
    DomainEventDeviceRemovedMsg { dom: DomainHandle, dev_alias: String }
    /// A domain event disk change.
    DomainEventDiskChangeMsg { dom: DomainHandle, old_src_path: Option<String>, new_src_path: Option<String>, dev_alias: String, reason: i32 }
    /// A domain event graphics address.
    DomainEventGraphicsAddress { family: i32, node: String, service: String }
    /// A domain event graphics identity.
    DomainEventGraphicsIdentity { r#type: String, name: String }
    /// A domain event graphics.
    DomainEventGraphicsMsg { dom: DomainHandle, phase: i32, local: DomainEventGraphicsAddress, remote: DomainEventGraphicsAddress, auth_scheme: String, subject: List<DomainEventGraphicsIdentity, 20> }
    /// A domain event io error.
    DomainEventIoErrorMsg { dom: DomainHandle, src_path: String, dev_alias: String, action: i32 }
    /// A domain event io error reason.
    DomainEventIoErrorReasonMsg { dom: DomainHandle, src_path: String, dev_alias: String, action: i32, reason: String }
    /// A domain event lifecycle.
    DomainEventLifecycleMsg { dom: DomainHandle, event: i32, detail: i32 }
    /// A domain event pmsuspend disk.
    DomainEventPmsuspendDiskMsg { dom: DomainHandle }
    /// A domain event pmsuspend.
    DomainEventPmsuspendMsg { dom: DomainHandle }
    /// A domain event pmwakeup.
    DomainEventPmwakeupMsg { dom: DomainHandle }
    /// A domain event reboot.
    DomainEventRebootMsg { dom: DomainHandle }
    /// A domain event rtc change.
    DomainEventRtcChangeMsg { dom: DomainHandle, offset: i64 }
    /// A domain event tray change.
    DomainEventTrayChangeMsg { dom: DomainHandle, dev_alias: String, reason: i32 }
    /// A domain event watchdog.
    DomainEventWatchdogMsg { dom: DomainHandle, action: i32 }
    /// A domain fsinfo.
    DomainFsinfo { mountpoint: String, name: String, fstype: String, dev_aliases: List<String, 256> }
    /// A domain get security label ret.
    DomainGetSecurityLabelRet { label: List<u8, 4097>, enforcing: i32 }
    /// A domain interface.
    DomainInterface { name: String, hwaddr: Option<String>, addrs: List<DomainIpAddr, 2048> }
    /// A domain iothread info.
    DomainIothreadInfo { iothread_id: u32, cpumap: Opaque<2048> }
    /// A domain ip addr.
    DomainIpAddr { r#type: i32, addr: String, prefix: u32 }
    /// A domain memory stat.
    DomainMemoryStat { tag: i32, val: u64 }
    /// A domain stats record.
    DomainStatsRecord { dom: DomainHandle, params: List<TypedParam, 262144> }
    /// A network dhcp lease.
    NetworkDhcpLease { iface: String, expirytime: i64, r#type: i32, mac: Option<String>, iaid: Option<String>, ipaddr: String, prefix: u32, hostname: Option<String>, clientid: Option<String> }
    /// A node get cpu stats.
    NodeGetCpuStatsEntry { field: String, value: u64 }
    /// A node get memory stats.
    NodeGetMemoryStatsEntry { field: String, value: u64 }
    /// A domain.
    DomainHandle { name: String, uuid: [u8; 16], id: i32 }
    /// A domain checkpoint.
    DomainCheckpointHandle { name: String, dom: DomainHandle }
    /// A domain snapshot.
    DomainSnapshotHandle { name: String, dom: DomainHandle }
    /// An interface.
    InterfaceHandle { name: String, mac: String }
    /// A network.
    NetworkHandle { name: String, uuid: [u8; 16] }
    /// A network port.
    NetworkPortHandle { net: NetworkHandle, uuid: [u8; 16] }
    /// A node device.
    NodeDeviceHandle { name: String }
    /// A nwfilter.
    NwfilterHandle { name: String, uuid: [u8; 16] }
    /// A nwfilter binding.
    NwfilterBindingHandle { portdev: String, filtername: String }
    /// A secret.
    SecretHandle { uuid: [u8; 16], usage_type: i32, usage_id: String }
    /// A storage pool.
    StoragePoolHandle { name: String, uuid: [u8; 16] }
    /// A storage vol.
    StorageVolHandle { pool: String, name: String, key: String }
    /// A typed param.
    TypedParam { field: String, value: TypedValue }
    /// A vcpu info.
    VcpuInfo { number: u32, state: i32, cpu_time: u64, cpu: i32 }
}
