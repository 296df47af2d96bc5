//! The chain walk as a state machine: it asks for files to be opened and bytes to be read, and decides.

mod facts;
mod refusals;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::mem;

use crate::chain::{Below, Chain, DataFile, Layer, Note};
use crate::error::ImageError;
use crate::format::Format;
use crate::formats::{BackingRecord, Header, RecordedFormat};
use crate::inspection::{Inspection, Progress};
use crate::opener::OpenFailure;
use crate::recognise::Recognition;
use crate::request::{ChainRequest, Tail};
use crate::windows::ByteRange;

pub use facts::{Access, FileKind, Identity, OpenRequest, Opened, Role, Via};
use refusals::Naming;
use target::{Target, Wanted};

/// What a [`Walk`] wants next.
#[derive(Debug)]
pub enum Step<'a, F> {
    /// Open this and answer with [`Walk::opened`] or [`Walk::open_failed`].
    Open(OpenRequest),
    /// Read this and answer with [`Walk::supply`] or [`Walk::read_failed`].
    Read {
        /// The file, as it was handed to [`Walk::opened`].
        file: &'a F,
        /// What to read.
        range: ByteRange,
    },
    /// The chain is complete; call [`Walk::finish`].
    Done,
}

/// A chain being resolved. It owns the files that were opened for it and closes them all when it is dropped.
#[derive(Debug)]
pub struct Walk<F> {
    request: ChainRequest,
    layers: Vec<Layer<F>>,
    notes: Vec<Note>,
    /// Which file was met in which layer.
    seen: HashMap<Identity, usize>,
    state: State<F>,
}

#[derive(Debug)]
enum State<F> {
    /// Waits for a file to be opened.
    Open(Target),
    /// Reads the header of a layer.
    Inspect(Target, Opened<F>, Inspection),
    /// Looks at an image whose format is not recorded, only to word the refusal.
    Advise(Target, Opened<F>, Recognition),
    Done,
}

impl<F> Walk<F> {
    /// Starts at the active layer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::FormatMissing`] when a declared layer below the active one has no format,
    /// [`crate::ErrorKind::TooDeep`] when more layers are declared than the limit allows.
    pub fn new(request: ChainRequest) -> Result<Self, ImageError> {
        if request.below.len() >= request.limits.depth {
            return Err(refusals::too_deep(request.limits.depth).in_layer(0, request.top.path.as_path()));
        }
        for (index, layer) in request.below.iter().enumerate() {
            if layer.format.is_none() {
                return Err(refusals::declared_without_format(index.saturating_add(1), layer));
            }
        }
        let top = Target::declared(0, &request.top, request.read_only);
        let notes = if request.top.format.is_none() { vec![Note::FormatAssumed] } else { Vec::new() };
        Ok(Self { request, layers: Vec::new(), notes, seen: HashMap::new(), state: State::Open(top) })
    }

    /// The layers that are known so far, to show how far a walk came that ended in a refusal.
    #[must_use]
    pub fn layers(&self) -> &[Layer<F>] {
        &self.layers
    }

    /// The layers that are known so far, when the walk ended in a refusal.
    pub(crate) fn into_layers(self) -> Vec<Layer<F>> {
        self.layers
    }

    /// Goes as far as is possible without the caller.
    ///
    /// # Errors
    /// The refusal that ends the walk.
    pub fn step(&mut self) -> Result<Step<'_, F>, ImageError> {
        while let State::Inspect(target, _, inspection) = &mut self.state {
            match inspection.advance() {
                Ok(Progress::Need(_)) => break,
                Ok(Progress::Done(header)) => self.settle(*header)?,
                Err(error) => return Err(error.in_layer(target.layer, target.path.as_path())),
            }
        }
        match &mut self.state {
            State::Open(target) => Ok(Step::Open(target.request())),
            State::Done => Ok(Step::Done),
            State::Advise(target, opened, recognition) => match recognition.advance() {
                Ok(Progress::Need(range)) => Ok(Step::Read { file: &opened.file, range }),
                Ok(Progress::Done(format)) => Err(refusals::format_gap(target, Some(*format))),
                Err(error) => Err(error.in_layer(target.layer, target.path.as_path())),
            },
            State::Inspect(target, opened, inspection) => match inspection.advance() {
                Ok(Progress::Need(range)) => Ok(Step::Read { file: &opened.file, range }),
                Ok(Progress::Done(_)) => Err(refusals::out_of_turn()),
                Err(error) => Err(error.in_layer(target.layer, target.path.as_path())),
            },
        }
    }

    /// Takes the file that was opened for [`Step::Open`].
    ///
    /// # Errors
    /// When it is not a file that can hold an image, or is in the chain already.
    pub fn opened(&mut self, opened: Opened<F>) -> Result<(), ImageError> {
        let State::Open(target) = mem::replace(&mut self.state, State::Done) else {
            return Err(refusals::out_of_turn());
        };
        if !opened.kind.can_hold_an_image() {
            return Err(refusals::not_an_image(&target, opened.kind));
        }
        if let Some(layer) = self.seen.insert(opened.identity, target.layer) {
            return Err(refusals::looped(&target, layer));
        }
        match target.wanted {
            Wanted::Layer { format, luks, .. } => {
                let inspection = if luks && format == Format::Raw {
                    Inspection::luks(opened.length)
                } else {
                    Inspection::new(format, opened.length)
                };
                self.state = State::Inspect(target, opened, inspection);
            }
            Wanted::DataFile => {
                self.attach_data_file(target, opened);
                self.descend()?;
            }
            Wanted::Advice { .. } => {
                let recognition = Recognition::new(opened.length);
                self.state = State::Advise(target, opened, recognition);
            }
        }
        Ok(())
    }

    /// Takes the bytes that were read for [`Step::Read`].
    ///
    /// # Errors
    /// When fewer bytes came than the file should hold.
    pub fn supply(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        match &mut self.state {
            State::Inspect(target, _, inspection) => {
                inspection.supply(bytes).map_err(|error| error.in_layer(target.layer, target.path.as_path()))
            }
            State::Advise(target, _, recognition) => {
                recognition.supply(bytes).map_err(|error| error.in_layer(target.layer, target.path.as_path()))
            }
            State::Open(_) | State::Done => Err(refusals::out_of_turn()),
        }
    }

    /// The refusal for a file that could not be opened.
    #[must_use]
    pub fn open_failed(&self, failure: OpenFailure) -> ImageError {
        match &self.state {
            State::Open(target) if matches!(target.wanted, Wanted::Advice { .. }) => {
                refusals::format_gap(target, None)
            }
            State::Open(target) => refusals::not_opened(target, failure),
            _ => refusals::out_of_turn(),
        }
    }

    /// The refusal for a file that could not be read.
    #[must_use]
    pub fn read_failed(&self, error: io::Error) -> ImageError {
        match &self.state {
            State::Inspect(target, ..) | State::Advise(target, ..) => refusals::not_read(target, error),
            State::Open(_) | State::Done => refusals::out_of_turn(),
        }
    }

    /// Hands out the finished chain.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidRequest`] before [`Step::Done`].
    pub fn finish(self) -> Result<Chain<F>, ImageError> {
        match self.state {
            State::Done if !self.layers.is_empty() => Ok(Chain { layers: self.layers, notes: self.notes }),
            _ => Err(refusals::out_of_turn()),
        }
    }

    /// Adds the layer whose header is now known, and goes on to its data file or downwards.
    fn settle(&mut self, header: Header) -> Result<(), ImageError> {
        let State::Inspect(target, opened, _) = mem::replace(&mut self.state, State::Done) else {
            return Err(refusals::out_of_turn());
        };
        let Wanted::Layer { format, origin, .. } = target.wanted else { return Err(refusals::out_of_turn()) };
        refusals::check_header(&target, format, &header, &self.request)?;
        if let Some(above) = self.layers.last_mut() {
            above.below = Below::Layer(target.layer);
        }
        let read_only = target.access == Access::ReadOnly;
        self.layers.push(Layer {
            file: opened.file,
            path: target.path,
            identity: opened.identity,
            kind: opened.kind,
            format,
            format_origin: origin,
            header,
            physical_bytes: opened.physical_bytes,
            read_only,
            below: Below::Nothing,
            data_file: None,
        });
        match self.data_file_target()? {
            Some(target) => self.state = State::Open(target),
            None => self.descend()?,
        }
        Ok(())
    }

    /// The data file of the newest layer, if its header says that it has one.
    fn data_file_target(&self) -> Result<Option<Target>, ImageError> {
        let Some(layer) = self.layers.last() else { return Ok(None) };
        let naming = self.naming(layer);
        let declared = self.request.declared(naming.index).and_then(|layer| layer.data_file.as_ref());
        match (&layer.header.data_file, declared) {
            (None, None) => Ok(None),
            (None, Some(path)) => Err(refusals::no_data_file(&naming, path)),
            (Some(_), Some(path)) => {
                Ok(Some(Target::declared_data_file(naming.index, path, layer.read_only)))
            }
            (Some(record), None) => {
                Target::named_data_file(&naming, &record.name, &self.request.policy).map(Some)
            }
        }
    }

    fn attach_data_file(&mut self, target: Target, opened: Opened<F>) {
        let Opened { file, identity, kind, length, physical_bytes } = opened;
        if let Some(layer) = self.layers.last_mut() {
            layer.data_file =
                Some(DataFile { file, path: target.path, identity, kind, length, physical_bytes });
        }
    }

    /// Decides what is below the newest layer.
    fn descend(&mut self) -> Result<(), ImageError> {
        let index = self.layers.len();
        let Some(layer) = self.layers.last() else { return Err(refusals::out_of_turn()) };
        let naming = self.naming(layer);
        let record = layer.header.backing.as_ref();
        let declared = self.request.declared(index);
        let next = match (declared, self.request.tail) {
            (Some(declared), _) if naming.format.can_have_backing() => {
                Some(Target::declared(index, declared, true))
            }
            (Some(declared), _) => return Err(refusals::cannot_stand_on(&naming, declared)),
            (None, Tail::Nothing) => None,
            (None, Tail::FollowHeaders) => {
                record.map(|record| Target::named_layer(&naming, record, &self.request.policy)).transpose()?
            }
        };
        if next.is_some() && index >= self.request.limits.depth {
            return Err(
                refusals::too_deep(self.request.limits.depth).in_layer(naming.index, naming.path.as_path())
            );
        }
        let notes = self.differences(&naming, record);
        self.notes.extend(notes);
        self.state = next.map_or(State::Done, State::Open);
        Ok(())
    }

    /// How what is declared below `naming` differs from what its header records.
    fn differences(&self, naming: &Naming<'_>, record: Option<&BackingRecord>) -> Vec<Note> {
        let declared = self.request.declared(naming.index.saturating_add(1));
        if declared.is_none() && self.request.tail == Tail::FollowHeaders {
            return Vec::new();
        }
        let mut notes = Vec::new();
        let recorded_path = record.and_then(|record| target::plain_path(naming, &record.name));
        let same = match declared {
            Some(layer) => recorded_path.as_ref() == Some(&layer.path),
            None => record.is_none(),
        };
        if !same {
            notes.push(Note::ReferenceDiffers {
                layer: naming.index,
                recorded: record.map(|record| crate::reference::redact(&record.name)),
                declared: declared.map(|layer| layer.path.as_path().to_path_buf()),
            });
        }
        if let (Some(BackingRecord { format: RecordedFormat::Known(recorded), .. }), Some(declared)) =
            (record, declared.and_then(|layer| layer.format))
            && *recorded != declared
        {
            notes.push(Note::FormatDiffers { layer: naming.index, recorded: *recorded, declared });
        }
        notes
    }

    fn naming<'a>(&self, layer: &'a Layer<F>) -> Naming<'a> {
        Naming {
            index: self.layers.len().saturating_sub(1),
            path: &layer.path,
            format: layer.format,
            read_only: layer.read_only,
        }
    }
}

/// The format of an active layer that declares none.
const ASSUMED: Format = Format::Raw;
