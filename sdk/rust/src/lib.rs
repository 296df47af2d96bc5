//! What a driver author depends on: bindings, typed domain, errors, the main macro.

/// Bindings to the contract, generated from `wit/`.
pub mod bindings {
    #![allow(missing_docs, clippy::all, clippy::pedantic, unsafe_code, unreachable_pub, reason = "generated code")]
    wit_bindgen::generate!({
        path: ["../../wit/host", "../../wit/driver"],
        world: "hostler:driver/driver@0.1.0",
        pub_export_macro: true,
        export_macro_name: "export_driver",
        default_bindings_module: "hostler_sdk::bindings",
        generate_all,
    });
}

/// Bindings to the optional `native-config` interface.
pub mod native_config {
    #![allow(missing_docs, clippy::all, clippy::pedantic, unsafe_code, unreachable_pub, reason = "generated code")]
    wit_bindgen::generate!({
        path: ["../../wit/host", "../../wit/driver"],
        world: "hostler:driver/native-config-ability@0.1.0",
        pub_export_macro: true,
        export_macro_name: "export_native_config",
        default_bindings_module: "hostler_sdk::native_config",
        with: {
            "hostler:host/types@0.1.0": crate::bindings::hostler::host::types,
            "hostler:host/storage@0.1.0": crate::bindings::hostler::host::storage,
            "hostler:host/firmware@0.1.0": crate::bindings::hostler::host::firmware,
            "hostler:host/endpoint@0.1.0": crate::bindings::hostler::host::endpoint,
            "hostler:host/value@0.1.0": crate::bindings::hostler::host::value,
            "hostler:host/process@0.1.0": crate::bindings::hostler::host::process,
            "hostler:host/qmp@0.1.0": crate::bindings::hostler::host::qmp,
            "hostler:host/domain@0.1.0": crate::bindings::hostler::host::domain,
        },
    });
}
