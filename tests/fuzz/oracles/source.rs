//! References read as sources: what is read is written and read again as the same, and no secret of one is shown.

use hostler_domain::storage_source::Location;
use hostler_image::{BackingSource, Profile, SourceReading, read_source, reference_text};

use super::reference::safe;
use crate::generators::reference::ReferenceCase;

/// Asserts what holds of any reference, in both profiles.
///
/// # Panics
/// When a promise is broken.
pub fn check(case: &ReferenceCase<'_>) {
    let text = case.text();
    for profile in [Profile::Strict, Profile::Compatible] {
        match read_source(&text, profile) {
            SourceReading::Malformed { why } => safe(&why),
            SourceReading::Usable(source) => {
                shown(&source);
                if profile == Profile::Strict {
                    again(&source);
                }
            }
            SourceReading::WithUnsupported { source, what } => {
                safe(&what);
                shown(&source);
            }
        }
    }
}

/// A `<source>` element that a document can have.
fn shown(source: &BackingSource) {
    let xml = source.without_secrets().to_xml();
    assert!(xml.starts_with("<source"), "{xml:?}");
    if let Location::Network(network) = &source.location {
        assert!(network.hosts.iter().all(|host| host.name.is_some() != host.socket.is_some()), "{network:?}");
    }
}

/// A source that is written as a reference and read again is the same, but for what is never written.
fn again(source: &BackingSource) {
    let mut expected = source.clone();
    if let Location::Network(network) = &mut expected.location {
        network.cookies.clear();
    }
    let Ok(text) = reference_text(&expected, Profile::Strict) else { return };
    match read_source(&text, Profile::Strict) {
        SourceReading::Usable(read) | SourceReading::WithUnsupported { source: read, .. } => {
            assert_eq!(read.location.type_name(), expected.location.type_name(), "{text:?}");
            assert_eq!(read.slice, expected.slice, "{text:?}");
        }
        SourceReading::Malformed { why } => panic!("{text:?}, written of {expected:?}, is malformed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::generators::reference::{Place, ReferenceCase};

    #[test]
    fn seeds_hold() {
        for text in [
            "base.img",
            "nbd:unix:/s:exportname=a",
            "nbd:user@:7",
            "nbd:a/b?c#d%e:7",
            "rbd:pool/image:id=a:key=b:mon_host=h",
            "iscsi://u%p@h:3260/iqn.x/1",
            r#"json:{"driver":"raw","offset":512,"size":1024,"file":{"driver":"file","filename":"/a"}}"#,
            r#"json:{"driver":"https","url":"https://h/x?y","cookie":"a=b","timeout":5}"#,
            r#"json:{"file.driver":"nbd","file.server.type":"inet","file.server.host":"h","file.server.port":"1"}"#,
        ] {
            check(&ReferenceCase::Text(text));
        }
        check(&ReferenceCase::Secret { scheme: 0, place: Place::Query, before: "h/x", after: "" });
    }
}
