//! The name in a certificate as libvirt's lists have it, which is how GnuTLS writes it: `C=GB,O=Lab,CN=alice`.

use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How the parts of a name are called, by their numbers.
const PARTS: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "surName"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "givenName"),
    ("2.5.4.43", "initials"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAIL"),
];
/// Characters that would be read as the end of a part, or as its kind.
const ESCAPED: &[char] = &[',', '+', '"', '\\', '<', '>', ';'];

/// The name of whose certificate it is; nothing of one without, or that cannot be understood.
pub(super) fn of(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut parts = Vec::new();
    for several in certificate.subject().iter_rdn() {
        let written: Vec<_> = several
            .iter()
            .map(|part| {
                let number = part.attr_type().to_id_string();
                let known = PARTS.iter().find(|(known, _)| *known == number);
                let kind = known.map_or(number.as_str(), |(_, kind)| kind);
                match known.and_then(|_| text(part.attr_value())) {
                    Some(text) => format!("{kind}={}", escaped(&text)),
                    None => format!("{kind}=#{}", hex(part.attr_value())),
                }
            })
            .collect();
        parts.push(written.join("+"));
    }
    let name = parts.join(",");
    (!name.is_empty()).then_some(name)
}

/// A text of one of the kinds that are read alike by everybody.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            let text = std::str::from_utf8(value.data).ok()?;
            // A zero ends a text for some, and not for others.
            (!text.contains('\0')).then(|| text.to_owned())
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut written = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (at, letter) in text.chars().enumerate() {
        let edge = (letter == ' ' && (at == 0 || at == last)) || (letter == '#' && at == 0);
        if edge || ESCAPED.contains(&letter) {
            written.push('\\');
        }
        written.push(letter);
    }
    written
}

fn hex(value: &Any<'_>) -> String {
    let whole = x509_parser::der_parser::asn1_rs::ToDer::to_der_vec(value).unwrap_or_default();
    whole.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn name(parts: &[(DnType, &str)]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in parts {
            params.distinguished_name.push(kind.clone(), *text);
        }
        of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn name_is_written_in_its_own_order_and_without_spaces() {
        let parts = [
            (DnType::CountryName, "GB"),
            (DnType::OrganizationName, "Lab"),
            (DnType::OrganizationalUnitName, "Some Unit"),
            (DnType::CommonName, "alice"),
        ];
        assert_eq!(name(&parts).as_deref(), Some("C=GB,O=Lab,OU=Some Unit,CN=alice"));
        assert_eq!(name(&[]), None);
    }

    #[test]
    fn no_text_in_a_name_begins_another_part() {
        let parts = [(DnType::OrganizationName, "a,CN=admin"), (DnType::CommonName, " #x+\"\\")];
        assert_eq!(name(&parts).as_deref(), Some(r#"O=a\,CN=admin,CN=\ #x\+\"\\"#));
        assert_eq!(name(&[(DnType::CommonName, "#x")]).as_deref(), Some(r"CN=\#x"));
    }

    #[test]
    fn part_of_an_unknown_kind_has_its_number() {
        let kind = DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99_999]);
        let name = name(&[(kind, "x")]).unwrap();
        assert_eq!(name, "1.3.6.1.4.1.99999=#0c0178");
    }

    #[test]
    fn what_is_no_certificate_has_no_name() {
        assert_eq!(of(b"garbage"), None);
        assert_eq!(of(b""), None);
    }
}
