//! Plans by the shipped template's own rules, so that many pass, and wrong in places.

use std::sync::{Arc, LazyLock};

use arbitrary::{Result, Unstructured};
use hostler_launch::{Handle, OptionEntry, Plan, Reaction, Template, TemplateSet, Value};
use serde_json::Value as Json;

use super::shape::Maker;

/// The name of the template that plans are for.
pub const TEMPLATE: &str = "qemu-system-x86_64";
/// Most options beyond those that every plan must have.
const OPTIONS: u8 = 6;

/// The rules of the shipped template, as data.
pub static RULES: LazyLock<Json> = LazyLock::new(|| {
    let text = include_str!("../../../host/launch/templates/qemu-system-x86_64.json");
    serde_json::from_str(text).expect("the shipped template is JSON")
});

/// The template itself.
pub static SHIPPED: LazyLock<Arc<Template>> = LazyLock::new(|| {
    let set = TemplateSet::builtin().expect("the shipped templates are valid");
    Arc::clone(set.get(TEMPLATE).expect("it ships"))
});

/// A plan and a command of the monitor.
#[derive(Debug)]
pub struct PlanCase {
    /// The plan.
    pub plan: Plan,
    /// A command and its arguments.
    pub command: (String, Option<Value>),
}

/// Makes a case for these handles.
///
/// # Errors
/// When the fuzzer's bytes are used up.
pub fn make(u: &mut Unstructured<'_>, handles: &[Handle]) -> Result<PlanCase> {
    let mut maker = Maker { shapes: &RULES["shapes"], handles, used: Vec::new() };
    let mut options = required();
    for _ in 0..u.int_in_range(0..=OPTIONS)? {
        let entry = option(u, &mut maker)?;
        let at = u.int_in_range(0..=options.len())?;
        options.insert(at, entry);
    }
    if u.ratio(1_u8, 32_u8)? {
        options.swap_remove(0);
    }
    let environment = if u.ratio(1_u8, 8_u8)? { vec![("TZ".to_owned(), u.arbitrary()?)] } else { Vec::new() };
    let reactions = if u.ratio(1_u8, 8_u8)? {
        let commands = vec![name(u, &["pass", "host"])?, "quit".to_owned()];
        vec![Reaction { event: u.arbitrary()?, commands }]
    } else {
        Vec::new()
    };
    let plan = Plan { template: TEMPLATE.to_owned(), options, environment, reactions };
    Ok(PlanCase { plan, command: command(u, &mut maker)? })
}

/// What every plan must have.
fn required() -> Vec<OptionEntry> {
    let deny = ["obsolete", "elevateprivileges", "spawn"].map(|key| (key, Value::from("deny")));
    let sandbox = Value::mapping([("enable", Value::from("on"))].into_iter().chain(deny));
    vec![
        OptionEntry::flag("nodefaults"),
        OptionEntry::flag("no-user-config"),
        OptionEntry::new("sandbox", sandbox),
    ]
}

fn option(u: &mut Unstructured<'_>, maker: &mut Maker<'_>) -> Result<OptionEntry> {
    let rules = RULES["options"].as_object().ok_or(arbitrary::Error::IncorrectFormat)?;
    let allowed: Vec<_> = rules.iter().filter(|(_, rule)| rule["refused"].is_null()).collect();
    if u.ratio(1_u8, 64_u8)? {
        let at = u.choose_index(rules.len())?;
        let name = rules.keys().nth(at).cloned().unwrap_or_default();
        return Ok(OptionEntry::new(name, Value::Text(u.arbitrary()?)));
    }
    let (name, rule) = *u.choose(&allowed)?;
    Ok(match &rule["shape"] {
        Json::Null => OptionEntry::flag(name.as_str()),
        shape => OptionEntry::new(name.as_str(), maker.value(u, shape, 0)?),
    })
}

/// The name of a command from these lists of the template.
fn name(u: &mut Unstructured<'_>, lists: &[&str]) -> Result<String> {
    let names: Vec<String> = lists
        .iter()
        .flat_map(|list| match &RULES["commands"][*list] {
            Json::Array(names) => names.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            Json::Object(names) => names.keys().cloned().collect(),
            _ => Vec::new(),
        })
        .collect();
    u.choose(&names).cloned()
}

fn command(u: &mut Unstructured<'_>, maker: &mut Maker<'_>) -> Result<(String, Option<Value>)> {
    let name = name(u, &["typed", "pass", "host", "denied"])?;
    let shape = &RULES["commands"]["typed"][&name];
    let arguments = match shape {
        Json::Null => maker.value(u, &serde_json::json!({"map": {"other": "integer"}}), 0)?,
        shape => maker.value(u, shape, 0)?,
    };
    Ok((name, Some(arguments).filter(|_| !u.ratio(1_u8, 16_u8).unwrap_or(false))))
}

#[cfg(test)]
mod tests {
    use arbitrary::Unstructured;
    use hostler_launch::check;

    use super::{SHIPPED, make};
    use crate::generators::handles;

    #[test]
    fn enough_plans_pass_for_what_passes_to_be_tested() {
        let handles: Vec<_> = handles::all().into_iter().map(|(handle, _)| handle).collect();
        let passes = |seed: &u64| {
            let mut bytes = vec![0; 2048];
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
            let case = make(&mut Unstructured::new(&bytes), &handles).expect("there are enough bytes");
            check(&case.plan, &handles, &SHIPPED).is_ok()
        };
        let passed = (0..400_u64).filter(passes).count();
        assert!(passed >= 80, "{passed} of 400 pass");
    }
}
