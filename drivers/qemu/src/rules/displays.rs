//! Graphics, cards and sound.

use std::mem::discriminant;

use hostler_sdk::domain::graphics::{Graphics, GraphicsKind, Listen};

use super::{Broken, Rule, Subject, broken};
use crate::time;

pub(super) const RULES: &[Rule] =
    &[one_of_each, listens, passwords, headless, one_renderer, cards, only_card];

/// Cards that can stand beside another.
const SECONDARY_CARDS: [&str; 2] = ["qxl", "virtio"];

fn one_of_each(subject: &Subject<'_>) -> Option<Broken> {
    let graphics = &subject.domain.devices.graphics;
    let second = graphics.iter().enumerate().find(|(place, display)| {
        let kind = discriminant(&display.kind);
        graphics.iter().take(*place).any(|before| discriminant(&before.kind) == kind)
    });
    let (_, second) = second?;
    let what = "a domain has one display of each type at most";
    broken(second.node, "qemu.only-one", what, "remove it")
}

/// A display listens at one place, and says so once.
fn listens(subject: &Subject<'_>) -> Option<Broken> {
    let document = subject.document();
    subject.domain.devices.graphics.iter().find_map(|display| {
        if display.listens.len() > 1 {
            return broken(
                display.node,
                "qemu.display-listen",
                "a display listens at one place",
                "remove one <listen>",
            );
        }
        let Some(Listen::Address(Some(address))) = display.listens.first() else { return None };
        document.child(display.node, "listen")?;
        document.attribute(display.node, "listen").filter(|said| said != address)?;
        let what = "the address of <listen> is another than the one of the display";
        broken(display.node, "qemu.display-listen", what, "remove the attribute 'listen'")
    })
}

/// The most bytes that each protocol has for a password. QEMU takes as many of VNC's as there is room for, and says nothing.
const VNC_PASSWORD_MAX: usize = 8;
const SPICE_PASSWORD_MAX: usize = 60;

fn passwords(subject: &Subject<'_>) -> Option<Broken> {
    subject.domain.devices.graphics.iter().find_map(|display| {
        let (password, end) = display.password()?;
        let most = if display.vnc().is_some() { VNC_PASSWORD_MAX } else { SPICE_PASSWORD_MAX };
        if password.len() > most {
            let what = format!("a password has at most {most} bytes here");
            return broken(display.node, "qemu.display-password", what, "choose a shorter one");
        }
        end.filter(|end| time::seconds(end).is_none())?;
        let what = "'passwdValidTo' is no point in time";
        broken(display.node, "qemu.display-password", what, "write it as YYYY-MM-DDTHH:MM:SS, in UTC")
    })
}

/// A renderer without a window is for a display that carries its picture.
fn headless(subject: &Subject<'_>) -> Option<Broken> {
    let graphics = &subject.domain.devices.graphics;
    let renderer =
        graphics.iter().find(|display| matches!(display.kind, GraphicsKind::EglHeadless { .. }))?;
    let carries = |display: &Graphics| matches!(display.kind, GraphicsKind::Vnc(_) | GraphicsKind::Spice(_));
    let others = graphics.iter().filter(|display| display.node != renderer.node);
    let fine = others.clone().all(carries) && others.clone().count() > 0;
    (!fine).then_some(())?;
    let what = "a display of type 'egl-headless' goes with one of type 'vnc' or 'spice' only";
    broken(
        renderer.node,
        "qemu.graphics-pair",
        what,
        "add <graphics type='vnc'/>, or remove the other display",
    )
}

fn renders(display: &Graphics) -> bool {
    match &display.kind {
        GraphicsKind::EglHeadless { .. } => true,
        GraphicsKind::Spice(spice) => spice.gl == Some(true),
        GraphicsKind::Sdl { gl, .. } | GraphicsKind::Dbus { gl, .. } => *gl == Some(true),
        _ => false,
    }
}

fn one_renderer(subject: &Subject<'_>) -> Option<Broken> {
    let second = subject.domain.devices.graphics.iter().filter(|display| renders(display)).nth(1)?;
    let what = "one display of a domain can use OpenGL";
    broken(second.node, "qemu.only-one", what, "switch OpenGL off in one of them, or remove 'egl-headless'")
}

fn cards(subject: &Subject<'_>) -> Option<Broken> {
    let cards = &subject.domain.devices.videos;
    if let Some(second) = cards.iter().filter(|card| card.primary == Some(true)).nth(1) {
        return broken(second.node, "qemu.only-one", "a domain has one primary card", "remove 'primary'");
    }
    let marked = cards.iter().position(|card| card.primary == Some(true)).unwrap_or(0);
    cards.iter().enumerate().find_map(|(place, card)| {
        let model = card.model.as_deref()?;
        if place != marked && !SECONDARY_CARDS.contains(&model) {
            let what = format!("a card of model '{model}' cannot be a second one");
            return broken(card.node, "qemu.video-second", what, "write model type='virtio' or type='qxl'");
        }
        if model == "ramfb" && card.info.address.is_some() {
            let what = "a card of model 'ramfb' has no address";
            return broken(card.node, "qemu.address-type", what, "remove <address>");
        }
        let virtio = model == "virtio";
        let (what, remedy) = if card.accel3d == Some(true) && !virtio {
            ("draws in three dimensions, which only model 'virtio' does", "write model type='virtio'")
        } else if card.blob.is_some() && !virtio {
            ("has blobs, which only model 'virtio' has", "write model type='virtio'")
        } else {
            return None;
        };
        broken(card.node, "qemu.video", format!("a card of model '{model}' {what}"), remedy)
    })
}

fn only_card(subject: &Subject<'_>) -> Option<Broken> {
    let cards = &subject.domain.devices.videos;
    let none = cards.iter().find(|card| card.model.as_deref() == Some("none")).filter(|_| cards.len() > 1)?;
    let what = "a card of model 'none' says that there is none, and there are others";
    broken(none.node, "qemu.only-one", what, "remove it")
}
