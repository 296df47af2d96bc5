//! What the tables are written in: a line for each record, call and event.

/// Records: named values in a row.
macro_rules! records {
    (@handle DomainHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Domain($value)) };
    (@handle InterfaceHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Interface($value)) };
    (@handle NetworkHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Network($value)) };
    (@handle NetworkPortHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::NetworkPort($value)) };
    (@handle NodeDeviceHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::NodeDevice($value)) };
    (@handle NwfilterHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Filter($value)) };
    (@handle NwfilterBindingHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::FilterBinding($value)) };
    (@handle SecretHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Secret($value)) };
    (@handle StoragePoolHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Pool($value)) };
    (@handle StorageVolHandle $value:expr, $see:expr) => { $see($crate::subject::Handle::Volume($value)) };
    (@handle $other:ident $value:expr, $see:expr) => {};
    ($($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "a table: the names of the fields are the protocol's")]
        pub struct $name {
            $(pub $field: $kind,)*
        }

        impl $crate::xdr::Xdr for $name {
            const LEAST_BYTES: usize = 0 $(+ <$kind as $crate::xdr::Xdr>::LEAST_BYTES)*;

            fn write(&self, _to: &mut $crate::xdr::Encoder) -> Result<(), $crate::xdr::EncodeError> {
                $($crate::xdr::Xdr::write(&self.$field, _to)?;)*
                Ok(())
            }

            fn read(_from: &mut $crate::xdr::Decoder<'_>) -> Result<Self, $crate::xdr::DecodeError> {
                Ok(Self { $($field: $crate::xdr::Xdr::read(_from)?,)* })
            }

            fn handles<'a>(&'a self, _see: &mut dyn FnMut($crate::subject::Handle<'a>)) {
                records! { @handle $name self, _see }
                $($crate::xdr::Xdr::handles(&self.$field, _see);)*
            }
        }
    )*};
}

/// Calls: `PROGRAM NUMBER Arguments { … } => Answer { … }`, or `=> ()` for one without an answer.
macro_rules! calls {
    (@answer $number:literal ()) => {};
    (@answer $number:literal $answer:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        records! {
            #[doc = concat!("The answer to call ", $number, ".")]
            $answer { $($field: $kind),* }
        }
    };
    (@flags $arguments:ident) => { 0 };
    (@flags $arguments:ident flags $($field:ident)*) => { u64::from($arguments.flags) };
    (@flags $arguments:ident $other:ident $($field:ident)*) => { calls! { @flags $arguments $($field)* } };
    (@document $arguments:ident) => { None };
    (@document $arguments:ident xml $($field:ident)*) => { Some($arguments.xml.as_str()) };
    (@document $arguments:ident xml_desc $($field:ident)*) => { Some($arguments.xml_desc.as_str()) };
    (@document $arguments:ident $other:ident $($field:ident)*) => { calls! { @document $arguments $($field)* } };
    (@name $arguments:ident) => { None };
    (@name $arguments:ident name $($field:ident)*) => { $crate::subject::text(&$arguments.name) };
    (@name $arguments:ident $other:ident $($field:ident)*) => { calls! { @name $arguments $($field)* } };
    (@new_name $arguments:ident) => { None };
    (@new_name $arguments:ident new_name $($field:ident)*) => { $crate::subject::text(&$arguments.new_name) };
    (@new_name $arguments:ident $other:ident $($field:ident)*) => { calls! { @new_name $arguments $($field)* } };
    ($($program:ident $number:literal $args:ident { $($field:ident: $kind:ty),* $(,)? }
       => $answer:tt $({ $($answers:tt)* })?;)*) => {$(
        records! {
            #[doc = concat!("Call ", $number, ".")]
            $args { $($field: $kind),* }
        }
        impl $args {
            /// The number of the program that has this call.
            pub const PROGRAM: u32 = $crate::procedure::program::$program;
            /// Its number within the program.
            pub const NUMBER: i32 = $number;
        }
        impl $crate::procedure::Call for $args {
            type Answer = $answer;

            fn flags(&self) -> u64 {
                let _arguments = self;
                calls! { @flags _arguments $($field)* }
            }

            fn document(&self) -> Option<&str> {
                let _arguments = self;
                calls! { @document _arguments $($field)* }
            }

            fn name(&self) -> Option<&str> {
                let _arguments = self;
                calls! { @name _arguments $($field)* }
            }

            fn new_name(&self) -> Option<&str> {
                let _arguments = self;
                calls! { @new_name _arguments $($field)* }
            }
        }
        calls! { @answer $number $answer $({ $($answers)* })? }
    )*};
}

/// Events: `PROGRAM NUMBER Content { … }`.
macro_rules! events {
    ($($program:ident $number:literal $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        records! {
            #[doc = concat!("Event ", $number, ".")]
            $name { $($field: $kind),* }
        }
        impl $crate::procedure::EventContent for $name {
            const PROGRAM: u32 = $crate::procedure::program::$program;
            const NUMBER: i32 = $number;
        }
    )*};
}

pub(crate) use {calls, events, records};
