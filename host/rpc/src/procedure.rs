//! What is known of every procedure: how urgent it is, who may call it, what it needs.

use crate::own;
use crate::tables;
use crate::xdr::Xdr;

/// The numbers of the programs, each of which has procedures of its own.
pub mod program {
    /// Domains, storage, networks and the rest.
    pub const REMOTE: u32 = 0x2000_8086;
    /// What only QEMU has.
    pub const QEMU: u32 = 0x2000_8087;
    /// What only containers have.
    pub const LXC: u32 = 0x0006_8000;
    /// What only this host has.
    pub const HOSTLER: u32 = 0x686f_7374;
    /// Signs of life.
    pub const KEEPALIVE: u32 = 0x6b65_6570;
    /// The version of each of them.
    pub const VERSION: u32 = 1;
}

/// The arguments of a call.
pub trait Call: Xdr {
    /// What answers it.
    type Answer: Xdr;

    /// Its flags; none for a call without.
    fn flags(&self) -> u64;

    /// The document that it brings: of what is to be made, or of a part of what its handle names.
    fn document(&self) -> Option<&str>;

    /// The name that it brings, of what has no handle or of a part of what its handle names.
    fn name(&self) -> Option<&str>;

    /// The name that what its handle names is to get.
    fn new_name(&self) -> Option<&str>;
}

/// What an event tells.
pub trait EventContent: Xdr {
    /// The program that it belongs to.
    const PROGRAM: u32;
    /// Its number there.
    const NUMBER: i32;
}

/// How long a procedure may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// It never waits for a hypervisor.
    High,
    /// It may.
    Low,
}

/// Whether a connection that may only read has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// It has.
    Allowed,
    /// It has not.
    Refused,
    /// It has, unless one of these flags is given.
    RefusedWith(u32),
}

/// A permission that a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// libvirt's name of it: `domain.start`.
    pub permission: &'static str,
    /// When it is needed.
    pub when: When,
}

/// When a permission is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With any flags.
    Always,
    /// When one of these flags is given.
    With(u32),
    /// When none of these flags is given.
    Without(u32),
}

/// What is known of a procedure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// Its number.
    pub number: i32,
    /// Its name.
    pub name: &'static str,
    /// How long it may take.
    pub priority: Priority,
    /// Whether a connection that may only read has it.
    pub read_only: ReadOnly,
    /// What it needs.
    pub needs: &'static [Need],
    /// What each thing in its answer needs to be in it.
    pub shows: &'static [&'static str],
    /// Whether it opens a stream.
    pub opens_stream: bool,
    /// Whether it is answered before anybody has said who they are.
    pub before_login: bool,
}

/// A procedure by its number; nothing when there is none.
#[must_use]
pub fn find(program: u32, number: i32) -> Option<&'static Procedure> {
    let tables: &[&[Procedure]] = match program {
        program::REMOTE => &[tables::procedures_low::REMOTE, tables::procedures_high::REMOTE],
        program::QEMU => &[tables::procedures_high::QEMU],
        program::LXC => &[tables::procedures_high::LXC],
        program::HOSTLER => &[own::PROCEDURES],
        _ => &[],
    };
    tables.iter().find_map(|table| {
        let at = table.binary_search_by_key(&number, |procedure| procedure.number).ok()?;
        table.get(at)
    })
}

/// A permission as libvirt names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Kind of object and what is done to it: `domain.start`.
    pub name: &'static str,
    /// Whether everybody has it of whom nothing else is said.
    pub by_default: bool,
}

/// Every permission there is.
#[must_use]
pub fn permissions() -> &'static [Permission] {
    tables::permissions::PERMISSIONS
}

/// A line of the table of permissions.
pub(crate) const fn permission(name: &'static str, by_default: bool) -> Permission {
    Permission { name, by_default }
}

/// A line of the tables.
pub(crate) const fn procedure(
    number: i32,
    name: &'static str,
    priority: Priority,
    read_only: ReadOnly,
    needs: &'static [Need],
) -> Procedure {
    Procedure {
        number,
        name,
        priority,
        read_only,
        needs,
        shows: &[],
        opens_stream: false,
        before_login: false,
    }
}

impl Procedure {
    pub(crate) const fn shows(self, shows: &'static [&'static str]) -> Self {
        Self { shows, ..self }
    }

    pub(crate) const fn opens_stream(self) -> Self {
        Self { opens_stream: true, ..self }
    }

    pub(crate) const fn before_login(self) -> Self {
        Self { before_login: true, ..self }
    }
}

pub(crate) const fn needs(permission: &'static str) -> Need {
    Need { permission, when: When::Always }
}

impl Need {
    pub(crate) const fn with(self, flags: u32) -> Self {
        Self { when: When::With(flags), ..self }
    }

    pub(crate) const fn without(self, flags: u32) -> Self {
        Self { when: When::Without(flags), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_procedure() {
        for number in 1..=456 {
            let found = find(program::REMOTE, number);
            assert_eq!(found.map(|procedure| procedure.number), Some(number));
        }
        assert_eq!(find(program::REMOTE, 0), None);
        assert_eq!(find(program::REMOTE, 457), None);
        assert_eq!(find(program::QEMU, 1).map(|found| found.name), Some("domain_monitor_command"));
        assert_eq!(find(1, 1), None);
    }

    #[test]
    fn what_changes_something_is_refused_to_readers() {
        let rule = |number| find(program::REMOTE, number).unwrap().read_only;
        assert_eq!(rule(12), ReadOnly::Refused);
        assert_eq!(rule(14), ReadOnly::RefusedWith(0b1001));
        assert_eq!(rule(23), ReadOnly::Allowed);
        // Newer than the tables tell: nobody has said that reading is enough.
        assert_eq!(rule(447), ReadOnly::Refused);
    }

    #[test]
    fn every_permission_that_is_needed_is_known_and_only_what_harms_nobody_needs_none() {
        let known: Vec<_> = permissions().iter().map(|permission| permission.name).collect();
        let mut free = Vec::new();
        for procedure in (1..=456).filter_map(|number| find(program::REMOTE, number)) {
            let needed = procedure.needs.iter().map(|need| &need.permission).chain(procedure.shows);
            assert!(needed.clone().all(|needed| known.contains(needed)), "{}", procedure.name);
            let is_event = procedure.name.contains("_event_") && !procedure.name.contains("register");
            if procedure.needs.is_empty() && !is_event {
                free.push(procedure.name);
            }
        }
        let harmless = [
            "connect_close",
            "auth_list",
            "auth_sasl_init",
            "auth_sasl_start",
            "auth_sasl_step",
            "auth_polkit",
            "connect_is_secure",
        ];
        assert_eq!(free, harmless);
        assert_eq!(permissions().iter().filter(|permission| permission.by_default).count(), 29);
    }

    #[test]
    fn permissions_may_hang_on_flags() {
        let attach = find(program::REMOTE, 160).unwrap();
        assert!(attach.needs.iter().any(|need| need.when == When::With(2)), "{:?}", attach.needs);
        assert!(attach.needs.iter().any(|need| need.when == When::Always), "{:?}", attach.needs);
    }
}
