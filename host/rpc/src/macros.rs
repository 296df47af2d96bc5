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
