//! Bindings to the contract, generated from `wit/`: the driver world, and each optional interface alone.

/// The world that every driver has.
pub(crate) mod driver {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        unreachable_pub,
        unused_qualifications,
        let_underscore_drop,
        reason = "generated code"
    )]
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/driver"],
        world: "hostler:driver/driver@0.1.1",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "hostler:host/storage.image": crate::interfaces::storage::Image,
            "hostler:host/storage.chain": crate::interfaces::storage::Chain,
            "hostler:host/firmware.code": crate::interfaces::firmware::Code,
            "hostler:host/firmware.variable-store": crate::interfaces::firmware::VariableStore,
            "hostler:host/endpoint.endpoint": crate::interfaces::endpoint::Endpoint,
            "hostler:host/endpoint.file": crate::interfaces::endpoint::File,
            "hostler:host/process.process": crate::interfaces::process::Process,
            "hostler:host/qmp.monitor": crate::interfaces::qmp::Monitor,
            "hostler:host/domain.domain": crate::interfaces::domain::Domain,
        },
    });
}

/// An optional interface, by the world that has it alone; its imported types are those of [`driver`].
macro_rules! ability {
    ($(#[$note:meta])* $name:ident: $world:literal) => {
        $(#[$note])*
        pub(crate) mod $name {
            #![allow(
                missing_docs,
                clippy::all,
                clippy::pedantic,
                unreachable_pub,
                unused_qualifications,
                let_underscore_drop,
                reason = "generated code"
            )]
            wasmtime::component::bindgen!({
                path: ["../../wit/host", "../../wit/driver"],
                world: $world,
                imports: { default: async | trappable },
                exports: { default: async },
                with: {
                    "hostler:host/types": crate::bindings::driver::hostler::host::types,
                    "hostler:host/storage": crate::bindings::driver::hostler::host::storage,
                    "hostler:host/firmware": crate::bindings::driver::hostler::host::firmware,
                    "hostler:host/endpoint": crate::bindings::driver::hostler::host::endpoint,
                    "hostler:host/value": crate::bindings::driver::hostler::host::value,
                    "hostler:host/process": crate::bindings::driver::hostler::host::process,
                    "hostler:host/qmp": crate::bindings::driver::hostler::host::qmp,
                    "hostler:host/domain": crate::bindings::driver::hostler::host::domain,
                },
            });
        }
    };
}

ability! {
    /// The optional interface `native-config`.
    native_config: "hostler:driver/native-config-ability@0.1.1"
}

ability! {
    /// The optional interface `save`.
    save: "hostler:driver/save-ability@0.1.1"
}

ability! {
    /// The optional interface `screen`.
    screen: "hostler:driver/screen-ability@0.1.1"
}

ability! {
    /// The optional interface `reboot`.
    reboot: "hostler:driver/reboot-ability@0.1.1"
}

ability! {
    /// The optional interface `dump`.
    dump: "hostler:driver/dump-ability@0.1.1"
}

ability! {
    /// The optional interface `statistics`.
    statistics: "hostler:driver/statistics-ability@0.1.1"
}

ability! {
    /// The optional interface `hotplug`.
    hotplug: "hostler:driver/hotplug-ability@0.1.1"
}

ability! {
    /// The optional interface `block-jobs`.
    block_jobs: "hostler:driver/block-jobs-ability@0.1.1"
}

ability! {
    /// The optional interface `snapshots`.
    snapshots: "hostler:driver/snapshots-ability@0.1.1"
}

ability! {
    /// The optional interface `sizing`.
    sizing: "hostler:driver/sizing-ability@0.1.1"
}

ability! {
    /// The optional interface `upkeep`.
    upkeep: "hostler:driver/upkeep-ability@0.1.1"
}

ability! {
    /// The optional interface `migration`.
    migration: "hostler:driver/migration-ability@0.1.1"
}

pub(crate) use driver::hostler::host as wit;
