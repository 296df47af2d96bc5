//! `doctor`: whether tenants share what they should not.

use std::path::{Path, PathBuf};

use hostler_state::{TenantRecord, is_private};

use super::tenant_create::shared_roots;
use crate::error::Error;
use crate::host::Host;
use crate::summary::{Finding, Status};

impl Host {
    /// What there is to say of tenants, by the operator only; nothing when there are none.
    pub(crate) fn tenant_findings(&self) -> Vec<Finding> {
        if self.tenant().is_some() {
            return Vec::new();
        }
        let tenants = match self.state().tenants() {
            Ok(tenants) => tenants,
            Err(error) => return vec![finding(Status::Missing, Error::from(error).to_string(), None)],
        };
        let left = self.state().tenant_dirs().unwrap_or_default();
        if tenants.is_empty() && left.is_empty() {
            return Vec::new();
        }
        let mut findings = self.shared(&tenants);
        findings.extend(self.open_directories(&tenants));
        findings.extend(left.iter().filter(|name| tenants.iter().all(|tenant| tenant.name != **name)).map(
            |name| {
                let detail = format!("the state directory of '{name}' has no record");
                finding(Status::Limited, detail, Some(format!("hostler tenant create {name} --adopt …")))
            },
        ));
        if findings.is_empty() {
            let detail = format!("{}, which share nothing", counted(tenants.len()));
            findings.push(finding(Status::Good, detail, None));
        }
        findings
    }

    fn shared(&self, tenants: &[TenantRecord]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, one) in tenants.iter().enumerate() {
            for other in tenants.iter().skip(index + 1) {
                findings.extend(shared_roots(one, other).map(|(root, theirs)| {
                    let detail = format!(
                        "'{}' of '{}' and '{}' of '{}' lie in one another: each reaches the other's files",
                        root.display(),
                        one.name,
                        theirs.display(),
                        other.name
                    );
                    let remedy =
                        format!("hostler tenant deny {} --storage-root {}", one.name, root.display());
                    finding(Status::Missing, detail, Some(remedy))
                }));
            }
            for root in &one.storage_roots {
                if let Some(own) = self.own_places().into_iter().find(|own| nested(own, root)) {
                    let detail = format!(
                        "'{}' of '{}' reaches hostler's own '{}'",
                        root.display(),
                        one.name,
                        own.display()
                    );
                    let remedy =
                        format!("hostler tenant deny {} --storage-root {}", one.name, root.display());
                    findings.push(finding(Status::Missing, detail, Some(remedy)));
                }
            }
        }
        findings
    }

    /// What hostler itself reads and writes, and no tenant has as a disk.
    pub(crate) fn own_places(&self) -> Vec<PathBuf> {
        let mut places = vec![self.state().root().to_owned(), self.config.cache_dir.clone()];
        places.extend(self.config.driver_dirs.iter().cloned());
        places.extend(self.config.template_dir.iter().cloned());
        places.extend(self.config.policy.iter().cloned());
        places.iter().map(|place| std::fs::canonicalize(place).unwrap_or_else(|_| place.clone())).collect()
    }

    fn open_directories(&self, tenants: &[TenantRecord]) -> Vec<Finding> {
        let root = self.state().root();
        let mut directories = vec![root.to_owned(), root.join("tenants"), root.join("tenant-records")];
        directories.extend(tenants.iter().filter_map(|tenant| self.state().tenant_dir(&tenant.name).ok()));
        directories
            .into_iter()
            .filter(|directory| !is_private(directory).unwrap_or(false))
            .map(|directory| {
                let detail = format!("others may look into '{}'", directory.display());
                let remedy =
                    format!("chmod 0700 {}", hostler_image::shell_quote(&directory.display().to_string()));
                finding(Status::Missing, detail, Some(remedy))
            })
            .collect()
    }
}

/// Whether one of two places lies in the other.
pub(crate) fn nested(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn counted(tenants: usize) -> String {
    if tenants == 1 { "1 tenant".to_owned() } else { format!("{tenants} tenants") }
}

fn finding(status: Status, detail: String, remedy: Option<String>) -> Finding {
    Finding {
        id: "tenants".to_owned(),
        title: "tenants apart from each other".to_owned(),
        status,
        detail,
        remedy,
    }
}
