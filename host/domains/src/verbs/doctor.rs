//! `doctor`: what this host can and cannot do, each finding with its remedy.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hostler_launch::accelerator;

use crate::error::{Error, command};
use crate::host::Host;
use crate::summary::{Finding, RunState, Status};

impl Host {
    /// Looks at everything that a start depends on. Changes nothing.
    pub async fn doctor(&self) -> Vec<Finding> {
        let mut findings = vec![kvm(), self.shim()];
        findings.extend(self.programs());
        findings.extend(self.driver_findings().await);
        findings.push(firmware());
        findings.push(image_tool());
        findings.extend(self.state_findings().await);
        findings.extend(self.tenant_findings());
        findings.push(cage());
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
        findings.extend(drivers.into_iter().map(|driver| {
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
                remedy: limited.then(|| "grant it in the policy file, see --policy".to_owned()),
            }
        }));
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

fn firmware() -> Finding {
    let found = Finding {
        id: "firmware.uefi".to_owned(),
        title: "UEFI firmware".to_owned(),
        status: Status::Good,
        detail: String::new(),
        remedy: None,
    };
    let installed = hostler_firmware::SearchPath::system().load();
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

/// Said openly on every host: what this version does not hold yet.
fn cage() -> Finding {
    Finding {
        id: "cage".to_owned(),
        title: "namespace cage around hypervisors".to_owned(),
        status: Status::Limited,
        detail: "not in this version: a hypervisor runs as this user, with QEMU's own sandbox on and no new privileges"
            .to_owned(),
        remedy: Some("do not run guests that you do not trust as root; see SECURITY.md".to_owned()),
    }
}
