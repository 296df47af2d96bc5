//! Parameters that carry their names and kinds.

use crate::tables::records::TypedParam;
use crate::xdr::{DecodeError, Decoder, EncodeError, Encoder, Xdr};

/// A value with its kind.
#[derive(Clone, Debug, PartialEq)]
pub enum TypedValue {
    /// Kind 1.
    Int(i32),
    /// Kind 2.
    UInt(u32),
    /// Kind 3.
    Long(i64),
    /// Kind 4.
    ULong(u64),
    /// Kind 5.
    Double(f64),
    /// Kind 6.
    Bool(bool),
    /// Kind 7. Only for callers that said that they know it ([`STRING_OKAY`]).
    Text(String),
}

/// The flag by which a caller says that it knows texts among parameters.
pub const STRING_OKAY: u32 = 4;

impl Xdr for TypedValue {
    const LEAST_BYTES: usize = 8;

    fn write(&self, to: &mut Encoder) -> Result<(), EncodeError> {
        match self {
            Self::Int(value) => (1, *value).write(to),
            Self::UInt(value) => (2, *value).write(to),
            Self::Long(value) => (3, *value).write(to),
            Self::ULong(value) => (4, *value).write(to),
            Self::Double(value) => (5, *value).write(to),
            Self::Bool(value) => (6, i32::from(*value)).write(to),
            Self::Text(value) => {
                7_i32.write(to)?;
                value.write(to)
            }
        }
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match i32::read(from)? {
            1 => Self::Int(Xdr::read(from)?),
            2 => Self::UInt(Xdr::read(from)?),
            3 => Self::Long(Xdr::read(from)?),
            4 => Self::ULong(Xdr::read(from)?),
            5 => Self::Double(Xdr::read(from)?),
            6 => Self::Bool(i32::read(from)? != 0),
            7 => Self::Text(Xdr::read(from)?),
            other => return Err(DecodeError::Value(other.into())),
        })
    }
}

impl TypedParam {
    /// A parameter.
    pub fn new(field: impl Into<String>, value: TypedValue) -> Self {
        Self { field: field.into(), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::{decode, encode};

    #[test]
    fn every_kind_comes_back() {
        for value in [
            TypedValue::Int(-1),
            TypedValue::UInt(1),
            TypedValue::Long(-2),
            TypedValue::ULong(2),
            TypedValue::Double(0.5),
            TypedValue::Bool(true),
            TypedValue::Text("x".to_owned()),
        ] {
            let parameter = TypedParam::new("name", value);
            assert_eq!(decode::<TypedParam>(&encode(&parameter).unwrap()).unwrap(), parameter);
        }
        assert!(decode::<TypedValue>(&[0, 0, 0, 8, 0, 0, 0, 0]).is_err());
    }
}
