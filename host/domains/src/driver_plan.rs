//! What installing a driver would do, said before anything is done: what it is, what it asks for, what is against it.

use std::path::PathBuf;

use hostler_domain::Domain;
use hostler_grant::{Denied, Denier, Manifest, compare_versions, grants, refusals};
use hostler_package::{Judgement, Package};
use hostler_state::{Definition, DriverRecord};
use serde::Serialize;

use crate::driver_interfaces::{self, InterfaceStanding};
use crate::driver_summary::{DriverOrigin, GrantStanding, PlanProblem, Replaced};
use crate::drivers::Candidate;
use crate::error::{Error, Kind};
use crate::host::Host;

/// What the operator says to an installation beforehand.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Chooses one of several drivers in an OCI layout.
    pub tag: Option<String>,
    /// The name that the driver has to have: an upgrade is of one driver.
    pub name: Option<String>,
    /// Whether an older version than the one that is used may take its place.
    pub older: bool,
    /// Whether it is given the domain types that another driver takes.
    pub take_types: bool,
}

/// A driver as it was read, and what installing it would come to.
#[derive(Clone, Debug, Serialize)]
pub struct DriverPlan {
    /// Its name; none when its manifest cannot be read.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The contract it needs.
    pub contract: Option<String>,
    /// The contract that this host offers.
    pub contract_offered: String,
    /// The component's digest: `sha256:…`.
    pub digest: String,
    /// The component's size in bytes.
    pub size: u64,
    /// What it was read from.
    pub path: PathBuf,
    /// How: `file`, `folder`, `oci-layout` or `registry`.
    pub form: String,
    /// How many signatures came along.
    pub signatures: usize,
    /// Who signed it, by the policy's name; none when the policy names nobody.
    pub signer: Option<String>,
    /// The values of `domain/@type` that it takes.
    pub domain_types: Vec<String>,
    /// The URI schemes that it serves.
    pub uri_schemes: Vec<String>,
    /// The optional interfaces that it exports.
    pub abilities: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it asks for, and whether it is given.
    pub grants: Vec<GrantStanding>,
    /// What each of its imports comes to here.
    pub import_standings: Vec<InterfaceStanding>,
    /// What each of its exports comes to here.
    pub export_standings: Vec<InterfaceStanding>,
    /// The grants that consent would give it.
    pub asks_for: Vec<String>,
    /// What the operator has to consent to, each in a sentence; empty when nothing.
    pub consent: Vec<String>,
    /// What it takes the place of.
    pub replaces: Option<Replaced>,
    /// Whether it is installed and used already, just as it is.
    pub installed: bool,
    /// Everything for which it would be refused.
    pub problems: Vec<PlanProblem>,
    /// What is odd and no reason to refuse it.
    pub remarks: Vec<String>,
    #[serde(skip)]
    pub(crate) package: Package,
    #[serde(skip)]
    pub(crate) options: PlanOptions,
}

impl Host {
    /// Reads a driver and says everything about it that can be said, and everything for which it would be refused.
    /// Nothing is installed. It is compiled only when nothing else is against it.
    ///
    /// # Errors
    /// What keeps it from being read at all.
    pub async fn driver_plan(
        &self,
        path: &std::path::Path,
        options: PlanOptions,
    ) -> Result<DriverPlan, Error> {
        let named = hostler_package::is_in_registry(path).then(|| path.to_owned());
        let path = named.or_else(|| std::path::absolute(path).ok()).unwrap_or_else(|| path.to_owned());
        let package = Package::open_or_fetch(&path, options.tag.as_deref()).await?;
        self.plan(package, options)
    }

    /// The same for a driver that has been read.
    pub(crate) fn plan(&self, package: Package, options: PlanOptions) -> Result<DriverPlan, Error> {
        let judged = package.judge();
        let mut plan = blank(&package, &options, &judged);
        plan.problems.extend(judged.problems.into_iter().map(|problem| problem_of(&Error::from(problem))));
        if let Some(manifest) = &judged.manifest {
            self.judge_name(&mut plan, manifest)?;
            if let Ok(record) = self.state().driver(&manifest.name) {
                self.judge_grants(&mut plan, manifest, record.as_ref());
            }
            self.judge_types(&mut plan, manifest)?;
            if let Err(error) = self.check_domains(manifest) {
                plan.problems.push(problem_of(&error));
            }
            if plan.problems.is_empty() {
                self.compile(&mut plan, manifest)?;
            }
        }
        plan.import_standings = driver_interfaces::imports(&plan.imports, &plan.grants);
        Ok(plan)
    }

    /// Who has the name already, and whether this is a step back.
    fn judge_name(&self, plan: &mut DriverPlan, manifest: &Manifest) -> Result<(), Error> {
        if let Some(wanted) = plan.options.name.clone().filter(|wanted| *wanted != manifest.name) {
            let message =
                format!("'{}' holds the driver '{}', not '{wanted}'", plan.path.display(), manifest.name);
            let hint = format!("name the driver that it is: hostler driver upgrade {} FILE", manifest.name);
            plan.refuse("driver.name-mismatch", message, hint);
        }
        let used = match self.drivers.candidate(&manifest.name) {
            Ok(used) => used,
            Err(error) if error.kind == Kind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(replaced) = replaced(&used) else { return Ok(()) };
        plan.installed = used.digest.as_ref() == Some(&plan.digest);
        if plan.installed {
            return Ok(());
        }
        if used.digest.is_some() {
            plan.judge_order(manifest, &replaced);
        } else if replaced.digest != plan.digest {
            plan.consent.push(format!(
                "it takes the place of the driver '{}' {} in '{}', and everything that the policy gives to that name",
                manifest.name,
                replaced.version,
                replaced.path.display()
            ));
        }
        plan.replaces = Some(replaced);
        Ok(())
    }

    fn judge_grants(&self, plan: &mut DriverPlan, manifest: &Manifest, record: Option<&DriverRecord>) {
        let policy = self.drivers.policy_with(record);
        let signatures = match plan.package.signatures() {
            Ok(signatures) => signatures,
            Err(error) if policy.signers.is_empty() => {
                plan.remarks.push(format!("its signatures are of no use: {error}"));
                hostler_grant::Signatures::default()
            }
            Err(error) => return plan.problems.push(problem_of(&error.into())),
        };
        plan.signatures = signatures.iter().count();
        for refusal in refusals(manifest, &plan.digest, &signatures, &policy) {
            plan.problems.push(problem_of(&refusal.into()));
        }
        let tenant = self.drivers.tenant();
        if let Ok(granted) = hostler_grant::grant(manifest, &plan.digest, &signatures, &policy, tenant) {
            plan.signer = granted.signer;
        }
        let decided = grants(manifest, &policy, tenant);
        plan.grants = standings(manifest, &decided.denied, record, &tenant.name);
        for denied in decided.denied.iter().filter(|denied| denied.by == Denier::Policy) {
            plan.asks_for.push(denied.grant.to_string());
            plan.consent.push(format!("it asks for '{}', which the policy does not give it", denied.grant));
        }
    }

    /// A domain type belongs to one driver: who had it first keeps it, until the operator gives it to another.
    fn judge_types(&self, plan: &mut DriverPlan, manifest: &Manifest) -> Result<(), Error> {
        let already = self.state().driver(&manifest.name).ok().flatten().map(|record| record.takes);
        let already = already.unwrap_or_default();
        for other in
            self.drivers.candidates()?.iter().filter(|other| !other.hidden && other.name != manifest.name)
        {
            let Ok(taken) = self.drivers.domain_types(other) else { continue };
            for kind in
                manifest.domain_types.iter().filter(|kind| taken.contains(kind) && !already.contains(kind))
            {
                if plan.options.take_types {
                    plan.consent.push(format!(
                        "it is given the domain type '{kind}', which driver '{}' takes",
                        other.name
                    ));
                    continue;
                }
                let message = format!("the domain type '{kind}' is taken by driver '{}'", other.name);
                let hint = "domains that are defined keep their driver; to let new ones of this type have this one, \
                            add --take-types";
                plan.refuse("driver.type-taken", message, hint.to_owned());
            }
        }
        Ok(())
    }

    /// Refuses a build that no longer takes what domains of its driver are.
    ///
    /// # Errors
    /// [`Kind::Conflict`] naming the domains.
    pub(crate) fn check_domains(&self, manifest: &Manifest) -> Result<(), Error> {
        let is_left = |definition: &Definition| {
            let kind = Domain::parse(&definition.xml).ok().map(|domain| domain.kind.as_str().to_owned());
            // One that cannot be read keeps nobody from mending its driver.
            definition.driver == manifest.name
                && kind.is_some_and(|kind| !manifest.domain_types.contains(&kind))
        };
        let left: Vec<_> = self.definitions()?.into_iter().filter(is_left).map(|left| left.name).collect();
        if left.is_empty() {
            return Ok(());
        }
        let (name, version) = (&manifest.name, &manifest.version);
        let message =
            format!("driver '{name}' {version} does not take the type of these domains: {}", left.join(", "));
        Err(Error::new(Kind::Conflict, "driver.type-needed", message)
            .about("driver", name)
            .hint("undefine them first, or keep the version that takes them"))
    }

    /// Compiles and links it, with no more than it has now: what is broken inside is found before it is installed.
    fn compile(&self, plan: &mut DriverPlan, manifest: &Manifest) -> Result<(), Error> {
        let record = self.state().driver(&manifest.name)?;
        let policy = self.drivers.policy_with(record.as_ref());
        let loaded = self.drivers.runtime()?.load_package(&plan.package, &policy, self.drivers.tenant());
        if let Err(error) = loaded {
            plan.problems.push(problem_of(&error.into()));
        }
        Ok(())
    }
}

impl DriverPlan {
    fn refuse(&mut self, code: &str, message: String, hint: String) {
        self.problems.push(PlanProblem { code: code.to_owned(), message, hints: vec![hint] });
    }

    fn judge_order(&mut self, manifest: &Manifest, used: &Replaced) {
        if compare_versions(&manifest.version, &used.version).is_ge() {
            if manifest.version == used.version {
                self.remarks
                    .push(format!("it is another build of the version {} that is used", used.version));
            }
            return;
        }
        let message = format!("version {} is older than {}, which is used", manifest.version, used.version);
        if self.options.older {
            self.consent.push(message);
        } else {
            let hint = format!(
                "to go back to a build that is kept: hostler driver rollback {}; to install an older one: --allow-older",
                manifest.name
            );
            self.refuse("driver.older", message, hint);
        }
    }

    /// The refusal of the whole, when anything is against it.
    ///
    /// # Errors
    /// The first problem, with the others as hints.
    pub fn accepted(&self) -> Result<(), Error> {
        let Some((first, others)) = self.problems.split_first() else { return Ok(()) };
        let mut error = Error::new(Kind::Denied, first.code.clone(), first.message.clone());
        error = first.hints.iter().fold(error, Error::hint);
        for other in others {
            error = error.hint(format!("also: {}", other.message));
        }
        Err(error.about("path", self.path.display().to_string()))
    }
}

/// What would be used no longer.
fn replaced(used: &Candidate) -> Option<Replaced> {
    if let Some(version) = used.record.as_ref().and_then(DriverRecord::active_version) {
        return Some(Replaced {
            version: version.version.clone(),
            digest: version.digest.clone(),
            origin: DriverOrigin::Installed,
            path: used.path.clone(),
        });
    }
    // One that cannot be read is used by nobody.
    let package = used.package().ok()?;
    let version = package.judge().manifest?.version;
    let (digest, path) = (package.digest, used.path.clone());
    Some(Replaced { version, digest, origin: DriverOrigin::Directory, path })
}

/// How each grant stands that a manifest asks for.
pub(crate) fn standings(
    manifest: &Manifest,
    denied: &[Denied],
    record: Option<&DriverRecord>,
    tenant: &str,
) -> Vec<GrantStanding> {
    let standing = |grant: &hostler_grant::Grant| {
        let written = grant.to_string();
        let by_operator = record.is_some_and(|record| record.allow.contains(&written));
        match denied.iter().find(|denied| denied.grant == *grant) {
            Some(denied) => GrantStanding {
                grant: written,
                given: false,
                by: match denied.by {
                    Denier::Tenant => format!("tenant {tenant}"),
                    Denier::Operator => "operator".to_owned(),
                    Denier::Policy => "policy".to_owned(),
                },
                reason: Some(denied.reason.clone()),
                remedy: Some(denied.remedy.clone()),
            },
            None => {
                let by = if grant.capability.is_basic() {
                    "every driver has it"
                } else if by_operator {
                    "operator"
                } else {
                    "policy"
                };
                GrantStanding { grant: written, given: true, by: by.to_owned(), reason: None, remedy: None }
            }
        }
    };
    manifest.grants.iter().map(standing).collect()
}

/// A problem as a plan has it.
pub(crate) fn problem_of(error: &Error) -> PlanProblem {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    PlanProblem {
        code: error.code().to_owned(),
        message: format!("{}{cause}", error.message),
        hints: error.hints.iter().map(|hint| hint.text.clone()).collect(),
    }
}

fn blank(package: &Package, options: &PlanOptions, judged: &Judgement) -> DriverPlan {
    let manifest = judged.manifest.as_ref();
    let list =
        |of: fn(&Manifest) -> &Vec<String>| manifest.map(|manifest| of(manifest).clone()).unwrap_or_default();
    DriverPlan {
        name: manifest.map(|manifest| manifest.name.clone()),
        version: manifest.map(|manifest| manifest.version.clone()),
        contract: manifest.map(|manifest| manifest.contract.clone()),
        contract_offered: hostler_grant::CONTRACT_VERSION.to_owned(),
        digest: package.digest.clone(),
        size: package.bytes.len() as u64,
        path: package.path.clone(),
        form: package.form.word().to_owned(),
        signatures: 0,
        signer: None,
        domain_types: list(|manifest| &manifest.domain_types),
        uri_schemes: list(|manifest| &manifest.uri_schemes),
        abilities: judged.abilities.clone(),
        imports: judged.imports.clone(),
        exports: judged.exports.clone(),
        grants: Vec::new(),
        import_standings: Vec::new(),
        export_standings: driver_interfaces::exports(&judged.exports),
        asks_for: Vec::new(),
        consent: Vec::new(),
        replaces: None,
        installed: false,
        problems: Vec::new(),
        remarks: judged.remarks.clone(),
        package: package.clone(),
        options: options.clone(),
    }
}
