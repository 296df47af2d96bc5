//! The errors that clients act on: a number, what it is about, and a sentence that begins with the number's own words.

use crate::codes;
use crate::tables::records::{DomainHandle, NetworkHandle};
use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, Xdr};

/// The weight of an error, as opposed to that of a warning.
const LEVEL_ERROR: i32 = 2;

/// An error as a client gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// What went wrong, by [`crate::codes`].
    pub code: i32,
    /// What part of a host it comes from, by [`crate::codes`].
    pub origin: i32,
    /// The whole sentence.
    pub message: String,
}

impl RpcError {
    /// An error with the words that its number stands for, and this behind them.
    pub fn new(code: i32, origin: i32, detail: impl AsRef<str>) -> Self {
        let detail = detail.as_ref();
        let message = match words(code) {
            Some(words) if detail.is_empty() => words.to_owned(),
            Some(words) => format!("{words}: {detail}"),
            None => detail.to_owned(),
        };
        Self { code, origin, message }
    }

    /// What a procedure that there is not, or that is not served, is answered with: clients look at the number, and some
    /// of them at the first words.
    #[must_use]
    pub fn unknown_procedure(number: i32) -> Self {
        Self::protocol(format!("unknown procedure: {number}"))
    }

    /// What a message that cannot be understood is answered with.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self { code: codes::ERR_RPC, origin: codes::FROM_RPC, message: message.into() }
    }
}

/// The words that an error's number stands for; those with none are told by their detail alone.
fn words(code: i32) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == code).map(|(_, words)| *words)
}

const WORDS: &[(i32, &str)] = &[
    (codes::ERR_INTERNAL_ERROR, "internal error"),
    (codes::ERR_NO_SUPPORT, "this function is not supported by the connection driver"),
    (codes::ERR_INVALID_ARG, "invalid argument"),
    (codes::ERR_OPERATION_FAILED, "operation failed"),
    (codes::ERR_XML_ERROR, "XML error"),
    (codes::ERR_OPERATION_DENIED, "operation forbidden"),
    (codes::ERR_OPEN_FAILED, "failed to open"),
    (codes::ERR_AUTH_FAILED, "authentication failed"),
    (codes::ERR_NO_DOMAIN, "Domain not found"),
    (codes::ERR_NO_NETWORK, "Network not found"),
    (codes::ERR_NO_STORAGE_POOL, "Storage pool not found"),
    (codes::ERR_NO_STORAGE_VOL, "Storage volume not found"),
    (codes::ERR_OPERATION_INVALID, "Requested operation is not valid"),
    (codes::ERR_NO_INTERFACE, "Interface not found"),
    (codes::ERR_NO_NODE_DEVICE, "Node device not found"),
    (codes::ERR_NO_SECRET, "Secret not found"),
    (codes::ERR_INVALID_SECRET, "Invalid secret"),
    (codes::ERR_NO_NWFILTER, "Network filter not found"),
    (codes::ERR_NO_NWFILTER_BINDING, "Network filter binding not found"),
    (codes::ERR_NO_NETWORK_PORT, "network port not found"),
    (codes::ERR_CONFIG_UNSUPPORTED, "unsupported configuration"),
    (codes::ERR_OPERATION_TIMEOUT, "Timed out during operation"),
    (codes::ERR_NO_DOMAIN_SNAPSHOT, "Domain snapshot not found"),
    (codes::ERR_ARGUMENT_UNSUPPORTED, "argument unsupported"),
    (codes::ERR_AUTH_CANCELLED, "authentication cancelled"),
    (codes::ERR_AUTH_UNAVAILABLE, "authentication unavailable"),
    (codes::ERR_NO_DOMAIN_METADATA, "metadata not found"),
    (codes::ERR_OPERATION_UNSUPPORTED, "Operation not supported"),
    (codes::ERR_RESOURCE_BUSY, "resource busy"),
    (codes::ERR_ACCESS_DENIED, "access denied"),
    (codes::ERR_DEVICE_MISSING, "device not found"),
];

impl Xdr for RpcError {
    const LEAST_BYTES: usize = 44;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        self.code.write(to)?;
        self.origin.write(to)?;
        Some(self.message.clone()).write(to)?;
        LEVEL_ERROR.write(to)?;
        None::<DomainHandle>.write(to)?;
        // The sentence once more, where clients look for the parts that it was made of.
        Some(self.message.clone()).write(to)?;
        None::<String>.write(to)?;
        None::<String>.write(to)?;
        (-1_i32).write(to)?;
        (-1_i32).write(to)?;
        None::<NetworkHandle>.write(to)
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (code, origin) = (Xdr::read(from)?, Xdr::read(from)?);
        let message: Option<String> = Xdr::read(from)?;
        i32::read(from)?;
        Option::<DomainHandle>::read(from)?;
        for _ in 0..3 {
            Option::<String>::read(from)?;
        }
        i32::read(from)?;
        i32::read(from)?;
        Option::<NetworkHandle>::read(from)?;
        Ok(Self { code, origin, message: message.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::{decode, encode};

    #[test]
    fn sentence_begins_with_the_words_of_its_number() {
        let error = RpcError::new(codes::ERR_NO_DOMAIN, codes::FROM_QEMU, "no domain with matching name 'a'");
        assert_eq!(error.message, "Domain not found: no domain with matching name 'a'");
        assert_eq!((error.code, error.origin), (42, 10));
        assert_eq!(decode::<RpcError>(&encode(&error).unwrap()).unwrap(), error);
        let unknown = RpcError::unknown_procedure(7);
        assert_eq!((unknown.code, unknown.origin, unknown.message.as_str()), (39, 7, "unknown procedure: 7"));
    }
}
