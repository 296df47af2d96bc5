//! `domain/@type`: which hypervisor a domain is for. An open set: drivers say which types they take.

use std::fmt;

use crate::error::{XmlError, XmlErrorKind};
use crate::read::Element;

/// Longest type, in bytes.
const MAX_TYPE_BYTES: usize = 64;

/// Which hypervisor a domain is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainType {
    /// QEMU with hardware acceleration. Written `kvm`.
    Kvm,
    /// QEMU by translation. Written `qemu`.
    Qemu,
    /// Any other word of lower-case letters, digits and `-`: some driver knows it, or none does.
    Other(String),
}

impl DomainType {
    /// The word that stands for this value in the document.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Kvm => "kvm",
            Self::Qemu => "qemu",
            Self::Other(word) => word,
        }
    }

    pub(crate) fn read(root: Element<'_>) -> Result<Self, XmlError> {
        let word = root.need("type")?;
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match word {
            "kvm" => Ok(Self::Kvm),
            "qemu" => Ok(Self::Qemu),
            _ if word.len() <= MAX_TYPE_BYTES && word.bytes().all(fine) => Ok(Self::Other(word.to_owned())),
            _ => Err(root
                .fault(
                    Some("type"),
                    XmlErrorKind::InvalidValue,
                    "the type of a domain is no word of a-z, 0-9 and '-'".to_owned(),
                )
                .hint("use type='kvm', or type='qemu' where there is no KVM")),
        }
    }
}

impl fmt::Display for DomainType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Domain, DomainType};

    fn typed(word: &str) -> Result<DomainType, String> {
        let xml = format!(
            "<domain type='{word}'><name>a</name><memory>1</memory><os><type>hvm</type></os></domain>"
        );
        Domain::parse(&xml).map(|domain| domain.kind).map_err(|error| error.to_string())
    }

    #[test]
    fn type_is_an_open_set() {
        assert_eq!(typed("kvm"), Ok(DomainType::Kvm));
        assert_eq!(typed("my-hypervisor"), Ok(DomainType::Other("my-hypervisor".to_owned())));
        assert!(typed("K V M").unwrap_err().contains("type"));
    }
}
