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

/// Makes a type the driver of this component, and writes the component's manifest.
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
                "{\"name\":\"", $name, "\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\",\"contract\":\"0.1.0\",\"domain-types\":[",
                $crate::driver!(@list $($domain_type),+), "],\"grants\":[", $crate::driver!(@list $($grant),*), "]}"
            );
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[expect(unsafe_code, reason = "naming a section of the binary is an unsafe attribute; nothing reads it as code")]
            #[unsafe(link_section = "hostler:manifest")]
            static SECTION: [u8; MANIFEST.len()] = $crate::internal::copy(MANIFEST);
        };
    };
    (@list) => { "" };
    (@list $first:literal $(, $rest:literal)*) => { concat!("\"", $first, "\"" $(, ",\"", $rest, "\"")*) };
    (@ability native_config $type:ident) => {
        use $crate::internal::native_config::export_native_config;
        export_native_config!($type with_types_in $crate::internal::native_config);
    };
}
