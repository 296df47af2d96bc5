//! `domain.name-devices`: what a hypervisor calls its devices, in the document of the run alone.

use std::sync::PoisonError;

use hostler_domain::given_alias::is_word;
use hostler_domain::of_a_run::without_run;
use hostler_domain::{Document, XmlError};

use super::domain::Subject;
use crate::answer;
use crate::bindings::wit::types::Error;

impl Subject {
    /// Takes what the driver calls the devices of a run that is to begin.
    ///
    /// # Errors
    /// `invalid` for what is no device or no name.
    pub(super) fn name_devices(&self, names: &[(u32, String)]) -> Result<(), Error> {
        let named = named(&self.context.xml, names)?;
        *self.named.lock().unwrap_or_else(PoisonError::into_inner) = Some(named);
        Ok(())
    }

    /// The document of a run that begins. Names that devices had in a run before are none of this one: a snapshot or a
    /// migration may have the document from one.
    pub(super) fn run_xml(&self) -> Result<String, Error> {
        if let Some(named) = self.named.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(named);
        }
        without_run(self.context.xml.clone()).map_err(wrong)
    }
}

fn named(xml: &str, names: &[(u32, String)]) -> Result<String, Error> {
    let mut document = Document::parse(xml).map_err(wrong)?;
    let mut devices = Vec::new();
    if let Some(all) = document.child(document.root(), "devices") {
        document.forget_run(all).map_err(wrong)?;
        devices.extend(document.elements(all));
    }
    for (place, name) in names {
        let device = usize::try_from(*place).ok().and_then(|place| devices.get(place));
        let Some(device) = device else {
            return refused(format!("the document has no device at place {place}"));
        };
        if !is_word(name) {
            return refused(format!("'{name}' is no name for a device"));
        }
        // What is left is what the author chose.
        if document.child(*device, "alias").is_none() {
            document.give_alias(*device, name).map_err(wrong)?;
        }
    }
    Ok(document.to_xml())
}

fn refused<T>(message: String) -> Result<T, Error> {
    Err(Error::Invalid(answer::problem("domain.device-name", message)))
}

fn wrong(error: XmlError) -> Error {
    Error::Invalid(answer::problem(error.kind.code(), error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<domain><devices><rng><alias name='rng7'/><address type='pci'/></rng>\
                       <rng><alias name='ua-mine'/></rng><input type='mouse'/></devices></domain>";

    fn names(names: &[(u32, &str)]) -> Result<String, Error> {
        let names: Vec<_> = names.iter().map(|(place, name)| (*place, (*name).to_owned())).collect();
        named(XML, &names)
    }

    #[test]
    fn devices_get_their_names_and_those_that_authors_chose_stay() {
        let xml = names(&[(0, "rng0"), (1, "rng1"), (2, "input0")]).unwrap();
        assert_eq!(
            xml,
            "<domain><devices><rng><alias name='rng0'/><address type='pci'/></rng><rng><alias name='ua-mine'/></rng>\
             <input type='mouse'><alias name='input0'/></input></devices></domain>"
        );
        assert!(!names(&[]).unwrap().contains("rng7"), "it was called so in another run");
    }

    #[test]
    fn what_is_no_device_or_no_name_is_refused() {
        for wrong in [&[(3, "rng0")][..], &[(0, "")], &[(0, "a/b")]] {
            assert!(matches!(names(wrong), Err(Error::Invalid(_))), "{wrong:?}");
        }
    }
}
