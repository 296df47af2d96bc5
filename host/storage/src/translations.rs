//! The translations of all volumes that one document names, made before anybody works with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_domain::storage_source::{Backing, StorageSource};

use crate::error::{ErrorKind, StorageError};
use crate::translate::{Translated, VolumeReference};

/// What became of each volume that a document names. A volume that could not be translated fails whoever wants to open
/// it, and nobody else: a guest that runs has what it runs with.
#[derive(Clone, Debug, Default)]
pub struct Translations(BTreeMap<VolumeReference, Result<Translated, Arc<StorageError>>>);

impl Translations {
    /// The translations that a run was started with.
    #[must_use]
    pub fn recorded(volumes: Vec<(VolumeReference, Translated)>) -> Self {
        Self(volumes.into_iter().map(|(reference, translated)| (reference, Ok(translated))).collect())
    }

    /// Adds what became of one reference.
    pub fn insert(&mut self, reference: VolumeReference, outcome: Result<Translated, StorageError>) {
        self.0.insert(reference, outcome.map_err(Arc::new));
    }

    /// These, but for the volumes that a run has already: those stay as they are there.
    #[must_use]
    pub fn but_for(mut self, run: &Self) -> Self {
        for (reference, outcome) in &mut self.0 {
            if let Some(Ok(translated)) = run.0.get(reference) {
                *outcome = Ok(translated.clone());
            }
        }
        self
    }

    /// Those that succeeded, for the record of a run.
    #[must_use]
    pub fn known(&self) -> Vec<(VolumeReference, Translated)> {
        let known = self
            .0
            .iter()
            .filter_map(|(reference, outcome)| Some((reference.clone(), outcome.as_ref().ok()?.clone())));
        known.collect()
    }

    /// A source with every volume in its chain at its place.
    ///
    /// # Errors
    /// Why a volume in it has none.
    pub fn resolve(&self, source: &StorageSource) -> Result<StorageSource, Arc<StorageError>> {
        let mut resolved = match VolumeReference::of(source) {
            None => source.clone(),
            Some(reference) => {
                let found = self.one(&reference)?;
                found.require_declared(&reference, source)?;
                found.require_decrypted(&reference, source)?;
                found.apply(source)
            }
        };
        // As deep as the document, whose depth is bounded.
        if let Backing::Layer(below) = &source.backing {
            resolved.backing = Backing::Layer(Box::new(self.resolve(below)?));
        }
        Ok(resolved)
    }

    fn one(&self, reference: &VolumeReference) -> Result<&Translated, Arc<StorageError>> {
        match self.0.get(reference) {
            Some(Ok(translated)) => Ok(translated),
            Some(Err(error)) => Err(Arc::clone(error)),
            None => {
                let message = format!(
                    "the volume '{}' of the pool '{}' was not looked up",
                    reference.volume, reference.pool
                );
                Err(Arc::new(StorageError::new(ErrorKind::NotFound, "volume.unresolved", message)))
            }
        }
    }
}

/// The volumes that a source names, in itself and below it.
pub fn references(source: &StorageSource) -> impl Iterator<Item = VolumeReference> {
    source.layers().filter_map(VolumeReference::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::TranslatedPlace;
    use hostler_domain::Domain;
    use hostler_domain::storage_source::Location;

    fn source() -> StorageSource {
        let xml = "<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os><devices>\
                   <disk type='volume'><driver type='qcow2'/><source pool='p' volume='top'/><target dev='vda'/>\
                   <backingStore type='volume'><format type='raw'/><source pool='p' volume='base'/><backingStore/>\
                   </backingStore></disk></devices></domain>";
        Domain::parse(xml).unwrap().devices.disks[0].source.clone()
    }

    #[test]
    fn every_layer_is_put_at_its_place_and_a_run_keeps_them() {
        let source = source();
        let names: Vec<_> = references(&source).map(|reference| reference.volume).collect();
        assert_eq!(names, ["top", "base"]);
        let mut translations = Translations::default();
        assert_eq!(translations.resolve(&source).unwrap_err().code(), "volume.unresolved");
        for reference in references(&source) {
            let place = TranslatedPlace::File(format!("/p/{}", reference.volume));
            translations
                .insert(reference, Ok(Translated { place, format: None, looks_like: None, secret: None }));
        }
        let resolved = translations.resolve(&source).unwrap();
        let layers: Vec<_> =
            resolved.layers().map(|layer| (layer.location.clone(), layer.format.clone())).collect();
        let file = |path: &str| Location::File(path.to_owned());
        let expected =
            [(file("/p/top"), Some("qcow2".to_owned())), (file("/p/base"), Some("raw".to_owned()))];
        assert_eq!(layers, expected);
        let kept = Translations::recorded(translations.known());
        assert_eq!(kept.resolve(&source).unwrap(), resolved);
        assert_eq!(kept.resolve(&resolved).unwrap(), resolved, "what is translated stays");
    }

    #[test]
    fn a_volume_that_a_run_has_stays_where_it_is() {
        let translated = |path: &str| Translated {
            place: TranslatedPlace::File(path.to_owned()),
            format: None,
            looks_like: None,
            secret: None,
        };
        let [top, base]: [VolumeReference; 2] = references(&source()).collect::<Vec<_>>().try_into().unwrap();
        let run = Translations::recorded(vec![(top.clone(), translated("/before"))]);
        let mut looked_up = Translations::default();
        looked_up
            .insert(top.clone(), Err(StorageError::new(ErrorKind::Conflict, "pool.inactive", "stopped")));
        looked_up.insert(base.clone(), Ok(translated("/base")));
        let expected = [(top, translated("/before")), (base, translated("/base"))];
        assert_eq!(looked_up.but_for(&run).known(), Translations::recorded(expected.to_vec()).known());
    }

    #[test]
    fn a_volume_without_a_place_fails_only_who_wants_it() {
        let source = source();
        let mut translations = Translations::default();
        for reference in references(&source) {
            let error = StorageError::new(ErrorKind::Conflict, "pool.inactive", "the pool is not started");
            translations.insert(reference, Err(error));
        }
        assert_eq!(translations.resolve(&source).unwrap_err().code(), "pool.inactive");
        assert!(translations.known().is_empty());
        let file =
            StorageSource { location: Location::File("/x".to_owned()), backing: Backing::Unknown, ..source };
        assert_eq!(translations.resolve(&file).unwrap(), file);
    }
}
