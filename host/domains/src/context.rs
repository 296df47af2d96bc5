//! What a driver is given for one call: one domain, and nothing else of this host.

use std::sync::{Arc, PoisonError};

use hostler_launch::TemplateSet;
use hostler_network::Attachments;
use hostler_runtime::{DomainContext, RunDocument, StateAccess};
use hostler_state::{Definition, RunDir, RunRecord, Uuid};
use hostler_storage::Translations;

use crate::error::Error;
use crate::host::{Held, Host};

pub(crate) use hostler_runtime::Purpose;

/// Whom a call is about, defined or not.
pub(crate) struct Subject {
    pub(crate) uuid: Uuid,
    pub(crate) name: String,
    pub(crate) xml: String,
}

impl Subject {
    /// A definition as it is stored.
    pub(crate) fn of(definition: &Definition) -> Self {
        Self { uuid: definition.uuid, name: definition.name.clone(), xml: definition.xml.clone() }
    }
}

impl Host {
    /// A context for a domain: with the document it was started with if it runs, else the stored one.
    pub(crate) fn context(&self, definition: &Definition, purpose: Purpose) -> Result<DomainContext, Error> {
        let Some(running) = self.run_document(&self.state().run_dir(definition.uuid))? else {
            return self.context_for(&Subject::of(definition), purpose);
        };
        let mut context = self.context_without_volumes(&Subject::of(definition), purpose)?;
        context.xml = running.xml;
        context.numeric_id = running.numeric_id;
        // What it runs with, whatever has become of the pools (S4).
        context.volumes = Translations::recorded(running.volumes);
        Ok(context)
    }

    /// A context for whoever it is about, with the document that is given.
    pub(crate) fn context_for(&self, subject: &Subject, purpose: Purpose) -> Result<DomainContext, Error> {
        let mut context = self.context_without_volumes(subject, purpose)?;
        if matches!(purpose, Purpose::Operate | Purpose::Examine) {
            context.volumes = self.translations(&subject.xml)?;
        }
        if purpose == Purpose::Operate {
            context.networks = self.attachments(&subject.xml)?;
        }
        Ok(context)
    }

    fn context_without_volumes(&self, subject: &Subject, purpose: Purpose) -> Result<DomainContext, Error> {
        Ok(DomainContext {
            uuid: subject.uuid,
            name: subject.name.clone(),
            xml: subject.xml.clone(),
            numeric_id: 0,
            purpose,
            state: match self.held() {
                Held::Owner(owner) => StateAccess::Owner(Arc::clone(owner)),
                Held::Reader(state) => StateAccess::Reader(Arc::clone(state)),
            },
            roots: self.roots(),
            volumes: Translations::default(),
            networks: Attachments::default(),
            secrets: Arc::new(self.keeper()),
            templates: self.templates()?,
            shim: self.config.shim.clone(),
            cage: self.config.cage,
            firmware: self.config.firmware.clone(),
            transfer: None,
            references: Vec::new(),
            next: None,
        })
    }

    /// The document of a domain: what it was started with if it runs, else what is stored.
    pub(crate) fn current_xml(&self, definition: &Definition) -> Result<String, Error> {
        let running = self.run_document(&self.state().run_dir(definition.uuid))?;
        Ok(running.map_or_else(|| definition.xml.clone(), |running| running.xml))
    }

    /// What the volumes that the document of a domain names are: of one that runs, as it was started.
    pub(crate) fn current_volumes(&self, definition: &Definition) -> Result<Translations, Error> {
        match self.run_document(&self.state().run_dir(definition.uuid))? {
            Some(running) => Ok(Translations::recorded(running.volumes)),
            None => self.translations(&definition.xml),
        }
    }

    /// A number for a run that begins: one more than any that runs has, or that was given to one that begins too.
    pub(crate) fn next_numeric_id(&self) -> Result<u32, Error> {
        let mut highest = 0;
        for run in self.state().run_dirs()? {
            highest = highest.max(self.run_document(&run)?.map_or(0, |document| document.numeric_id));
        }
        let mut last = self.last_run_number.lock().unwrap_or_else(PoisonError::into_inner);
        *last = highest.max(*last).saturating_add(1);
        Ok(*last)
    }

    /// What is running there; nothing when nothing is.
    pub(crate) fn run_document(&self, run: &RunDir) -> Result<Option<RunDocument>, Error> {
        if run.is_held()? { Ok(run.read(RunRecord::Document)?) } else { Ok(None) }
    }

    /// The launch templates: built in, and those of the operator.
    pub(crate) fn templates(&self) -> Result<Arc<TemplateSet>, Error> {
        if let Some(templates) = self.loaded_templates.get() {
            return Ok(Arc::clone(templates));
        }
        let templates = match &self.config.template_dir {
            Some(directory) => TemplateSet::load(directory)?,
            None => TemplateSet::builtin()?,
        };
        Ok(Arc::clone(self.loaded_templates.get_or_init(|| Arc::new(templates))))
    }
}
