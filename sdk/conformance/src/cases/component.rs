//! The file itself: what a host reads before it runs anything.

use crate::bench::Bench;
use crate::case::{Case, Finding, Needs, fault};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "component.manifest",
        demands: "the component has a manifest with name, version, contract and domain types",
        why: "a host finds the driver for a domain by it, and decides on it before anything is run",
        needs: Needs::Component,
        run: manifest,
    },
    Case {
        name: "component.contract",
        demands: "it is made for a contract that this host offers",
        why: "a host does not guess what another contract means",
        needs: Needs::Component,
        run: contract,
    },
    Case {
        name: "component.imports",
        demands: "it imports the interfaces of hostler:host and nothing else",
        why: "what a driver does not import it cannot use: no files, no sockets, no environment",
        needs: Needs::Component,
        run: imports,
    },
    Case {
        name: "component.exports",
        demands: "it exports about and lifecycle",
        why: "they are what makes a component a driver",
        needs: Needs::Component,
        run: exports,
    },
    Case {
        name: "component.size",
        demands: "it is not larger than a host takes",
        why: "a host reads and compiles all of it",
        needs: Needs::Component,
        run: size,
    },
    Case {
        name: "component.loads",
        demands: "the host loads it: it compiles, and its imports and exports have the contract's types",
        why: "a driver that cannot be loaded cannot be used",
        needs: Needs::Component,
        run: loads,
    },
];

fn manifest(bench: &Bench<'_>) -> Result<(), Finding> {
    let component = bench.component();
    let missing: Vec<_> = [
        ("a name", component.name.is_some()),
        ("a version", component.version.is_some()),
        ("a contract", component.contract.is_some()),
        ("domain types", !component.domain_types.is_empty()),
    ]
    .into_iter()
    .filter_map(|(what, there)| (!there).then_some(what))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let came = format!("no {}", missing.join(", no "));
    Err(fault("the manifest", "name, version, contract and domain types", &came))
}

fn contract(bench: &Bench<'_>) -> Result<(), Finding> {
    let component = bench.component();
    let offered = component.contract_offered.as_str();
    match component.contract.as_deref() {
        Some(needed) if offers(offered, needed) => Ok(()),
        Some(needed) => {
            Err(fault("the manifest's contract", &format!("{offered}, or what it includes"), needed))
        }
        None => Err(fault("the manifest's contract", offered, "none")),
    }
}

/// Whether a host with one contract takes a driver for the other: before 1.0 the first two numbers are the same, and
/// the third is not above.
fn offers(offered: &str, needed: &str) -> bool {
    let numbers =
        |version: &str| -> Option<Vec<u64>> { version.split('.').map(|part| part.parse().ok()).collect() };
    let (Some(offered), Some(needed)) = (numbers(offered), numbers(needed)) else { return false };
    offered.len() == 3 && needed.len() == 3 && offered.get(..2) == needed.get(..2) && needed <= offered
}

fn imports(bench: &Bench<'_>) -> Result<(), Finding> {
    let foreign: Vec<_> =
        bench.component().imports.iter().filter(|name| !name.starts_with("hostler:host/")).cloned().collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(fault("the component's imports", "interfaces of hostler:host", &foreign.join(", ")))
}

fn exports(bench: &Bench<'_>) -> Result<(), Finding> {
    let exports = &bench.component().exports;
    for wanted in ["hostler:driver/about@", "hostler:driver/lifecycle@"] {
        if !exports.iter().any(|export| export.starts_with(wanted)) {
            return Err(fault("the component's exports", wanted.trim_end_matches('@'), &exports.join(", ")));
        }
    }
    Ok(())
}

fn size(bench: &Bench<'_>) -> Result<(), Finding> {
    let component = bench.component();
    if component.size <= component.size_limit {
        return Ok(());
    }
    let expected = format!("at most {} bytes", component.size_limit);
    Err(fault("the component's size", &expected, &format!("{} bytes", component.size)))
}

fn loads(bench: &Bench<'_>) -> Result<(), Finding> {
    match bench.runner().refused() {
        None => Ok(()),
        Some(why) => Err(fault("loading the driver", "success", why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_is_offered_up_to_its_own_version() {
        for (offered, needed, is) in [
            ("0.1.0", "0.1.0", true),
            ("0.1.2", "0.1.0", true),
            ("0.1.0", "0.1.1", false),
            ("0.2.0", "0.1.0", false),
            ("0.1.0", "1", false),
        ] {
            assert_eq!(offers(offered, needed), is, "{offered} {needed}");
        }
    }
}
