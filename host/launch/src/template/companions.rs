//! Holding the companions of a launch against their templates, and what connects them with the program.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Template;
use super::check::{Checked, check, check_name};
use crate::error::{LaunchError, LaunchErrorKind};
use crate::handle::{EndpointKind, EndpointSpec, Handle};
use crate::limits::COMPANIONS_MAX;
use crate::plan::Companion;

/// A companion whose plan passed, frozen.
#[derive(Clone, Debug)]
pub struct CheckedCompanion {
    pub(crate) name: String,
    pub(crate) checked: Checked,
}

/// Holds companions against their templates, in their order, and against the program that they are for.
///
/// # Errors
/// As [`check`], naming the companion; [`LaunchErrorKind::PlanInvalid`] when two have one name, when a link does not
/// connect the program and its companion, or when one is to have what only the program has.
pub fn check_companions(
    main: &Checked,
    companions: &[(Companion, Arc<Template>)],
    handles: &[Handle],
) -> Result<Vec<CheckedCompanion>, LaunchError> {
    if companions.len() > COMPANIONS_MAX {
        return invalid(format!("{} companions, at most {COMPANIONS_MAX}", companions.len()));
    }
    let mut known = BTreeSet::new();
    let mut checked = Vec::with_capacity(companions.len());
    for (companion, template) in companions {
        check_name("companion", &companion.name)?;
        if !known.insert(companion.name.as_str()) {
            return invalid(format!("two companions are named '{}'", companion.name));
        }
        let named = |error: LaunchError| error.of_companion(&companion.name);
        let passed = check(&companion.plan, handles, template).map_err(named)?;
        check_own(&companion.name, &passed, handles)?;
        checked.push(CheckedCompanion { name: companion.name.clone(), checked: passed });
    }
    check_links(main, &checked, handles)?;
    Ok(checked)
}

/// A companion is talked to by its program, and by nobody else.
fn check_own(name: &str, checked: &Checked, handles: &[Handle]) -> Result<(), LaunchError> {
    if !checked.plan.reactions.is_empty() {
        return invalid(format!("the companion '{name}' has reactions, and no monitor to hear of events"));
    }
    for handle in checked.named().into_iter().filter_map(|index| handles.get(index)) {
        let console = matches!(handle, Handle::Endpoint(EndpointSpec { kind: EndpointKind::Pty, .. }));
        if console || matches!(handle, Handle::Monitor | Handle::Socket(_)) {
            let kind = handle.kind();
            return invalid(format!("the companion '{name}' names a handle ({kind}) that is its program's"));
        }
    }
    Ok(())
}

/// Every link that is named anywhere is named by the program and by the companion that it is to, once each.
fn check_links(
    main: &Checked,
    companions: &[CheckedCompanion],
    handles: &[Handle],
) -> Result<(), LaunchError> {
    let program = main.named();
    let mut named: BTreeSet<usize> = program.iter().copied().collect();
    named.extend(companions.iter().flat_map(|companion| companion.checked.named()));
    for index in named {
        let Some(Handle::Link(to)) = handles.get(index) else { continue };
        let ends: Vec<&str> = companions
            .iter()
            .filter(|companion| companion.checked.named().contains(&index))
            .map(|companion| companion.name.as_str())
            .collect();
        if !program.contains(&index) || ends != [to.as_str()] {
            return invalid(format!("the link to '{to}' does not connect the program and that companion"));
        }
    }
    Ok(())
}

fn invalid<T>(message: String) -> Result<T, LaunchError> {
    Err(LaunchError::new(LaunchErrorKind::PlanInvalid, message))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::handle::Role;
    use crate::plan::{OptionEntry, Plan};
    use crate::value::Value;

    fn plan(template: &str, options: Vec<OptionEntry>) -> Plan {
        Plan { template: template.into(), options, environment: vec![], reactions: vec![] }
    }

    /// A monitor, a link to each of two modules, and a directory.
    fn handles() -> Vec<Handle> {
        vec![
            Handle::Monitor,
            Handle::Link("tpm0".into()),
            Handle::Link("tpm1".into()),
            Handle::Descriptor {
                fd: None,
                writable: true,
                role: Role::Directory,
                format: "raw",
                data_apart: false,
                path: PathBuf::from("/keeps/tpm2"),
            },
        ]
    }

    fn module(name: &str, link: usize, more: Vec<OptionEntry>) -> (Companion, Arc<Template>) {
        let state = [("dir", Value::Handle(3)), ("mode", "0600".into())];
        let mut options = vec![
            OptionEntry::new("ctrl", Value::mapping([("client", Value::Handle(link))])),
            OptionEntry::new("tpmstate", Value::mapping(state)),
            OptionEntry::flag("terminate"),
        ];
        options.extend(more);
        (Companion { name: name.into(), plan: plan("swtpm", options) }, Template::shipped("swtpm"))
    }

    /// The program, with the links that it names.
    fn program(links: &[usize]) -> Checked {
        let mut options = crate::template::abuses::plan(&[]).options;
        for link in links {
            let id = format!("chr{link}");
            let value = [("backend", Value::Handle(*link)), ("id", id.as_str().into())];
            options.push(OptionEntry::new("chardev", Value::mapping(value)));
        }
        check(&plan("qemu-system-x86_64", options), &handles(), &Template::shipped("qemu-system-x86_64"))
            .unwrap()
    }

    fn refusal(links: &[usize], companions: &[(Companion, Arc<Template>)]) -> String {
        check_companions(&program(links), companions, &handles()).unwrap_err().to_string()
    }

    #[test]
    fn companion_with_a_link_passes() {
        let checked = check_companions(&program(&[1]), &[module("tpm0", 1, vec![])], &handles()).unwrap();
        assert_eq!(checked[0].name, "tpm0");
        assert!(check_companions(&program(&[]), &[], &handles()).unwrap().is_empty());
    }

    #[test]
    fn link_connects_the_program_and_its_companion_and_nobody_else() {
        let one = || module("tpm0", 1, vec![]);
        assert!(refusal(&[], &[one()]).contains("does not connect"), "the program has no end");
        assert!(refusal(&[1], &[]).contains("does not connect"), "there is no companion");
        assert!(refusal(&[1], &[module("other", 1, vec![])]).contains("does not connect"));
        assert!(refusal(&[1], &[one(), module("tpm1", 1, vec![])]).contains("does not connect"));
        assert!(refusal(&[1], &[one(), one()]).contains("two companions"));
        assert!(refusal(&[1], &[module("../x", 1, vec![])]).contains("companion name"));
    }

    #[test]
    fn companion_has_no_monitor_and_no_reactions() {
        let (mut reacting, swtpm) = module("tpm0", 1, vec![]);
        reacting.plan.reactions.push(crate::plan::Reaction { event: "STOP".into(), commands: vec![] });
        assert!(refusal(&[1], &[(reacting, swtpm)]).contains("reactions"));
        let options = vec![OptionEntry::new("ctrl", Value::mapping([("client", Value::Handle(0))]))];
        let monitored = Companion { name: "tpm0".into(), plan: plan("swtpm", options) };
        let refused = check_companions(&program(&[]), &[(monitored, Template::shipped("swtpm"))], &handles());
        assert_eq!(refused.unwrap_err().kind, LaunchErrorKind::Denied);
    }

    #[test]
    fn module_is_told_nothing_that_names_the_host() {
        for (name, value) in [
            ("daemon", None),
            ("log", Some(Value::mapping([("file", Value::text("/etc/passwd"))]))),
            ("pid", Some(Value::mapping([("file", Value::text("/tmp/pid"))]))),
            ("key", Some(Value::mapping([("file", Value::text("/etc/shadow"))]))),
            ("migration-key", Some(Value::mapping([("fd", Value::Integer(3))]))),
            ("server", Some(Value::mapping([("type", Value::text("tcp"))]))),
            ("runas", Some(Value::text("root"))),
            ("seccomp", Some(Value::mapping([("action", Value::text("none"))]))),
            ("unheard-of", None),
        ] {
            let more = vec![OptionEntry { name: name.into(), value }];
            let error = check_companions(&program(&[1]), &[module("tpm0", 1, more)], &handles()).unwrap_err();
            assert_eq!((error.kind, error.option.as_str()), (LaunchErrorKind::Denied, name));
            assert!(error.to_string().contains("tpm0"), "{error}");
        }
        for (member, value) in [
            ("dir", Value::text("/etc")),
            ("backend-uri", Value::text("file:///etc/shadow")),
            ("dir", Value::Handle(1)),
        ] {
            let (mut module, swtpm) = module("tpm0", 1, vec![]);
            let state = Value::mapping([(member, value), ("mode", "0600".into())]);
            module.plan.options[1].value = Some(state);
            let error = check_companions(&program(&[1]), &[(module, swtpm)], &handles()).unwrap_err();
            assert_eq!(error.kind, LaunchErrorKind::Denied, "{member}");
        }
    }
}
