//! `doctor`: what this host can and cannot do, each finding with its remedy.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hostler_launch::cage::probe::{probe, probe_closure};
use hostler_launch::control_group::Layout;
use hostler_launch::{CageReport, CageSetting, Template, Wall, WallFailure, accelerator};

use crate::error::{Error, Kind, command};
use crate::host::Host;
use crate::process::blocking;
use crate::summary::{Finding, RunState, Status};

impl Host {
    /// Looks at everything that a start depends on. Changes nothing.
    pub async fn doctor(&self) -> Vec<Finding> {
        let mut findings = vec![kvm(), self.shim()];
        findings.extend(self.programs());
        findings.extend(self.driver_findings().await);
        findings.push(firmware(&self.config.firmware));
        findings.push(image_tool());
        findings.extend(self.state_findings().await);
        findings.extend(self.tenant_findings());
        findings.extend(self.cage().await);
        findings.push(control_groups());
        findings
    }

    fn shim(&self) -> Finding {
        let path = &self.config.shim;
        let runs = std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
        let found = Finding {
            id: "shim".to_owned(),
            title: "shim that keeps guests running".to_owned(),
            status: Status::Good,
            detail: path.display().to_string(),
            remedy: None,
        };
        if runs {
            return found;
        }
        let remedy = "install hostler-shim beside hostler, or set HOSTLER_SHIM to it";
        Finding { status: Status::Missing, detail: format!("{} is no program", path.display()), ..found }
            .remedy(remedy)
    }

    /// The program of each launch template.
    fn programs(&self) -> Vec<Finding> {
        let templates = match self.templates() {
            Ok(templates) => templates,
            Err(error) => return vec![broken("templates", "launch templates", &error)],
        };
        templates
            .iter()
            .map(|template| {
                let found = Finding {
                    id: format!("program.{}", template.name()),
                    title: format!("program {}", template.name()),
                    status: Status::Good,
                    detail: String::new(),
                    remedy: None,
                };
                match template.program() {
                    Ok(path) => Finding { detail: path.display().to_string(), ..found },
                    Err(error) => Finding {
                        status: Status::Missing,
                        detail: error.to_string(),
                        remedy: error.hints.first().cloned(),
                        ..found
                    },
                }
            })
            .collect()
    }

    async fn driver_findings(&self) -> Vec<Finding> {
        let (drivers, failures) = match self.drivers().await {
            Ok(found) => found,
            Err(error) => return vec![broken("drivers", "drivers", &error)],
        };
        let mut findings: Vec<_> =
            failures.iter().map(|error| broken("driver", "driver component", error)).collect();
        if drivers.is_empty() {
            let places: Vec<_> =
                self.config.driver_dirs.iter().map(|path| path.display().to_string()).collect();
            findings.push(
                Finding {
                    id: "drivers".to_owned(),
                    title: "drivers".to_owned(),
                    status: Status::Missing,
                    detail: format!("none in {}", places.join(", ")),
                    remedy: None,
                }
                .remedy("name their directory with --driver-dir or HOSTLER_DRIVER_DIR"),
            );
        }
        findings.extend(drivers.into_iter().filter(|driver| !driver.hidden).map(|driver| {
            let limited = !driver.denied.is_empty();
            Finding {
                id: format!("driver.{}", driver.name),
                title: format!("driver {} {}", driver.name, driver.version),
                status: if limited { Status::Limited } else { Status::Good },
                detail: if limited {
                    driver.denied.join("; ")
                } else {
                    format!("takes {}", driver.domain_types.join(", "))
                },
                remedy: limited.then(|| {
                    "grant it in the policy file (--policy), or with 'hostler driver grant'".to_owned()
                }),
            }
        }));
        findings
    }

    /// Each wall of the cage, tried; then what each template wants in it.
    async fn cage(&self) -> Vec<Finding> {
        let setting = self.config.cage;
        if setting == CageSetting::Off {
            return vec![
                Finding {
                    id: "cage".to_owned(),
                    title: "cage around hypervisors".to_owned(),
                    status: Status::Limited,
                    detail: "switched off: a hypervisor has all the rights of the user who starts it"
                        .to_owned(),
                    remedy: None,
                }
                .remedy("leave out --cage=off and HOSTLER_CAGE"),
            ];
        }
        let shim = self.config.shim.clone();
        let mut findings = match blocking(move || probe(&shim, setting)).await {
            Ok(probed) => walls(setting, &probed),
            Err(error) => vec![broken("cage", "cage around hypervisors", &error)],
        };
        if let Ok(templates) = self.templates() {
            findings.extend(templates.iter().map(closure));
        }
        findings
    }

    async fn state_findings(&self) -> Vec<Finding> {
        let root = self.state().root().display().to_string();
        let set_aside = match self.state().set_aside() {
            Ok(files) => files,
            Err(error) => return vec![broken("state", "state directory", &error.into())],
        };
        let mut findings = vec![Finding {
            id: "state".to_owned(),
            title: "state directory".to_owned(),
            status: if set_aside.is_empty() { Status::Good } else { Status::Limited },
            detail: match set_aside.len() {
                0 => root,
                count => format!("{root}: {count} damaged records were set aside"),
            },
            remedy: (!set_aside.is_empty()).then(|| {
                "look into the files under corrupt/, define those domains again, then remove the files"
                    .to_owned()
            }),
        }];
        match self.list().await {
            Err(error) => findings.push(broken("domains", "domains", &error)),
            Ok(domains) => {
                findings.extend(
                    domains.into_iter().filter(|domain| domain.state == RunState::Quarantined).map(
                        |domain| Finding {
                            id: format!("domain.{}", domain.name),
                            title: format!("domain {}", domain.name),
                            status: Status::Missing,
                            detail: domain.reason.unwrap_or_default(),
                            remedy: Some(format!(
                                "end what is left of it: {}",
                                command("destroy", &domain.name)
                            )),
                        },
                    ),
                );
            }
        }
        findings
    }
}

impl Finding {
    fn remedy(mut self, text: &str) -> Self {
        self.remedy = Some(text.to_owned());
        self
    }
}

fn broken(id: &str, title: &str, error: &Error) -> Finding {
    Finding {
        id: id.to_owned(),
        title: title.to_owned(),
        status: Status::Missing,
        detail: error.to_string(),
        remedy: error.hints.first().map(|hint| hint.text.clone()),
    }
}

fn kvm() -> Finding {
    let probe = accelerator::probe_kvm();
    let found = Finding {
        id: "accelerator.kvm".to_owned(),
        title: "hardware acceleration (KVM)".to_owned(),
        status: Status::Good,
        detail: probe.reason,
        remedy: None,
    };
    if probe.usable {
        return found;
    }
    // Guests run all the same: slower, by translation.
    Finding { status: Status::Limited, ..found }
        .remedy("use <domain type='qemu'>, which translates; or a machine whose processor shows vmx or svm")
}

/// Whether all that a template declares for its cage is here.
fn closure(template: &Template) -> Finding {
    let found = Finding {
        id: format!("cage.closure.{}", template.name()),
        title: format!("cage: files of {}", template.name()),
        status: Status::Good,
        detail: String::new(),
        remedy: None,
    };
    match probe_closure(template) {
        Ok(count) => Finding { detail: format!("{count} files, directories and links"), ..found },
        Err(error) => Finding {
            status: Status::Missing,
            detail: error.to_string(),
            remedy: error.hints.first().cloned(),
            ..found
        },
    }
}

fn firmware(search: &hostler_firmware::SearchPath) -> Finding {
    let found = Finding {
        id: "firmware.uefi".to_owned(),
        title: "UEFI firmware".to_owned(),
        status: Status::Good,
        detail: String::new(),
        remedy: None,
    };
    let installed = search.load();
    if installed.found.is_empty() {
        return Finding {
            status: Status::Limited,
            detail: "no firmware descriptor is installed".to_owned(),
            ..found
        }
        .remedy("for UEFI guests: apt-get install ovmf");
    }
    let mut detail = format!("{} descriptors", installed.found.len());
    for failure in &installed.errors {
        detail.push_str(&format!("; {failure}"));
    }
    Finding {
        status: if installed.errors.is_empty() { Status::Good } else { Status::Limited },
        detail,
        ..found
    }
}

fn image_tool() -> Finding {
    let path = Path::new("/usr/bin/qemu-img");
    let there = path.is_file();
    Finding {
        id: "program.qemu-img".to_owned(),
        title: "image tool qemu-img".to_owned(),
        status: if there { Status::Good } else { Status::Limited },
        detail: if there {
            path.display().to_string()
        } else {
            "not installed; needed to make images, not to run them".to_owned()
        },
        remedy: (!there).then(|| "apt-get install qemu-utils".to_owned()),
    }
}

/// One finding for each wall, from building them: those before the one that does not stand do.
fn walls(setting: CageSetting, probed: &Result<CageReport, WallFailure>) -> Vec<Finding> {
    let broken = probed.as_ref().err();
    let last = broken.and_then(|failure| Wall::ALL.iter().position(|wall| *wall == failure.wall));
    let mut findings = Vec::new();
    for (index, wall) in Wall::ALL.into_iter().enumerate() {
        let found = Finding {
            id: format!("cage.{}", wall.word()),
            title: format!("cage: {}", wall.meaning()),
            status: Status::Good,
            detail: "stands".to_owned(),
            remedy: None,
        };
        findings.push(match (broken, last) {
            // It broke before it came to any wall.
            (Some(failure), None) => missing_wall(found, failure),
            (Some(failure), Some(last)) if index == last => missing_wall(found, failure),
            (Some(_), Some(last)) if index > last => Finding {
                status: Status::Limited,
                detail: "not tried: one before it does not stand".to_owned(),
                ..found
            },
            _ if wall == Wall::Landlock && setting == CageSetting::WithoutLandlock => Finding {
                status: Status::Limited,
                detail: "left out, as the operator said".to_owned(),
                ..found
            }
            .remedy("leave out --cage and HOSTLER_CAGE"),
            _ => Finding { detail: stands(wall, probed), ..found },
        });
    }
    findings
}

fn missing_wall(found: Finding, failure: &WallFailure) -> Finding {
    Finding {
        status: Status::Missing,
        detail: failure.to_string(),
        remedy: failure
            .hint
            .clone()
            .or_else(|| Some("no guest starts without it, unless with --cage=off".to_owned())),
        ..found
    }
}

fn stands(wall: Wall, probed: &Result<CageReport, WallFailure>) -> String {
    match (wall, probed) {
        (Wall::Landlock, Ok(report)) => format!("stands, version {}", report.landlock_abi),
        (Wall::Identity, Ok(report)) => format!("stands, as user {}", report.uid),
        _ => "stands".to_owned(),
    }
}

/// Whether guests can be held to limits of processors, memory and block devices.
fn control_groups() -> Finding {
    let layout = match Layout::of_this_host() {
        Ok(layout) => layout,
        Err(error) => {
            let error =
                Error::new(Kind::Host, "limit.io", "control groups cannot be looked for").caused_by(error);
            return broken("limits", "limits of guests", &error);
        }
    };
    let described = layout.describe();
    let closed = layout.closed().map(|top| top.display().to_string());
    let (status, detail) = match closed {
        _ if described.is_empty() => (Status::Limited, "no controller is mounted".to_owned()),
        Some(top) => (Status::Limited, format!("this user makes no groups in {top}")),
        None => (Status::Good, described),
    };
    let found = Finding {
        id: "limits".to_owned(),
        title: "limits of guests (control groups)".to_owned(),
        status,
        detail,
        remedy: None,
    };
    match status {
        Status::Good => found,
        _ => found.remedy(
            "run as root, with control groups mounted; else leave <cputune>, <memtune>, <blkiotune> out",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CageReport {
        CageReport { uid: 900_001, landlock_abi: 6, host_network: false }
    }

    #[test]
    fn walls_before_the_broken_one_stand_and_those_behind_were_not_tried() {
        let failure = WallFailure { wall: Wall::Limits, message: "no".into(), hint: Some("do this".into()) };
        let findings = walls(CageSetting::Require, &Err(failure));
        let states: Vec<_> = findings.iter().map(|finding| finding.status).collect();
        let (good, bad, untried) = (Status::Good, Status::Missing, Status::Limited);
        assert_eq!(states, [good, good, bad, untried, untried, untried]);
        assert_eq!(findings[2].remedy.as_deref(), Some("do this"));
        assert!(walls(CageSetting::Require, &Ok(report())).iter().all(|finding| finding.status == good));
    }

    #[test]
    fn stage_that_cannot_run_breaks_every_wall_and_a_left_out_one_is_said() {
        let failure = WallFailure { wall: Wall::Program, message: "gone".into(), hint: None };
        let findings = walls(CageSetting::Require, &Err(failure));
        assert!(findings.iter().all(|finding| finding.status == Status::Missing && finding.remedy.is_some()));
        let left_out = walls(CageSetting::WithoutLandlock, &Ok(report()));
        assert_eq!(left_out.iter().filter(|finding| finding.status == Status::Limited).count(), 1);
    }
}
