//! Holding one value against one shape.

use std::collections::BTreeMap;

use super::shape::{Case, MapRule, Shape};
use crate::handle::Handle;
use crate::limits::VALUE_DEPTH_MAX;
use crate::value::Value;

/// What shapes and values refer to.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) shapes: &'a BTreeMap<String, Shape>,
    pub(crate) handles: &'a [Handle],
    /// The names that the operation may have written into headers of images.
    pub(crate) references: &'a [String],
}

/// A value that does not fit: where inside it (`file.filename`), and which rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) place: String,
    pub(crate) rule: String,
    /// How far in it was found: the deepest of several alternatives is the one that was meant.
    depth: usize,
}

impl Surroundings<'_> {
    /// Whether `value` is what `shape` allows.
    pub(crate) fn fits(&self, value: &Value, shape: &Shape) -> Result<(), Mismatch> {
        self.fits_at(value, shape, Spot { place: "", depth: 0, read_as: None })
    }

    fn fits_at(&self, value: &Value, shape: &Shape, spot: Spot<'_>) -> Result<(), Mismatch> {
        let Spot { place, depth, read_as } = spot;
        let refuse = |rule: String| Err(Mismatch { place: place.to_owned(), rule, depth });
        // Shapes may refer to each other in a circle, so this bounds them and not only the value.
        if depth > 2 * VALUE_DEPTH_MAX {
            return refuse(format!("it has more than {VALUE_DEPTH_MAX} levels"));
        }
        match (shape, value) {
            (Shape::Ref(name), _) => match self.shapes.get(name) {
                Some(shape) => self.fits_at(value, shape, Spot { depth: depth + 1, ..spot }),
                None => refuse(format!("the template has no shape '{name}'")),
            },
            (Shape::Any(shapes), _) => self.fits_any(value, shapes, spot),
            (Shape::Reference, Value::Text(text)) if self.references.contains(text) => Ok(()),
            (Shape::Reference, _) => refuse(REFERENCE.to_owned()),
            (Shape::Text(rule), Value::Text(text)) => rule.broken_by(text).map_or(Ok(()), refuse),
            (Shape::Handle(kinds), Value::Handle(index)) => match self.handles.get(*index) {
                Some(handle) if kinds.iter().any(|kind| kind == handle.kind()) => {
                    misread(handle, read_as).map_or(Ok(()), refuse)
                }
                Some(handle) => {
                    refuse(format!("it must be {}, it is a handle ({})", shape.wanted(), handle.kind()))
                }
                None => refuse(format!("there is no handle {index}")),
            },
            (Shape::List(inner), Value::Sequence(items)) => {
                let fits = |(at, item)| {
                    let place = below(place, &format!("{at}"));
                    self.fits_at(item, inner, Spot { place: &place, depth: depth + 1, read_as })
                };
                items.iter().enumerate().try_for_each(fits)
            }
            (Shape::Map(rule), Value::Mapping(pairs)) => self.fits_map(pairs, rule, spot),
            (Shape::Null, Value::Null)
            | (Shape::Boolean, Value::Boolean(_))
            | (Shape::Integer, Value::Integer(_)) => Ok(()),
            (Shape::Is(wanted), _) if is(value, wanted) => Ok(()),
            _ => refuse(format!("it must be {}, it is {}", shape.wanted(), value.kind())),
        }
    }

    fn fits_any(&self, value: &Value, shapes: &[Shape], spot: Spot<'_>) -> Result<(), Mismatch> {
        let mut closest: Vec<Mismatch> = Vec::new();
        for shape in shapes {
            let Err(mismatch) = self.fits_at(value, shape, spot) else { return Ok(()) };
            let best = closest.first().map_or(0, |best| best.depth);
            if mismatch.depth > best {
                closest.clear();
            }
            if mismatch.depth >= best {
                closest.push(mismatch);
            }
        }
        let mut rules: Vec<&str> = Vec::new();
        for mismatch in
            closest.iter().filter(|other| Some(&other.place) == closest.first().map(|first| &first.place))
        {
            if !rules.contains(&mismatch.rule.as_str()) {
                rules.push(&mismatch.rule);
            }
        }
        let rule = rules.join(", or ");
        let deepest = closest.first().map(|first| (first.place.clone(), first.depth));
        let (place, depth) = deepest.unwrap_or((spot.place.to_owned(), spot.depth));
        Err(Mismatch { place, rule, depth })
    }

    fn fits_map(&self, pairs: &[(String, Value)], rule: &MapRule, spot: Spot<'_>) -> Result<(), Mismatch> {
        let Spot { place, depth, .. } = spot;
        let refuse =
            |key: &str, rule: String| Err(Mismatch { place: below(place, key), rule, depth: depth + 1 });
        let (case, decided) = match chosen(pairs, rule) {
            Ok(Some((case, decided))) => (Some(case), Some(decided)),
            Ok(None) => (None, None),
            Err((key, why)) => return refuse(key, why),
        };
        let has = |key: &String| pairs.iter().any(|(name, _)| name == key);
        let required = rule.required.iter().chain(case.into_iter().flat_map(|case| &case.required));
        for key in required {
            if !has(key) {
                return refuse(key, "it must be there".into());
            }
        }
        for (at, (key, value)) in pairs.iter().enumerate() {
            let earlier = pairs.get(..at).unwrap_or_default();
            if earlier.iter().any(|(name, _)| name == key) && !rule.repeat.contains(key) {
                return refuse(key, "it must be there only once".into());
            }
            if let Some(why) = rule.refused.get(key) {
                return refuse(key, why.clone());
            }
            match shape_of(key, rule, case) {
                Some(shape) => {
                    let apart = case.and_then(|case| case.apart.as_ref()).filter(|key| has(key));
                    let reads = case.is_some_and(|case| case.reads.as_ref() == Some(key));
                    let inside =
                        decided.filter(|_| reads).map(|format| ReadAs { format, apart: apart.is_some() });
                    let read_as = inside.or(spot.read_as);
                    self.fits_at(
                        value,
                        shape,
                        Spot { place: &below(place, key), depth: depth + 1, read_as },
                    )?;
                }
                None => return refuse(key, "it is not among the names that are allowed here".into()),
            }
        }
        let either = case.map(|case| case.either.as_slice()).unwrap_or_default();
        match (either, either.iter().filter(|key| has(key)).count()) {
            ([first, ..], count) if count != 1 => {
                refuse(first, format!("exactly one of {} must be there", either.join(", ")))
            }
            _ => Ok(()),
        }
    }
}

/// Where in a value its parts are held against shapes.
#[derive(Clone, Copy)]
struct Spot<'a> {
    place: &'a str,
    depth: usize,
    /// The format that files are read as from here on, when it is one that the program interprets.
    read_as: Option<ReadAs<'a>>,
}

/// How a file is read.
#[derive(Clone, Copy)]
struct ReadAs<'a> {
    format: &'a str,
    /// Whether another file is named for the data.
    apart: bool,
}

/// Why a file may not be read as a format: the host has checked it to be another, and what it contains as this one is
/// anybody's word, the guest's to begin with.
fn misread(handle: &Handle, read_as: Option<ReadAs<'_>>) -> Option<String> {
    // Nor as plain bytes: a guest that can write them can write another header.
    let ReadAs { format, apart } = read_as.unwrap_or(ReadAs { format: PLAIN, apart: false });
    let found = handle.format()?;
    if found != format {
        return Some(format!("the host has checked it to be {found}, and it is read as {format}"));
    }
    match (handle.has_data_apart(), apart) {
        // The program would open what the header names.
        (true, false) => {
            Some("the host has found its data to be in another file, which nothing here names".into())
        }
        (false, true) => {
            Some("the host has found its data to be in it, and another file is named for it".into())
        }
        _ => None,
    }
}

/// Why a name is not written into a header.
const REFERENCE: &str =
    "it would stand in a header, and is not a name that the host has given to this operation";

/// What a file is read as where nothing interprets it.
const PLAIN: &str = "raw";

/// The case that the deciding member selects, and that member's text; nothing when no member decides.
fn chosen<'a, 'v>(
    pairs: &'v [(String, Value)],
    rule: &'a MapRule,
) -> Result<Option<(&'a Case, &'v str)>, (&'a str, String)> {
    let Some(choice) = &rule.by else { return Ok(None) };
    let value = pairs.iter().find(|(key, _)| *key == choice.key).map(|(_, value)| value);
    let Some(text) = value.and_then(Value::as_text) else {
        return Err((&choice.key, "it must be there and be text".into()));
    };
    let case = choice.cases.iter().find(|case| case.values.iter().any(|allowed| allowed == text));
    case.map(|case| Some((case, text))).ok_or_else(|| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        (choice.key.as_str(), format!("'{shown}' is not among those that are allowed"))
    })
}

fn shape_of<'a>(key: &str, rule: &'a MapRule, case: Option<&'a Case>) -> Option<&'a Shape> {
    let prefixed =
        || rule.prefixes.iter().find(|(prefix, _)| key.starts_with(prefix.as_str())).map(|(_, shape)| shape);
    let named = case.and_then(|case| case.keys.get(key)).or_else(|| rule.keys.get(key));
    // A name of somebody's own choice must not change how the value is read.
    let plain = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    named.or_else(prefixed).or(rule.other.as_ref()).filter(|_| plain(key) && !key.is_empty())
}

fn is(value: &Value, wanted: &serde_json::Value) -> bool {
    match value {
        Value::Null => wanted.is_null(),
        Value::Boolean(value) => wanted.as_bool() == Some(*value),
        // Booleans are written as words in keyed options, so both say the same.
        Value::Text(text) => wanted.as_str() == Some(text),
        Value::Integer(value) => wanted.as_i64() == Some(*value),
        _ => false,
    }
}

fn below(place: &str, key: &str) -> String {
    let shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
    if place.is_empty() { shown } else { format!("{place}.{shown}") }
}
