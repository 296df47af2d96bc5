//! What is known of a domain without its guest: what its document gives it, under the names of libvirt's bulk statistics.

use hostler_domain::Domain;

use crate::chain;
use crate::error::Error;
use crate::host::Host;
use crate::reference::DomainRef;

impl Host {
    /// Memory, processors and disks of a domain by its stored definition. The size of an image that cannot be read is left out.
    ///
    /// # Errors
    /// [`crate::Kind::NotFound`]; [`crate::Kind::Host`] when the state directory cannot be read.
    pub async fn stats_when_off(&self, wanted: &DomainRef) -> Result<Vec<(String, String)>, Error> {
        let definition = self.find(wanted)?;
        let domain = Domain::parse(&definition.xml)?;
        let volumes = self.current_volumes(&definition).unwrap_or_default();
        let mut counters = amounts(&domain);
        for (index, disk) in domain.devices.disks.iter().enumerate() {
            let mut tell =
                |what: &str, value: String| counters.push((format!("block.{index}.{what}"), value));
            tell("name", disk.target.to_string());
            let Ok(chain) = chain::of_disk(disk, &self.roots(), &volumes) else { continue };
            let Some(active) = chain.layers.first() else { continue };
            tell("path", active.path.display().to_string());
            tell("capacity", active.virtual_size.to_string());
            if let Ok(found) = std::fs::metadata(&active.path) {
                let physical = if found.is_file() { found.len() } else { active.virtual_size };
                tell("physical", physical.to_string());
            }
        }
        Ok(counters)
    }
}

fn amounts(domain: &Domain) -> Vec<(String, String)> {
    let disks = u64::try_from(domain.devices.disks.len()).unwrap_or(u64::MAX);
    [
        ("balloon.current", domain.current_memory.0 >> 10),
        ("balloon.maximum", domain.memory.0 >> 10),
        ("vcpu.current", domain.vcpus.at_start().into()),
        ("vcpu.maximum", domain.vcpus.maximum.into()),
        ("block.count", disks),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_the_units_of_statistics() {
        let xml = "<domain type='test'><name>a</name><memory unit='MiB'>64</memory><currentMemory unit='MiB'>32\
                   </currentMemory><vcpu current='1'>2</vcpu><os><type>hvm</type></os></domain>";
        let told = amounts(&Domain::parse(xml).unwrap());
        let value = |name: &str| told.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((value("balloon.current"), value("balloon.maximum")), (Some("32768"), Some("65536")));
        assert_eq!((value("vcpu.current"), value("vcpu.maximum")), (Some("1"), Some("2")));
        assert_eq!(value("block.count"), Some("0"));
    }
}
