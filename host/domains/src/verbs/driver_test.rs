//! `driver test`: runs the conformance suite against a driver, in a state directory of its own.

use std::path::Path;
use std::time::Duration;

use hostler_conformance::{Case, Component, Report, Settings, chosen};
use hostler_package::Kind as PackageKind;

use crate::config::Config;
use crate::conformance::{Bench, Loaded, Place, component};
use crate::driver_plan::{DriverPlan, PlanOptions};
use crate::error::{Error, Kind};
use crate::host::{Access, Host, stopped};

/// How a driver is tried.
#[derive(Clone, Debug, Default)]
pub struct DriverTestOptions {
    /// Chooses one of several drivers in an OCI layout.
    pub tag: Option<String>,
    /// The names of cases or groups; all cases when there are none.
    pub only: Vec<String>,
    /// A document of a domain that the driver can start on this machine.
    pub document: Option<String>,
    /// Whether the driver is given what it asks for beyond the policy, for the length of the test.
    pub consented: bool,
}

/// What came of a test.
#[derive(Clone, Debug)]
pub struct DriverTested {
    /// What the driver's file says of itself.
    pub component: Component,
    /// Its digest; nothing when it is too large to be read.
    pub digest: Option<String>,
    /// The cases.
    pub report: Report,
}

/// The cases with these names, or of these groups; all of them when none is named.
///
/// # Errors
/// [`Kind::NotFound`] naming the nearest.
pub fn conformance_cases(only: &[String]) -> Result<Vec<&'static Case>, Error> {
    chosen(only).map_err(|unknown| {
        let message = format!("no case and no group of cases is called '{}'", unknown.escape_debug());
        let error = Error::new(Kind::NotFound, "conformance.no-such-case", message);
        let near = hostler_domain::nearest(&unknown, hostler_conformance::cases().map(|case| case.name));
        let error = near.iter().fold(error, |error, near| error.hint(format!("did you mean '{near}'?")));
        error.hint_command("see which there are", "hostler driver test --list")
    })
}

/// Runs the conformance suite against a driver. It has the sandbox, the limits, the policy and the cage that it would
/// have if it were installed, and a state directory that is thrown away. `begun` is told of each case before it begins.
///
/// # Errors
/// What keeps the driver from being read, or the suite from being run; [`Kind::Denied`] when the driver asks for what
/// the policy does not give and nobody consented. What is wrong with the driver is in the report.
pub async fn test_driver(
    config: Config,
    file: &Path,
    options: DriverTestOptions,
    begun: impl FnMut(&Case) + Send + 'static,
) -> Result<DriverTested, Error> {
    let cases = conformance_cases(&options.only)?;
    let mut place = Place::new(config)?;
    let host = Host::open(place.config(), Access::Owner { wait: Duration::ZERO }).await?;
    let (component, digest, driver) = read(&host, file, &options).await?;
    let settings = Settings { document: options.document };
    let bench = Bench::new(host, component.clone(), driver, place.stopped()).map_err(|error| {
        Error::new(Kind::Host, "conformance.event-loop", "cannot make an event loop for the test")
            .caused_by(error)
    })?;
    let ends = place.thread();
    let running = tokio::task::spawn_blocking(move || {
        let report = hostler_conformance::run(&bench, &settings, &cases, begun);
        drop(bench);
        drop(ends);
        report
    });
    let report = running.await.map_err(stopped)?;
    Ok(DriverTested { component, digest, report })
}

/// A driver's file, its digest, and the driver or why a host refuses it, which cases tell of.
type Read = (Component, Option<String>, Result<Loaded, String>);

async fn read(host: &Host, file: &Path, options: &DriverTestOptions) -> Result<Read, Error> {
    let plan = match host
        .driver_plan(file, PlanOptions { tag: options.tag.clone(), ..PlanOptions::default() })
        .await
    {
        Ok(plan) => plan,
        Err(error) if error.code() == PackageKind::TooLarge.code() && file.is_file() => {
            let size = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
            return Ok((Component { size, ..component(None) }, None, Err(error.to_string())));
        }
        Err(error) => return Err(error),
    };
    if !plan.consent.is_empty() && !options.consented {
        return Err(needs_consent(&plan));
    }
    let driver = load(host, &plan).await?;
    Ok((component(Some(&plan)), Some(plan.digest), driver))
}

/// Installs the driver as an operator would. The inner error is why a host refuses it.
async fn load(host: &Host, plan: &DriverPlan) -> Result<Result<Loaded, String>, Error> {
    if let Some(problem) = plan.problems.first() {
        return Ok(Err(problem.message.clone()));
    }
    let installed = host.driver_install(plan, true).await?;
    let path = host.state().driver_component(&installed.name, &plan.digest)?;
    match host.drivers.by_name(&installed.name) {
        Ok(driver) => Ok(Ok(Loaded { driver, path, digest: plan.digest.clone() })),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn needs_consent(plan: &DriverPlan) -> Error {
    let message = format!("testing the driver needs your consent: {}", plan.consent.join("; "));
    Error::new(Kind::Denied, "driver.consent", message)
        .hint("give it that for the length of the test with --yes")
        .about("path", plan.path.display().to_string())
}
