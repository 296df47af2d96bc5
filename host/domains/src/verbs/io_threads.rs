//! I/O threads of a definition: one more, one less.

use hostler_domain::{Document, Domain};

use crate::error::{Error, Kind};
use crate::host::Host;
use crate::reference::DomainRef;

impl Host {
    /// Gives a definition one more I/O thread, with this number. It counts from the next start.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a number that one has; [`Kind::Conflict`] for a domain that is not kept; what a definition is refused
    /// for.
    pub async fn add_io_thread(&self, wanted: &DomainRef, id: u32) -> Result<(), Error> {
        self.redefined(wanted, |document| {
            let mut ids = ids_of(document)?;
            if id == 0 || ids.contains(&id) {
                let message = match id {
                    0 => "I/O threads are numbered from 1".to_owned(),
                    _ => format!("an I/O thread has the number {id} already"),
                };
                return Err(Error::new(Kind::Invalid, "domain.iothread", message));
            }
            ids.push(id);
            list(document, &ids)
        })
        .await
    }

    /// Takes an I/O thread out of a definition. It counts from the next start.
    ///
    /// # Errors
    /// As for [`Host::add_io_thread`], for a number that none has.
    pub async fn remove_io_thread(&self, wanted: &DomainRef, id: u32) -> Result<(), Error> {
        self.redefined(wanted, |document| {
            let mut ids = ids_of(document)?;
            let before = ids.len();
            ids.retain(|own| *own != id);
            if ids.len() == before {
                let message = format!("cannot find IOThread '{id}' in iothreadids list");
                return Err(Error::new(Kind::Invalid, "domain.iothread", message));
            }
            list(document, &ids)
        })
        .await
    }
}

fn ids_of(document: &Document) -> Result<Vec<u32>, Error> {
    let domain = Domain::parse(&document.to_xml())?;
    Ok(domain.iothreads.all().iter().map(|thread| thread.id).collect())
}

/// Has a document name these and no others; what it says about each of them stays.
fn list(document: &mut Document, ids: &[u32]) -> Result<(), Error> {
    let root = document.root();
    let count = match document.child(root, "iothreads") {
        Some(count) => count,
        None => {
            let vcpu = document.child(root, "vcpu");
            let devices = vcpu.is_none().then(|| document.child(root, "devices")).flatten();
            match vcpu.or(devices) {
                Some(sibling) => document.insert_before(sibling, "<iothreads/>")?,
                None => document.append_child(root, "<iothreads/>")?,
            }
        }
    };
    document.set_text(count, &ids.len().to_string())?;
    let names = match document.child(root, "iothreadids") {
        Some(names) => names,
        None => document.insert_before(count, "<iothreadids/>")?,
    };
    let id_of =
        |document: &Document, node| document.attribute(node, "id").and_then(|id| id.parse::<u32>().ok());
    let listed: Vec<_> = document.elements(names).collect();
    let mut known = Vec::new();
    for node in listed {
        match id_of(document, node) {
            Some(id) if ids.contains(&id) => known.push(id),
            _ => document.remove(node)?,
        }
    }
    for id in ids.iter().filter(|id| !known.contains(id)) {
        document.append_child(names, &format!("<iothread id='{id}'/>"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(inside: &str, ids: &[u32]) -> Domain {
        let xml = format!(
            "<domain type='qemu'><name>n</name><memory>1024</memory>{inside}<os><type>hvm</type></os></domain>"
        );
        let mut document = Document::parse(&xml).unwrap();
        list(&mut document, ids).unwrap();
        Domain::parse(&document.to_xml()).unwrap()
    }

    #[test]
    fn threads_are_named_and_keep_what_is_said_of_them() {
        let ids = |domain: &Domain| domain.iothreads.all().iter().map(|thread| thread.id).collect::<Vec<_>>();
        assert_eq!(ids(&with("<vcpu>1</vcpu>", &[4])), [4]);
        assert_eq!(ids(&with("<iothreads>2</iothreads>", &[1, 2, 7])), [1, 2, 7]);
        let listed = "<iothreads>2</iothreads><iothreadids><iothread id='3' thread_pool_min='2'/><iothread id='5'/></iothreadids>";
        let domain = with(listed, &[3]);
        assert_eq!((ids(&domain), domain.iothreads.listed[0].pool.min), (vec![3], Some(2)));
        assert_eq!(ids(&with("<iothreads>1</iothreads>", &[])), [0; 0]);
    }
}
