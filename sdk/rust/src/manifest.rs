//! The manifest: what a driver is called and asks for, as a custom section of its component.

/// Copies text into an array at compile time, for a section of the binary.
#[doc(hidden)]
pub const fn copy<const N: usize>(text: &str) -> [u8; N] {
    let (bytes, mut out, mut index) = (text.as_bytes(), [0; N], 0);
    #[expect(clippy::indexing_slicing, reason = "evaluated at compile time: out of range is a build error")]
    while index < N {
        out[index] = bytes[index];
        index += 1;
    }
    out
}

/// Whether a member of a manifest has this among its values.
#[doc(hidden)]
pub fn names(member: &str, value: &str) -> bool {
    member
        .split(['[', ',', ']'])
        .any(|item| item.strip_prefix('"').and_then(|item| item.strip_suffix('"')) == Some(value))
}

/// Makes a type the driver of this component, and writes the component's manifest. The type gets a function `takes`, which
/// says whether a domain is for this driver.
///
/// `types` are the values of `domain/@type` that the driver takes. `grants` are capabilities, written `interface` or `interface:scope`; what is not asked for cannot
/// be granted. `abilities` names the optional interfaces that the type implements as well.
///
/// ```text
/// hostler_sdk::driver! {
///     Qemu, name: "qemu", types: ["kvm", "qemu"], grants: ["process:qemu-system-x86_64", "qmp"],
///     abilities: [native_config],
/// }
/// ```
#[macro_export]
macro_rules! driver {
    ($type:ident, name: $name:literal, types: [$($domain_type:literal),+ $(,)?], grants: [$($grant:literal),* $(,)?] $(, abilities: [$($ability:ident),*])? $(,)?) => {
        const _: () = {
            use $crate::internal::driver::export_driver;
            export_driver!($type with_types_in $crate::internal::driver);
            $($($crate::driver!(@ability $ability $type);)*)?
            const MANIFEST: &str = concat!(
                "{\"name\":\"", $name, "\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\",\"contract\":\"0.1.1\",\"domain-types\":[",
                $crate::driver!(@list $($domain_type),+), "],\"grants\":[", $crate::driver!(@list $($grant),*), "]}"
            );
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[expect(unsafe_code, reason = "naming a section of the binary is an unsafe attribute; nothing reads it as code")]
            #[unsafe(link_section = "hostler:manifest")]
            static SECTION: [u8; MANIFEST.len()] = $crate::internal::copy(MANIFEST);

            impl $type {
                /// Whether the manifest names this value of `domain/@type`.
                #[allow(dead_code, reason = "a driver may have other means to tell its domains")]
                pub(crate) fn takes(domain_type: &str) -> bool {
                    const TYPES: &str = concat!("\"domain-types\":[", $crate::driver!(@list $($domain_type),+), "]");
                    $crate::internal::names(TYPES, domain_type)
                }
            }
        };
    };
    (@list) => { "" };
    (@list $first:literal $(, $rest:literal)*) => { concat!("\"", $first, "\"" $(, ",\"", $rest, "\"")*) };
    (@ability native_config $type:ident) => {
        use $crate::internal::native_config::export_native_config;
        export_native_config!($type with_types_in $crate::internal::native_config);
    };
    (@ability snapshots $type:ident) => {
        use $crate::internal::snapshots::export_snapshots;
        export_snapshots!($type with_types_in $crate::internal::snapshots);
    };
    (@ability hotplug $type:ident) => {
        use $crate::internal::hotplug::export_hotplug;
        export_hotplug!($type with_types_in $crate::internal::hotplug);
    };
    (@ability save $type:ident) => {
        use $crate::internal::save::export_save;
        export_save!($type with_types_in $crate::internal::save);
    };
    (@ability dump $type:ident) => {
        use $crate::internal::dump::export_dump;
        export_dump!($type with_types_in $crate::internal::dump);
    };
    (@ability reboot $type:ident) => {
        use $crate::internal::reboot::export_reboot;
        export_reboot!($type with_types_in $crate::internal::reboot);
    };
    (@ability statistics $type:ident) => {
        use $crate::internal::statistics::export_statistics;
        export_statistics!($type with_types_in $crate::internal::statistics);
    };
    (@ability screen $type:ident) => {
        use $crate::internal::screen::export_screen;
        export_screen!($type with_types_in $crate::internal::screen);
    };
    (@ability sizing $type:ident) => {
        use $crate::internal::sizing::export_sizing;
        export_sizing!($type with_types_in $crate::internal::sizing);
    };
    (@ability upkeep $type:ident) => {
        use $crate::internal::upkeep::export_upkeep;
        export_upkeep!($type with_types_in $crate::internal::upkeep);
    };
    (@ability migration $type:ident) => {
        use $crate::internal::migration::export_migration;
        export_migration!($type with_types_in $crate::internal::migration);
    };
    (@ability block_jobs $type:ident) => {
        use $crate::internal::block_jobs::export_block_jobs;
        export_block_jobs!($type with_types_in $crate::internal::block_jobs);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_values_are_named() {
        let member = r#""domain-types":["kvm","qemu"]"#;
        for (value, named) in
            [("kvm", true), ("qemu", true), ("vm", false), ("domain-types", false), ("", false)]
        {
            assert_eq!(names(member, value), named, "{value}");
        }
    }
}
