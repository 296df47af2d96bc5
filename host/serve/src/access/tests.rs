//! Access files: what they make of whom, and what is said of wrong ones.

use std::os::unix::fs::PermissionsExt as _;

use super::object::Object;
use super::*;

const FILE: &str = r#"
[[rule]]
then = "deny"
who = { uid = 0 }
what = "domain.delete"
on = { name = "precious*" }

[[rule]]
then = "allow"
who = { uid = [1000, 1001], group = "root" }
what = ["domain.*", "storage_*.read"]
on = { name = "web-*" }

[[rule]]
then = "allow"
who = { dn = "C=GB,O=Lab,CN=*" }
what = "*.getattr"

[[rule]]
then = "deny"
who = { anyone = true }
what = "domain.read"

[[identity]]
dn = "C=GB,O=Lab,CN=alice"
uid = 1000

[[identity]]
dn = "C=GB,O=Lab,CN=*"
tenant = "blue"
"#;

fn parsed(text: &str) -> Result<Policy, Error> {
    Policy::parse(Path::new("/etc/access.toml"), text)
}

fn local(uid: u32, gids: &[u32]) -> Identity {
    Identity { uid: Some(uid), gids: gids.to_vec(), dn: None }
}

#[test]
fn rules_are_about_whom_they_say() {
    let policy = parsed(FILE).unwrap();
    assert!(policy.knows_groups());
    let (web, precious) = (Object::named("web-1", None), Object::named("precious-1", None));
    let root = policy.rights(&local(0, &[0]), Otherwise::Everything);
    assert!(!root.may("domain.delete", &precious) && root.may("domain.delete", &web));
    assert!(!root.may("domain.read", &web), "anyone is root too");
    let member = policy.rights(&local(1001, &[7, 0]), Otherwise::Defaults);
    assert!(member.may("domain.start", &web) && member.may("storage_pool.read", &web));
    assert!(!member.may("domain.start", &precious) && !member.may("storage_pool.start", &web));
    let alone = policy.rights(&local(1001, &[7]), Otherwise::Defaults);
    assert!(!alone.may("domain.start", &web) && alone.may("domain.getattr", &web));
    let remote = Identity { dn: Some("C=GB,O=Lab,CN=bob".to_owned()), ..Identity::default() };
    let remote = policy.rights(&remote, Otherwise::Defaults);
    assert!(remote.may("node_device.getattr", &web) && !remote.may("domain.read", &web));
}

#[test]
fn names_of_certificates_stand_for_users_and_tenants() {
    let policy = parsed(FILE).unwrap();
    assert_eq!(policy.mapped("C=GB,O=Lab,CN=alice"), (Some(1000), None));
    assert_eq!(policy.mapped("C=GB,O=Lab,CN=bob"), (None, Some("blue")));
    assert_eq!(policy.mapped("C=DE,O=Lab,CN=alice"), (None, None));
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_to_do() {
    let rule = "[[rule]]\nthen = 'allow'\nwho = { uid = 1 }\nwhat = 'domain.*'\n";
    let cases = [
        ("[[rle]]\n".to_owned(), ("1", "unknown field `rle`", "did you mean 'rule'?")),
        (format!("{rule}owhat = 1\n"), ("5", "unknown field `owhat`", "did you mean 'what'?")),
        (rule.replace("uid", "usr"), ("3", "unknown field `usr`", "did you mean 'user'?")),
        (format!("{rule}on = {{ nme = 'x' }}\n"), ("5", "unknown field `nme`", "did you mean 'name'?")),
        (
            rule.replace("domain.*", "domain.strat"),
            ("4", "'domain.strat' is no permission", "did you mean 'domain.start'?"),
        ),
        (rule.replace("domain.*", "vm.*"), ("4", "'vm.*' is no permission", "")),
        (rule.replace("'allow'", "'alow'"), ("2", "unknown variant `alow`", "did you mean 'allow'?")),
        (rule.replace("{ uid = 1 }", "{}"), ("3", "whom it is about", "anyone = true")),
        (rule.replace("{ uid = 1 }", "{ uid = 1, anyone = true }"), ("3", "whom it is about", "")),
        (rule.replace("uid = 1", "user = 'nobody-of-that-name'"), ("3", "no user of this host", "number")),
        (rule.replace("uid = 1", "group = ['root', 'no-group']"), ("3", "no group of this host", "")),
        (rule.replace("uid = 1", "uid = -1"), ("3", "", "")),
        ("[[identity]]\ndn = 'x'\n".to_owned(), ("2", "it is not said who that is", "a tenant")),
        ("[[rule]]\nthen = ".to_owned(), ("2", "", "")),
    ];
    for (text, (line, words, hint)) in cases {
        let error = parsed(&text).unwrap_err();
        assert!(error.message.contains(words), "{text}: {error}");
        assert!(error.message.contains("/etc/access.toml"), "{error}");
        let found = error.subject.iter().find(|(what, _)| what == "line").map(|(_, line)| line.as_str());
        assert_eq!(found, Some(line), "{text}: {error}");
        let hints: String = error.hints.iter().map(|hint| hint.text.as_str()).collect();
        assert!(hints.contains(hint), "{text}: {hints}");
    }
}

#[test]
fn file_that_others_may_write_to_is_not_believed() {
    let place = tempfile::tempdir().unwrap();
    let settings = AccessSettings::default();
    assert!(settings.policy(place.path()).unwrap().is_none());
    let path = place.path().join("access.toml");
    std::fs::write(&path, FILE).unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert_eq!(settings.policy(place.path()).unwrap().unwrap().rules.len(), 4);
    mode(0o664);
    assert_eq!(settings.policy(place.path()).unwrap_err().code(), "access.writable");
    let named = AccessSettings { file: Some(place.path().join("absent.toml")), auth: None };
    assert_eq!(named.policy(place.path()).unwrap_err().code(), "access.unreadable");
}
