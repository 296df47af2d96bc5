//! What the tables are written in: a line for each record, call and event.

/// Records: named values in a row.
macro_rules! records {
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
        }
    )*};
}

/// Calls: `PROGRAM NUMBER Arguments { … } => Answer { … }`, or `=> ()` for one without an answer.
macro_rules! calls {
    (@answer $number:literal $args:ident ()) => {
        impl $crate::procedure::Call for $args {
            type Answer = ();
        }
    };
    (@answer $number:literal $args:ident $answer:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        records! {
            #[doc = concat!("The answer to call ", $number, ".")]
            $answer { $($field: $kind),* }
        }
        impl $crate::procedure::Call for $args {
            type Answer = $answer;
        }
    };
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
        calls! { @answer $number $args $answer $({ $($answers)* })? }
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
