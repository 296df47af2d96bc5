//! Tests of the reasons.

use super::*;

fn descriptor(name: &str, features: &str) -> Descriptor {
    let text = format!(
        r#"{{"interface-types":["uefi"],"mapping":{{"device":"flash",
        "executable":{{"filename":"/fw/{name}.code","format":"raw"}},
        "nvram-template":{{"filename":"/fw/{name}.vars","format":"raw"}}}},
        "targets":[{{"architecture":"x86_64","machines":["pc-q35-*"]}}],"features":[{features}]}}"#
    );
    Descriptor { path: format!("/d/{name}.json").into(), ..serde_json::from_str(&text).unwrap() }
}

fn installed() -> Vec<Descriptor> {
    vec![
        descriptor("40", r#""enrolled-keys","requires-smm","secure-boot""#),
        descriptor("50", r#""requires-smm","secure-boot""#),
        descriptor("60", ""),
    ]
}

fn verdicts(attributes: &str, os: &str, smm: bool) -> Vec<(Verdict, String)> {
    let xml = format!(
        "<domain type='kvm'><name>a</name><memory>1048576</memory>\
         <os{attributes}><type arch='x86_64' machine='q35'>hvm</type>{os}</os></domain>"
    );
    let considered = explain(&Document::parse(&xml).unwrap(), &installed(), smm);
    considered.into_iter().map(|considered| (considered.verdict, considered.reason)).collect()
}

fn words(found: &[(Verdict, String)]) -> Vec<Verdict> {
    found.iter().map(|(verdict, _)| *verdict).collect()
}

#[test]
fn all_are_looked_at_and_the_first_that_fits_is_chosen() {
    use Verdict::{Chosen, Fits, PassedOver};
    assert_eq!(words(&verdicts(" firmware='efi'", "", true)), [Chosen, Fits, Fits]);
    let found = verdicts(" firmware='efi'", "", false);
    assert_eq!(words(&found), [PassedOver, PassedOver, Chosen]);
    assert_eq!(found[0].1, "needs SMM, which this host cannot run");
    let feature = "<firmware><feature name='enrolled-keys' enabled='no'/></firmware>";
    assert_eq!(words(&verdicts(" firmware='efi'", feature, true)), [PassedOver, Chosen, Fits]);
}

#[test]
fn what_a_choice_has_written_is_no_wish() {
    use Verdict::{Chosen, Fits, PassedOver};
    let written = "<loader type='pflash' readonly='yes' secure='yes'>/fw/50.code</loader><nvram template='/fw/50.vars'/>";
    let found = verdicts(" firmware='efi'", written, true);
    assert_eq!(words(&found), [Fits, Chosen, Fits]);
    assert!(found[0].1.contains("when the domain was defined"), "{found:?}");
    // Code that no descriptor has is a wish that none meets.
    let other = "<loader type='pflash' readonly='yes'>/other</loader>";
    assert_eq!(words(&verdicts(" firmware='efi'", other, true)), [PassedOver; 3]);
}

#[test]
fn named_code_is_looked_up() {
    use Verdict::{Chosen, PassedOver};
    let found = verdicts("", "<loader type='pflash' readonly='yes'>/fw/60.code</loader>", true);
    assert_eq!(words(&found), [PassedOver, PassedOver, Chosen]);
    assert!(found[0].1.contains("'/fw/40.code'"), "{found:?}");
    assert_eq!(verdicts("", "", true), []);
}
