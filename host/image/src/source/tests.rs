//! What reading and writing references promises.

use hostler_domain::storage_source::{Host, NetworkSource, Protocol, Slice};
use proptest::prelude::*;

use super::*;

fn usable(text: &str, profile: Profile) -> BackingSource {
    match read_source(text, profile) {
        SourceReading::Usable(source) => source,
        other => panic!("{text}: {other:?}"),
    }
}

fn malformed(text: &str) -> String {
    match read_source(text, Profile::Strict) {
        SourceReading::Malformed { why } => why,
        other => panic!("{text}: {other:?}"),
    }
}

fn carries(text: &str) -> String {
    match read_source(text, Profile::Strict) {
        SourceReading::WithUnsupported { what, .. } => what,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn names_of_files_stay_as_they_are() {
    for text in ["base.img", "./a:b", "/srv/a", "dir/a:b"] {
        assert_eq!(usable(text, Profile::Strict), BackingSource::new(Location::File(text.to_owned())));
    }
    assert_eq!(usable("fat:/dir", Profile::Strict).location, Location::Dir("/dir".to_owned()));
}

#[test]
fn s2_what_cannot_be_passed_on_is_named_and_left_out() {
    assert_eq!(carries("http://user:hunter2@host/x"), "credentials");
    assert_eq!(carries("rbd:pool/x:id=admin:key=hunter2"), "option 'id', option 'key'");
    for text in [
        r#"json:{"driver":"https","url":"https://h/x","password-secret":"hunter2"}"#,
        r#"json:{"driver":"iscsi","transport":"tcp","portal":"h","target":"t","user":"u","password":"hunter2"}"#,
        r#"json:{"driver":"rbd","pool":"p","image":"i","user":"u","key-secret":"hunter2"}"#,
        r#"json:{"driver":"nbd","server":{"type":"inet","host":"h","port":"1","to":9}}"#,
        "nbd+unix:///x?socket=/s&password=hunter2",
    ] {
        let reading = read_source(text, Profile::Strict);
        assert!(matches!(reading, SourceReading::WithUnsupported { .. }), "{text}: {reading:?}");
        assert!(!format!("{reading:?}").contains("hunter2"), "{text}");
    }
    assert!(matches!(
        read_source("http://u:p@h/x", Profile::Compatible),
        SourceReading::WithUnsupported { source, .. } if source.to_xml().contains("name='x'")
    ));
}

#[test]
fn the_strict_profile_refuses_what_would_become_something_else() {
    assert!(malformed("rbd:image").contains("POOL/IMAGE"));
    assert!(malformed("http:///x").contains("no host"));
    assert!(malformed("nbd+unix:///x").contains("no socket"));
    assert!(malformed("nbd://h:99999/x").contains("port"));
    assert!(malformed("gluster://h/volume").contains("volume"));
    assert!(malformed("http://h/%zz").contains('%'));
    assert!(malformed("http://h/%00").contains("NUL"));
    assert!(malformed("gluster://h%15/v/i").contains("control characters"));
    assert!(malformed("nbd://h/a%0Ab").contains("control characters"));
    assert!(malformed(r#"json:{"driver":"file","filename":"a\u0007b"}"#).contains("control characters"));
    assert!(malformed("tcp://h/x").contains("not the protocol"));
    assert!(malformed("a:b.img").contains("not the protocol"));
    assert!(malformed(r#"json:{"driver":"qcow2","file":{}}"#).contains("qcow2"));
    assert!(malformed(r#"json:{"driver":"raw","file":{"driver":"raw","file":{}}}"#).contains("raw node"));
    assert!(malformed(r#"json:{"driver":"file","driver":"file","filename":"x"}"#).contains("twice"));
}

#[test]
fn ports_given_as_numbers_count_unless_libvirt_is_imitated() {
    let text = r#"json:{"driver":"ssh","host":"h","port":1234,"path":"x"}"#;
    assert!(usable(text, Profile::Strict).to_xml().contains("port='1234'"));
    assert!(usable(text, Profile::Compatible).to_xml().contains("port='22'"));
}

#[test]
fn sources_are_written_in_the_shortest_form_that_says_everything() {
    let mut nbd = NetworkSource::new(Protocol::Nbd);
    nbd.hosts.push(Host::tcp("::1", None));
    let text = |source: &NetworkSource| {
        reference_text(&BackingSource::network(source.clone()), Profile::Strict).unwrap()
    };
    assert_eq!(text(&nbd), "nbd://[::1]:10809");
    nbd.name = Some("a:b c".to_owned());
    assert_eq!(text(&nbd), "nbd://[::1]:10809/a%3Ab%20c");
    nbd.hosts = vec![Host::unix("/s")];
    assert_eq!(
        text(&nbd),
        r#"json:{"file":{"driver":"nbd","server":{"type":"unix","path":"/s"},"export":"a:b c"}}"#
    );
    let mut sliced = BackingSource::new(Location::File("/a".to_owned()));
    sliced.slice = Some(Slice { offset: 512, size: 1024 });
    assert_eq!(
        reference_text(&sliced, Profile::Strict).unwrap(),
        r#"json:{"file":{"driver":"raw","offset":512,"size":1024,"file":{"driver":"file","filename":"/a"}}}"#
    );
    assert_eq!(
        reference_text(&BackingSource::new(Location::File("a:b".to_owned())), Profile::Strict).unwrap(),
        "./a:b"
    );
    assert!(reference_text(&BackingSource::new(Location::Empty), Profile::Strict).is_err());
}

#[test]
fn cookies_never_stand_in_a_reference() {
    let text = r#"json:{"driver":"https","url":"https://h/x","cookie":"session=hunter2","timeout":5}"#;
    let source = usable(text, Profile::Strict);
    assert!(source.to_xml().contains("hunter2"), "the document declares it");
    assert!(!reference_text(&source, Profile::Strict).unwrap().contains("hunter2"));
    let recorded = reference_text(&source, Profile::Compatible).unwrap();
    assert!(recorded.contains(r#""cookie":"session=hunter2""#), "as libvirt 8.5 wrote it: {recorded}");
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![
        Protocol::Nbd,
        Protocol::Gluster,
        Protocol::Iscsi,
        Protocol::Http,
        Protocol::Https,
        Protocol::Ftp,
        Protocol::Ssh,
        Protocol::Sheepdog,
        Protocol::Vxhs,
        Protocol::Rbd,
    ])
}

prop_compose! {
    fn server()(
        protocol in protocols(), pool in "[a-z:% ]{1,6}", image in "[a-zA-Z0-9:%?#@ ./]{0,8}[a-z]",
        host in "[a-z][a-z0-9.-]{0,8}", port in 1_u16.., timeout in prop::option::of(1_u64..9),
    ) -> NetworkSource {
        let mut source = NetworkSource::new(protocol);
        source.name = Some(match protocol {
            Protocol::Iscsi => format!("iqn.{}/3", pool.replace('%', "")),
            _ => format!("{pool}/{}", image.trim_start_matches('/')),
        });
        source.hosts.push(Host::tcp(host, Some(port)));
        if matches!(protocol, Protocol::Http | Protocol::Https) {
            source.timeout_s = timeout;
        }
        source
    }
}

#[test]
fn host_that_would_end_the_authority_is_encoded_when_written() {
    for name in ["user@", "a/b", "a?b", "a#b", "50%"] {
        let read = |text: &str| match read_source(text, Profile::Strict) {
            SourceReading::Usable(source) => source,
            other => panic!("{text}: {other:?}"),
        };
        let source = read(&format!("nbd:{name}:7"));
        assert_eq!(read(&reference_text(&source, Profile::Strict).unwrap()), source);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_is_written_is_read_as_the_same_source(source in server()) {
        let source = BackingSource::network(source);
        let text = reference_text(&source, Profile::Strict).unwrap();
        for profile in [Profile::Strict, Profile::Compatible] {
            prop_assert_eq!(read(&text, profile).unwrap().source, source.clone(), "{}", text);
        }
    }

    #[test]
    fn every_text_has_an_outcome(text in "(json:|nbd:|rbd:|http://|nbd[+]unix://|gluster://)?.{0,60}") {
        for profile in [Profile::Strict, Profile::Compatible] {
            if let SourceReading::Malformed { why } = read_source(&text, profile) {
                prop_assert!(!why.chars().any(char::is_control), "{}", why);
            }
        }
    }

    #[test]
    fn secrets_of_users_are_never_in_what_is_read(secret in "[A-Z0-9]{8}", protocol in protocols()) {
        let text = format!("{protocol}://u:{secret}@host/pool/image");
        let readings = [Profile::Strict, Profile::Compatible].map(|profile| format!("{:?}", read_source(&text, profile)));
        prop_assert!(!readings.concat().contains(&secret));
    }
}
