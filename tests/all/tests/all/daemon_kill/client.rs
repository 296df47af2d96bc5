//! A client that changes and asks until its daemon is gone, and knows what was acknowledged.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use hostler_rpc::codes;
use hostler_rpc::procedure::Call;
use hostler_rpc::wire::{
    ConnectListAllDomains, DomainCreateWithFlags, DomainDefineXml, DomainDestroy, DomainGetInfo,
    DomainGetState, DomainGetXmlDesc, DomainHandle, DomainManagedSave, DomainRename, DomainReset,
    DomainResume, DomainSetAutostart, DomainSetMetadata, DomainSuspend, DomainUndefine,
};

use super::guests::{PAUSED, RESET_STORE, STEADY, own, steady};
use crate::rpc_client::{Outcome, RpcClient};

/// How a client's own guest stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Off,
    Saved,
    Paused,
}

/// A client.
pub(super) struct Client {
    number: usize,
    chance: fastrand::Rng,
    socket: PathBuf,
    /// How its own guest stands, as far as that was acknowledged.
    own: Own,
    /// The name of the domain that it has defined beside it.
    extra: Option<String>,
    /// What the call that was not answered would have made of them.
    unanswered: Option<(Own, Option<String>)>,
    calls: u32,
    /// How many names it has thought of.
    names: u32,
    latest: String,
}

/// That the daemon is gone.
struct Gone;

impl Client {
    pub(super) fn new(number: usize, chance: fastrand::Rng, socket: PathBuf) -> Self {
        let (own, extra, unanswered) = (Own::Paused, None, None);
        Self { number, chance, socket, own, extra, unanswered, calls: 0, names: 0, latest: String::new() }
    }

    /// How the names of its other domains begin.
    pub(super) fn prefix(&self) -> String {
        format!("extra-{}-", self.number)
    }

    /// Takes what is true now, which has to be what was acknowledged, or what the last call would have made of it.
    pub(super) fn settle(&mut self, own: Own, extra: Option<&str>, when: &str) {
        let known = (self.own, self.extra.clone());
        let found = (own, extra.map(str::to_owned));
        let latest = &self.latest;
        assert!(
            found == known || self.unanswered.take().is_some_and(|would| found == would),
            "{when}, client {}: {known:?} became {found:?} by {latest}",
            self.number
        );
        (self.own, self.extra) = found;
        self.unanswered = None;
    }

    /// Changes and asks, and tells of each answer, until the daemon is gone.
    pub(super) fn work_until_it_is_gone(&mut self, answered: &Sender<()>) {
        let Some(mut client) = RpcClient::open(&self.socket) else { return };
        while self.step(&mut client).is_ok() {
            self.calls += 1;
            // Nobody counts any more once the daemon is killed.
            answered.send(()).ok();
        }
    }

    /// One thing of chance.
    fn step(&mut self, client: &mut RpcClient) -> Result<(), Gone> {
        match self.chance.u32(..10) {
            0..3 => self.ask(client),
            3..6 => self.change_one_of_all(client),
            6..9 => self.change_own(client),
            _ => self.change_extra(client),
        }
    }

    fn ask(&mut self, client: &mut RpcClient) -> Result<(), Gone> {
        let dom = self.one_of_all(client)?;
        match self.chance.u32(..4) {
            0 => {
                let call = ConnectListAllDomains { need_results: 1, flags: 0 };
                self.done(client.call(ConnectListAllDomains::NUMBER, &call))
            }
            1 => self.done(client.call(DomainGetState::NUMBER, &DomainGetState { dom, flags: 0 })),
            2 => self.done(client.call(DomainGetInfo::NUMBER, &DomainGetInfo { dom })),
            _ => self.done(client.call(DomainGetXmlDesc::NUMBER, &DomainGetXmlDesc { dom, flags: 0 })),
        }
    }

    /// Changes a guest that everybody changes, and nobody ends.
    fn change_one_of_all(&mut self, client: &mut RpcClient) -> Result<(), Gone> {
        let dom = self.one_of_all(client)?;
        let title = Some(format!("title {}", self.calls));
        let metadata = DomainSetMetadata {
            dom: dom.clone(),
            r#type: 1,
            metadata: title,
            key: None,
            uri: None,
            flags: 3,
        };
        let autostart = i32::from(self.chance.bool());
        match self.chance.u32(..5) {
            0 => self.done(client.call(DomainSuspend::NUMBER, &DomainSuspend { dom })),
            1 => self.done(client.call(DomainResume::NUMBER, &DomainResume { dom })),
            2 => self.done(client.call(DomainReset::NUMBER, &DomainReset { dom, flags: 0 })),
            3 => self.done(client.call(DomainSetAutostart::NUMBER, &DomainSetAutostart { dom, autostart })),
            _ => self.done(client.call(DomainSetMetadata::NUMBER, &metadata)),
        }
    }

    fn one_of_all(&mut self, client: &mut RpcClient) -> Result<DomainHandle, Gone> {
        let name = steady(self.chance.usize(..STEADY));
        self.domain(client, &name)
    }

    fn domain(&mut self, client: &mut RpcClient, name: &str) -> Result<DomainHandle, Gone> {
        match client.domain(name) {
            Outcome::Gone => Err(Gone),
            found => Ok(found.unwrap()),
        }
    }

    fn change_own(&mut self, client: &mut RpcClient) -> Result<(), Gone> {
        let dom = self.domain(client, &own(self.number))?;
        match (self.own, self.chance.bool()) {
            (Own::Paused, true) => {
                self.change(client, DomainDestroy::NUMBER, &DomainDestroy { dom }, (Own::Off, None))
            }
            (Own::Paused, false) => {
                let call = DomainManagedSave { dom, flags: 0 };
                self.change(client, DomainManagedSave::NUMBER, &call, (Own::Saved, None))
            }
            (state, reset) => {
                let flags = if reset && state == Own::Off { PAUSED | RESET_STORE } else { PAUSED };
                let call = DomainCreateWithFlags { dom, flags };
                self.change(client, DomainCreateWithFlags::NUMBER, &call, (Own::Paused, None))
            }
        }
    }

    /// Defines, renames or removes a domain that never runs.
    fn change_extra(&mut self, client: &mut RpcClient) -> Result<(), Gone> {
        // One that no call before has asked for, answered or not.
        self.names += 1;
        let name = format!("{}{}", self.prefix(), self.names);
        let Some(there) = self.extra.clone() else {
            let xml = crate::workbench::rom_domain(&name, "qemu");
            let call = DomainDefineXml { xml };
            return self.change(client, DomainDefineXml::NUMBER, &call, (self.own, Some(Some(name))));
        };
        let dom = self.domain(client, &there)?;
        if self.chance.bool() {
            let call = DomainUndefine { dom };
            return self.change(client, DomainUndefine::NUMBER, &call, (self.own, Some(None)));
        }
        let call = DomainRename { dom, new_name: Some(name.clone()), flags: 0 };
        self.change(client, DomainRename::NUMBER, &call, (self.own, Some(Some(name))))
    }

    /// Calls something that makes this of its own guest, and of the other where that changes.
    fn change<C: Call>(
        &mut self,
        client: &mut RpcClient,
        number: i32,
        call: &C,
        (own, extra): (Own, Option<Option<String>>),
    ) -> Result<(), Gone> {
        self.latest = format!("call {number} as {:?}", self.own);
        let would = (own, extra.unwrap_or_else(|| self.extra.clone()));
        self.unanswered = Some(would.clone());
        match client.call(number, call) {
            Outcome::Gone => Err(Gone),
            Outcome::Refused(error) => panic!("client {}, {}: {error:?}", self.number, self.latest),
            // Nobody else changes these: nothing is refused.
            Outcome::Answered(_) => {
                (self.own, self.extra) = would;
                self.unanswered = None;
                Ok(())
            }
        }
    }

    /// Takes the outcome of what others may hinder.
    fn done<T>(&mut self, outcome: Outcome<T>) -> Result<(), Gone> {
        match outcome {
            Outcome::Gone => return Err(Gone),
            Outcome::Answered(_) => {}
            // Another client was before it, or for too long.
            Outcome::Refused(error)
                if [codes::ERR_OPERATION_INVALID, codes::ERR_OPERATION_TIMEOUT].contains(&error.code) => {}
            Outcome::Refused(error) => panic!("client {}: {error:?}", self.number),
        }
        Ok(())
    }
}
