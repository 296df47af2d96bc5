//! How values travel between the host and a worker: fields one after another, lengths in front, nothing nested.
//!
//! What a worker sends is read as if the driver had written it: nothing is allocated for what is not there, what is
//! read may take so much and no more, and a byte too many or too few is an error.

use std::fmt;

use wasmtime::component::Resource;

/// Why bytes are no value. The worker that sent them is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a malformed message: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// What can travel.
pub(crate) trait Wire: Sized {
    /// Adds it to a message.
    fn encode(&self, to: &mut Vec<u8>);

    /// Takes it from a message.
    ///
    /// # Errors
    /// The message does not continue with such a value.
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The rest of a message.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// What the values that are read may take, in bytes of memory.
    budget: usize,
    /// Whether resources are given away with the message, or only named.
    gives: bool,
}

impl<'a> Reader<'a> {
    /// Reads what a worker sent: resources are named, and all together takes at most `budget` bytes.
    pub(crate) fn of_worker(message: &'a [u8], budget: usize) -> Self {
        Self { rest: message, budget, gives: false }
    }

    /// Reads what the host sent: resources are given.
    pub(crate) fn of_host(message: &'a [u8]) -> Self {
        Self { rest: message, budget: usize::MAX, gives: true }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// There are not so many.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("it ends early"))
    }

    /// A number of things that follow, each of at least one byte, which take `each` bytes of memory.
    fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(u32::decode(self)?).map_err(|_| Malformed("a length too large"))?;
        if count > self.rest.len() {
            return Err(Malformed("it ends early"));
        }
        let taken = count.checked_mul(each).and_then(|bytes| self.budget.checked_sub(bytes));
        self.budget = taken.ok_or(Malformed("more than a message may hold"))?;
        Ok(count)
    }

    /// # Errors
    /// Something is left.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("it goes on after its end")) }
    }

    /// The one value that a message holds.
    ///
    /// # Errors
    /// It holds something else.
    pub(crate) fn whole<T: Wire>(mut self) -> Result<T, Malformed> {
        let value = T::decode(&mut self)?;
        self.finish()?;
        Ok(value)
    }
}

/// A length or an index. What is longer than this can say is longer than any message: sending it fails.
pub(crate) fn encode_length(length: usize, to: &mut Vec<u8>) {
    u32::try_from(length).unwrap_or(u32::MAX).encode(to);
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Wire for $type {
            fn encode(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                from.array().map(Self::from_le_bytes)
            }
        })*
    };
}

numbers!(u8, u32, u64, i64);

impl Wire for bool {
    fn encode(&self, to: &mut Vec<u8>) {
        to.push((*self).into());
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::decode(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }
}

impl Wire for String {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_length(self.len(), to);
        to.extend_from_slice(self.as_bytes());
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = from.count(1)?;
        let text = std::str::from_utf8(from.take(length)?).map_err(|_| Malformed("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        encode_length(self.len(), to);
        self.iter().for_each(|item| item.encode(to));
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = from.count(size_of::<T>().max(1))?;
        let mut items = Self::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(from)?);
        }
        Ok(items)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        self.is_some().encode(to);
        if let Some(value) = self {
            value.encode(to);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        bool::decode(from)?.then(|| T::decode(from)).transpose()
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn encode(&self, to: &mut Vec<u8>) {
        self.is_ok().encode(to);
        match self {
            Ok(value) => value.encode(to),
            Err(error) => error.encode(to),
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::decode(from)? { Ok(T::decode(from)?) } else { Err(E::decode(from)?) })
    }
}

/// A place in the table of the host's side of the call: a worker keeps nothing itself.
impl<T: 'static> Wire for Resource<T> {
    fn encode(&self, to: &mut Vec<u8>) {
        self.rep().encode(to);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let rep = u32::decode(from)?;
        Ok(if from.gives { Self::new_own(rep) } else { Self::new_borrow(rep) })
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {
        $(impl<$($name: Wire),*> Wire for ($($name,)*) {
            #[allow(non_snake_case, unused_variables, reason = "the names of types, and an empty tuple")]
            fn encode(&self, to: &mut Vec<u8>) {
                let ($($name,)*) = self;
                $($name.encode(to);)*
            }

            #[allow(unused_variables, reason = "an empty tuple")]
            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(($($name::decode(from)?,)*))
            }
        })*
    };
}

tuples! { () (A) (A B) (A B C) (A B C D) }
