//! A driver that breaks one rule of the contract, so that it can be shown that the conformance suite finds it.
//!
//! Which rule is written into the component's file, in the place of `FLAW`; as it is built it breaks none. Each of
//! the [`BEHAVIOURS`] has a test that names the cases that fail.

mod document;
mod flaw;
mod life;

pub use flaw::BEHAVIOURS;

use flaw::has;
use hostler_sdk::{
    About, Description, Domain, Error, Event, Fact, Launch, Lifecycle, NativeConfig, ProblemExt, Resources,
    RunState, Statistics, clock, fact, problem,
};

struct Flawed;

hostler_sdk::driver! {
    Flawed,
    name: "flawed",
    types: ["flawed"],
    grants: ["process:qemu-system-x86_64"],
    abilities: [native_config, statistics],
}

impl About for Flawed {
    fn describe() -> Description {
        let title = if has("about-empty") { "" } else { "breaks one rule" };
        let facts = if has("about-changes") { vec![fact("random", number())] } else { Vec::new() };
        Description { title: title.to_owned(), facts }
    }
}

impl Lifecycle for Flawed {
    fn check(domain: &Domain) -> Result<String, Error> {
        document::check(domain)
    }
    fn start(domain: &Domain, options: Vec<Fact>) -> Result<(), Error> {
        if !has("input-start-unchecked") {
            document::parse(&domain.config())?;
        }
        life::start(domain, options.iter().any(|option| option.key == "paused" && option.value == "yes"))
    }
    fn shutdown(domain: &Domain) -> Result<(), Error> {
        life::shutdown(domain)
    }
    fn destroy(domain: &Domain) -> Result<(), Error> {
        life::destroy(domain)
    }
    fn suspend(domain: &Domain) -> Result<(), Error> {
        life::suspend(domain)
    }
    fn resume(domain: &Domain) -> Result<(), Error> {
        life::resume(domain)
    }
    fn reset(domain: &Domain) -> Result<(), Error> {
        life::reset(domain)
    }
    fn query(domain: &Domain) -> Result<RunState, Error> {
        life::state(domain)
    }
    fn reattach(domain: &Domain) -> Result<RunState, Error> {
        life::reattach(domain)
    }
    fn on_event(domain: &Domain, event: Event) -> Result<(), Error> {
        life::on_event(domain, &event)
    }
    fn recovery_complete() {
        if has("recovery-complete-traps") {
            std::process::abort();
        }
    }
}

impl NativeConfig for Flawed {
    fn show(domain: &Domain) -> Result<(), Error> {
        if has("native-shows-nothing") {
            return Ok(());
        }
        if has("native-fails") {
            return Err(problem("flawed.show", "cannot show it").unsupported());
        }
        let mut launch = Launch::new("qemu-system-x86_64");
        launch.option("name", if has("native-changes") { number() } else { domain.name() });
        launch.submit(domain, &mut Resources::default()).map(drop)
    }
}

impl Statistics for Flawed {
    fn read(domain: &Domain) -> Result<Vec<Fact>, Error> {
        if has("statistics-notes") {
            domain.put_state(b"running;asked")?;
        }
        let disks = if has("statistics-miscounts") { "2" } else { "1" };
        let mut facts =
            vec![fact("block.count", disks), fact("block.0.name", "vda"), fact("vcpu.current", "1")];
        if has("statistics-repeats") {
            facts.push(fact("vcpu.current", "2"));
        }
        if has("statistics-spaces") {
            facts.push(fact("number of processors", "1"));
        }
        Ok(facts)
    }
}

/// A number that is another one each time.
fn number() -> String {
    clock::random(8).into_iter().map(|byte| byte.to_string()).collect::<Vec<_>>().join(".")
}
