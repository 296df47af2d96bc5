//! What the caller knows before a chain is walked: the declared layers, the policy, the limits.

use crate::format::Format;
use crate::location::ImagePath;
use crate::policy::ReferencePolicy;

/// Most layers of one chain, as libvirt has it.
pub const MAX_DEPTH: usize = 200;

/// Largest virtual size that a header may claim unless the caller says otherwise: 64 TiB.
pub const MAX_VIRTUAL_SIZE: u64 = 64 << 40;

/// One image as the domain declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredLayer {
    /// Where it is.
    pub path: ImagePath,
    /// Its format. Without one the active layer is raw, and any other layer is refused.
    pub format: Option<Format>,
    /// Where its external data file is, for an image that has one.
    pub data_file: Option<ImagePath>,
    /// Whether its content is a LUKS container; only a raw image says so here, other formats say it in their header.
    pub luks: bool,
}

impl DeclaredLayer {
    /// A layer without an external data file, whose content is no container.
    #[must_use]
    pub fn new(path: ImagePath, format: Option<Format>) -> Self {
        Self { path, format, data_file: None, luks: false }
    }

    /// The same layer, its content a LUKS container.
    #[must_use]
    pub fn luks(self) -> Self {
        Self { luks: true, ..self }
    }
}

/// What lies below the last declared layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Whatever the headers name, as far as the policy allows.
    FollowHeaders,
    /// Nothing, whatever the header says (`<backingStore/>`).
    Nothing,
}

/// Bounds of one walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most layers.
    pub depth: usize,
    /// Largest virtual size of a layer with a header, in bytes.
    pub virtual_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: MAX_DEPTH, virtual_size: MAX_VIRTUAL_SIZE }
    }
}

/// A chain to be resolved.
#[derive(Debug, Clone)]
pub struct ChainRequest {
    /// The active layer.
    pub top: DeclaredLayer,
    /// Declared layers below it, in order.
    pub below: Vec<DeclaredLayer>,
    /// What lies below those.
    pub tail: Tail,
    /// Whether the active layer is opened for reading only. Layers below always are.
    pub read_only: bool,
    /// Which undeclared files the headers may name.
    pub policy: ReferencePolicy,
    /// Bounds.
    pub limits: Limits,
}

impl ChainRequest {
    /// A writable chain under the default policy whose headers say what is below `top`.
    #[must_use]
    pub fn new(top: DeclaredLayer) -> Self {
        Self {
            top,
            below: Vec::new(),
            tail: Tail::FollowHeaders,
            read_only: false,
            policy: ReferencePolicy::default(),
            limits: Limits::default(),
        }
    }

    /// The declared layer at `index`, counted from the active layer.
    pub(crate) fn declared(&self, index: usize) -> Option<&DeclaredLayer> {
        match index.checked_sub(1) {
            None => Some(&self.top),
            Some(below) => self.below.get(below),
        }
    }
}
