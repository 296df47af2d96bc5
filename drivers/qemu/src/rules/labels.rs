//! Security labels of the domain.

use std::collections::BTreeSet;

use hostler_sdk::domain::NodeId;

use super::{Broken, Rule, Subject, broken};

pub(super) const RULES: &[Rule] = &[types, models];

fn labels<'a>(subject: &Subject<'a>) -> impl Iterator<Item = NodeId> + 'a {
    let document = subject.document();
    document.elements(document.root()).filter(move |node| document.name(*node) == "seclabel")
}

fn types(subject: &Subject<'_>) -> Option<Broken> {
    let document = subject.document();
    labels(subject).find_map(|label| {
        let says = |name, value| document.attribute(label, name) == Some(value);
        let text = document.child(label, "label").map(|text| document.text(text));
        let (what, remedy) = if says("type", "static") && text.is_none_or(|text| text.trim().is_empty()) {
            ("a label of type 'static' is written down, and this one is not", "add <label>")
        } else if says("type", "static") && document.attribute(label, "model").is_none() {
            ("a label that is written down is of a model, and this one is not", "add model='dac'")
        } else if says("type", "none") && says("relabel", "yes") {
            ("a label of type 'none' relabels nothing", "remove relabel='yes'")
        } else if says("type", "dynamic") && says("relabel", "no") {
            ("a label of type 'dynamic' goes with files that are relabelled", "remove relabel='no'")
        } else {
            return None;
        };
        broken(label, "qemu.seclabel", what, remedy)
    })
}

fn models(subject: &Subject<'_>) -> Option<Broken> {
    let document = subject.document();
    let all: Vec<_> = labels(subject).collect();
    let mut seen = BTreeSet::new();
    let (second, model) = all
        .iter()
        .map(|label| (*label, document.attribute(*label, "model").unwrap_or_default()))
        .find(|(_, model)| (all.len() > 1 && model.is_empty()) || !seen.insert(*model))?;
    let what = if model.is_empty() {
        "of several labels each is of a model, and this one is not".to_owned()
    } else {
        format!("there are two labels of model '{model}'")
    };
    broken(second, "qemu.seclabel", what, "give each <seclabel> a model of its own")
}
