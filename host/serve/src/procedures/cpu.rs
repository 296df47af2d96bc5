//! Processors by their models: which there are, and what this host and others have in common.
//!
//! A model is what it has more than the one that it grew from. That is as much as this host needs to say whether it can be one:
//! which of them a hypervisor offers is the hypervisor's to say, when a guest is started.

use std::sync::Arc;

use hostler_domain::{Document, NodeId};
use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::wire::{
    ConnectBaselineCpu, ConnectBaselineCpuAnswer, ConnectBaselineHypervisorCpu,
    ConnectBaselineHypervisorCpuAnswer, ConnectCompareCpu, ConnectCompareCpuAnswer,
    ConnectCompareHypervisorCpu, ConnectCompareHypervisorCpuAnswer, ConnectGetCpuModelNames,
    ConnectGetCpuModelNamesAnswer,
};
use hostler_rpc::xdr::List;

use super::{count, only};
use crate::client::Client;
use crate::dispatch::{Incoming, Work, routes};

/// The one architecture of guests here.
const ARCH: &str = "x86_64";
/// The flag by which features are to be listed; they always are where a model does not say it all.
const EXPAND: u32 = 1;
const MIGRATABLE: u32 = 2;
const FAIL_INCOMPATIBLE: u32 = 1;
const VALIDATE: u32 = 2;

/// A model: its name, the one that it has everything of, and what it has beside that, as the kernel calls it.
type Model = (&'static str, &'static str, &'static str);

const MODELS: [Model; 19] = [
    (
        "qemu64",
        "",
        "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat mmx fxsr sse sse2 lm nx syscall pni cx16",
    ),
    (
        "kvm64",
        "",
        "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat mmx fxsr sse sse2 lm nx syscall pni cx16 clflush",
    ),
    ("core2duo", "kvm64", "ssse3 lahf_lm"),
    ("Conroe", "kvm64", "ssse3 lahf_lm"),
    ("Penryn", "Conroe", "sse4_1"),
    ("Nehalem", "Penryn", "sse4_2 popcnt"),
    ("Westmere", "Nehalem", "aes pclmulqdq"),
    ("SandyBridge", "Westmere", "avx xsave tsc_deadline_timer x2apic rdtscp"),
    ("IvyBridge", "SandyBridge", "f16c rdrand fsgsbase smep erms"),
    ("Haswell-noTSX", "IvyBridge", "avx2 bmi1 bmi2 fma movbe abm invpcid pcid"),
    ("Haswell", "Haswell-noTSX", "hle rtm"),
    ("Broadwell-noTSX", "Haswell-noTSX", "adx rdseed smap 3dnowprefetch"),
    ("Broadwell", "Broadwell-noTSX", "hle rtm"),
    ("Skylake-Client-noTSX-IBRS", "Broadwell-noTSX", "xsavec xgetbv1 arat"),
    (
        "Skylake-Server-noTSX-IBRS",
        "Skylake-Client-noTSX-IBRS",
        "avx512f avx512dq avx512cd avx512bw avx512vl clwb pdpe1gb",
    ),
    ("Cascadelake-Server-noTSX", "Skylake-Server-noTSX-IBRS", "avx512_vnni"),
    (
        "Icelake-Server-noTSX",
        "Cascadelake-Server-noTSX",
        "gfni vaes vpclmulqdq avx512_bitalg avx512_vpopcntdq",
    ),
    ("Opteron_G3", "kvm64", "lahf_lm popcnt abm sse4a misalignsse"),
    (
        "EPYC",
        "Nehalem",
        "aes pclmulqdq avx xsave f16c rdrand fsgsbase smep avx2 bmi1 bmi2 fma movbe abm adx rdseed smap sse4a misalignsse sha_ni clflushopt",
    ),
];

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    routes! { incoming;
        ConnectGetCpuModelNames => names,
        ConnectCompareCpu => async |_client, call: ConnectCompareCpu| {
            only(call.flags, FAIL_INCOMPATIBLE | VALIDATE, "virConnectCompareCPU")?;
            Ok(ConnectCompareCpuAnswer { result: compared(&call.xml, call.flags)? })
        },
        ConnectCompareHypervisorCpu => async |_client, call: ConnectCompareHypervisorCpu| {
            only(call.flags, FAIL_INCOMPATIBLE | VALIDATE, "virConnectCompareHypervisorCPU")?;
            require_arch(call.arch.as_deref())?;
            Ok(ConnectCompareHypervisorCpuAnswer { result: compared(&call.xml_cpu, call.flags)? })
        },
        ConnectBaselineCpu => async |_client, call: ConnectBaselineCpu| {
            only(call.flags, EXPAND | MIGRATABLE, "virConnectBaselineCPU")?;
            Ok(ConnectBaselineCpuAnswer { cpu: baseline(&call.xml_cpus.0, &host())? })
        },
        ConnectBaselineHypervisorCpu => async |_client, call: ConnectBaselineHypervisorCpu| {
            only(call.flags, EXPAND | MIGRATABLE, "virConnectBaselineHypervisorCPU")?;
            require_arch(call.arch.as_deref())?;
            Ok(ConnectBaselineHypervisorCpuAnswer { cpu: baseline(&call.xml_cpus.0, &host())? })
        },
    }
}

fn require_arch(arch: Option<&str>) -> Result<(), RpcError> {
    match arch {
        None | Some(ARCH) => Ok(()),
        Some(other) => {
            let detail = format!("unable to find any emulator to serve '{other}' architecture");
            Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_QEMU, detail))
        }
    }
}

async fn names(
    _: Arc<Client>,
    call: ConnectGetCpuModelNames,
) -> Result<ConnectGetCpuModelNamesAnswer, RpcError> {
    only(call.flags, 0, "virConnectGetCPUModelNames")?;
    if !matches!(call.arch.as_str(), ARCH | "i686") {
        let detail = format!("cannot find architecture {}", call.arch);
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_CPU, detail));
    }
    let names: Vec<_> = MODELS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let ret = count(names.len());
    Ok(ConnectGetCpuModelNamesAnswer {
        models: List(if call.need_results == 0 { Vec::new() } else { names }),
        ret,
    })
}

/// What the processors of this host have, as the kernel calls it.
fn host() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
    line.map(|(_, flags)| flags.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

/// The models that these features are enough for, the greatest first.
pub(super) fn usable(features: &[String]) -> Vec<&'static str> {
    let has =
        |model: &&Model| all_of(model.0).iter().all(|feature| features.iter().any(|own| own == feature));
    MODELS.iter().rev().filter(has).map(|(name, ..)| *name).collect()
}

/// What the kernel calls the processors of this host.
pub(super) fn usable_here() -> Vec<&'static str> {
    usable(&host())
}

/// Everything that a model has.
fn all_of(name: &str) -> Vec<&'static str> {
    let Some((_, below, own)) = MODELS.iter().find(|(known, ..)| *known == name) else { return Vec::new() };
    let mut all = all_of(below);
    all.extend(own.split_whitespace());
    all
}

fn xml_error(detail: impl AsRef<str>) -> RpcError {
    RpcError::new(codes::ERR_XML_ERROR, codes::FROM_CPU, detail)
}

/// A processor that a document describes.
#[derive(Debug, Default)]
struct Described {
    arch: Option<String>,
    model: Option<String>,
    /// What it has to have, as the kernel calls it.
    required: Vec<String>,
    /// What it must not have.
    forbidden: Vec<String>,
    /// Whether it is whatever a host has.
    is_the_hosts: bool,
}

impl Described {
    /// The `<cpu>` of a document: its root, or that of the host in capabilities.
    fn read(xml: &str) -> Result<Self, RpcError> {
        let document = Document::parse(xml).map_err(|error| xml_error(error.to_string()))?;
        let cpu = find_cpu(&document, document.root(), 3);
        let cpu = cpu.ok_or_else(|| xml_error("cannot find any <cpu> element"))?;
        let text = |name: &str| document.child(cpu, name).map(|node| document.text(node).trim().to_owned());
        let mode = document.attribute(cpu, "mode").unwrap_or_default();
        let mut described = Self {
            arch: text("arch"),
            model: text("model").filter(|name| !name.is_empty()),
            is_the_hosts: matches!(mode, "host-passthrough" | "host-model" | "maximum"),
            ..Self::default()
        };
        for feature in document.elements(cpu).filter(|node| document.name(*node) == "feature") {
            let Some(name) = document.attribute(feature, "name") else { continue };
            let name = name.replace(['.', '-'], "_");
            match document.attribute(feature, "policy").unwrap_or("require") {
                "require" | "force" => described.required.push(name),
                "forbid" => described.forbidden.push(name),
                _ => {}
            }
        }
        Ok(described)
    }

    /// Everything that it has.
    fn features(&self) -> Result<Vec<String>, RpcError> {
        let model = self.model.as_deref().unwrap_or_default();
        let known = all_of(model);
        if known.is_empty() && !model.is_empty() {
            let detail = format!("Unknown CPU model {model}");
            return Err(RpcError::new(codes::ERR_INTERNAL_ERROR, codes::FROM_CPU, detail));
        }
        Ok(known.into_iter().map(str::to_owned).chain(self.required.iter().cloned()).collect())
    }
}

fn find_cpu(document: &Document, node: NodeId, depth: u32) -> Option<NodeId> {
    if document.name(node) == "cpu" {
        return Some(node);
    }
    let below = depth.checked_sub(1)?;
    document.elements(node).find_map(|child| find_cpu(document, child, below))
}

/// Whether this host has what a processor has: 0 no, 1 just that, 2 more.
fn compared(xml: &str, flags: u32) -> Result<i32, RpcError> {
    let described = Described::read(xml)?;
    let result = compare(&described, &host())?;
    if result == 0 && flags & FAIL_INCOMPATIBLE != 0 {
        let detail = "the processors of this host lack what is asked for";
        return Err(RpcError::new(codes::ERR_CPU_INCOMPATIBLE, codes::FROM_CPU, detail));
    }
    Ok(result)
}

fn compare(described: &Described, host: &[String]) -> Result<i32, RpcError> {
    const INCOMPATIBLE: i32 = 0;
    const IDENTICAL: i32 = 1;
    const SUPERSET: i32 = 2;
    if described.arch.as_deref().is_some_and(|arch| arch != ARCH) {
        return Ok(INCOMPATIBLE);
    }
    let features = described.features()?;
    let has = |feature: &String| host.iter().any(|own| own == feature);
    if !features.iter().all(has) || described.forbidden.iter().any(has) {
        return Ok(INCOMPATIBLE);
    }
    let all = features.is_empty() || host.iter().all(|own| features.contains(own));
    Ok(if described.is_the_hosts || all { IDENTICAL } else { SUPERSET })
}

/// The greatest model that all of these can be.
fn baseline(documents: &[String], host: &[String]) -> Result<String, RpcError> {
    if documents.is_empty() {
        let detail = "no CPUs given";
        return Err(RpcError::new(codes::ERR_INVALID_ARG, codes::FROM_CPU, detail));
    }
    let mut common: Option<Vec<String>> = None;
    for xml in documents {
        let described = Described::read(xml)?;
        match described.arch.as_deref() {
            None if described.model.is_none() => return Err(xml_error("Missing CPU architecture")),
            Some(arch) if arch != ARCH => {
                let detail = format!("CPUs of '{arch}' and '{ARCH}' have nothing in common");
                return Err(RpcError::new(codes::ERR_CPU_INCOMPATIBLE, codes::FROM_CPU, detail));
            }
            _ => {}
        }
        let own = match described.model {
            Some(_) => described.features()?,
            // What is not said is what this host has.
            None => host.to_vec(),
        };
        common = Some(match common {
            Some(common) => common.into_iter().filter(|feature| own.contains(feature)).collect(),
            None => own,
        });
    }
    let model = usable(&common.unwrap_or_default()).first().copied().ok_or_else(|| {
        RpcError::new(codes::ERR_CPU_INCOMPATIBLE, codes::FROM_CPU, "CPUs are incompatible")
    })?;
    Ok(format!("<cpu mode='custom' match='exact'>\n  <model fallback='forbid'>{model}</model>\n</cpu>\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(model: &str) -> Vec<String> {
        all_of(model).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn model_has_what_it_grew_from() {
        assert!(features("Haswell").iter().any(|feature| feature == "sse4_1"));
        assert_eq!(usable(&features("Westmere")).first(), Some(&"Westmere"));
        assert!(MODELS.iter().all(|(_, below, _)| below.is_empty() || !all_of(below).is_empty()));
    }

    #[test]
    fn host_is_compared_with_what_a_document_describes() {
        let host = features("Haswell");
        let compare = |xml: &str| compare(&Described::read(xml).unwrap(), &host).map_err(|error| error.code);
        assert_eq!(compare("<cpu><arch>x86_64</arch><model>Nehalem</model></cpu>"), Ok(2));
        assert_eq!(compare("<cpu><model>Haswell</model></cpu>"), Ok(1));
        assert_eq!(compare("<cpu mode='host-passthrough'/>"), Ok(1));
        assert_eq!(
            compare("<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>"),
            Ok(1)
        );
        assert_eq!(compare("<cpu><model>EPYC</model></cpu>"), Ok(0));
        assert_eq!(compare("<cpu><arch>aarch64</arch></cpu>"), Ok(0));
        assert_eq!(compare("<cpu><model>Haswell</model><feature policy='forbid' name='avx2'/></cpu>"), Ok(0));
        assert_eq!(compare("<cpu><model>none</model></cpu>"), Err(codes::ERR_INTERNAL_ERROR));
        assert_eq!(Described::read("<a/>").unwrap_err().code, codes::ERR_XML_ERROR);
    }

    #[test]
    fn common_model_is_one_that_all_can_be() {
        let cpu = |model: &str| format!("<cpu><arch>x86_64</arch><model>{model}</model></cpu>");
        let common = baseline(&[cpu("Haswell"), cpu("EPYC")], &[]).unwrap();
        assert!(
            common.contains(">Nehalem<") || common.contains(">Westmere<") || common.contains(">IvyBridge<"),
            "{common}"
        );
        assert_eq!(baseline(&["<cpu/>".to_owned()], &[]).unwrap_err().code, codes::ERR_XML_ERROR);
        assert_eq!(baseline(&[], &[]).unwrap_err().code, codes::ERR_INVALID_ARG);
    }
}
