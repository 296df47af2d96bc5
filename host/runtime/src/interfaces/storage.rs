//! `storage`: disks as chains that the host has resolved, checked and opened, or only read from the document.

use std::sync::Arc;

use hostler_domain::Domain as Document;
use hostler_domain::disk::Disk;
use hostler_grant::Capability;
use wasmtime::component::Resource;

use super::domain::{Subject, Tense};
use crate::answer;
use crate::bindings::wit::storage::{Host, HostChain, HostImage, Layer};
use crate::bindings::wit::types::Error;
use crate::call::CallState;
use crate::chain;
use crate::limits;
use crate::opened::Opened;
use crate::text;
use crate::volumes;

/// One opened layer.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Image(pub(crate) Arc<Opened>);

/// One disk's layers.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Chain(Arc<Layers>);

/// A chain as the contract shows it, with the file that each layer stands for.
pub(crate) struct Layers {
    pub(crate) layers: Vec<Layer>,
    pub(crate) images: Vec<Arc<Opened>>,
}

impl Host for CallState {}

impl HostImage for CallState {
    async fn drop(&mut self, me: Resource<Image>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl HostChain for CallState {
    async fn layers(&mut self, me: Resource<Chain>) -> wasmtime::Result<Vec<Layer>> {
        self.enter("storage.layers")?;
        Ok(self.table.get(&me)?.0.layers.clone())
    }

    async fn image(
        &mut self,
        me: Resource<Chain>,
        index: u32,
    ) -> wasmtime::Result<Result<Resource<Image>, Error>> {
        self.enter("storage.image")?;
        let chain = &self.table.get(&me)?.0;
        let opened = usize::try_from(index).ok().and_then(|index| chain.images.get(index)).cloned();
        match opened {
            Some(opened) => Ok(Ok(self.table.push(Image(opened))?)),
            None => {
                let message =
                    format!("the chain has {} layers and none with index {index}", chain.layers.len());
                Ok(Err(Error::NotFound(answer::problem("storage.no-layer", message))))
            }
        }
    }

    async fn drop(&mut self, me: Resource<Chain>) -> wasmtime::Result<()> {
        self.table.delete(me)?;
        Ok(())
    }
}

impl CallState {
    /// The chain of the disk with this target in one of the documents, resolved at the first call of an operation.
    pub(crate) async fn disk_chain(
        &mut self,
        subject: Arc<Subject>,
        tense: Tense,
        target: String,
    ) -> wasmtime::Result<Result<Resource<Chain>, Error>> {
        if let Err(denied) = self.require(Capability::Storage, "") {
            return Ok(Err(denied));
        }
        let key = (tense, target);
        if let Some(known) = self.chains.get(&key) {
            let known = Arc::clone(known);
            return Ok(Ok(self.table.push(Chain(known))?));
        }
        let wanted = key.1.clone();
        let resolved = self
            .blocking("domain.disk", limits::CHAIN_DEADLINE, move |_| {
                let (document, translations) = subject.told(tense)?;
                let disk = find(document, &wanted)?;
                if subject.context.purpose.opens_images() {
                    let disk = volumes::translated(disk, translations)?;
                    chain::resolve(&disk, &subject.context.roots)
                } else {
                    chain::describe(disk)
                }
            })
            .await?;
        match resolved {
            Ok(layers) => {
                let layers = Arc::new(layers);
                self.chains.insert(key, Arc::clone(&layers));
                Ok(Ok(self.table.push(Chain(layers))?))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

pub(super) fn find<'a>(document: &'a Document, target: &str) -> Result<&'a Disk, Error> {
    let disks = &document.devices.disks;
    disks.iter().find(|disk| disk.target.as_str() == target).ok_or_else(|| {
        let message = format!("the document has no disk with target '{}'", text::escape(target, 64));
        let has: Vec<_> = disks.iter().map(|disk| disk.target.as_str()).collect();
        Error::NotFound(
            answer::problem("storage.no-disk", message).hint(format!("it has: {}", has.join(", "))),
        )
    })
}
