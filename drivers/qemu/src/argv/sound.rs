//! Sound cards, and where their sound goes.

use hostler_sdk::domain::audio::{Audio, AudioFormat, AudioStream, AudioType};
use hostler_sdk::domain::sound::Sound;
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};

/// The id of a back end: the named one, or the first.
pub(super) fn backend(builder: &Builder<'_>, id: Option<u32>) -> Option<String> {
    let first = builder.domain.devices.audios.first().map(|audio| audio.id);
    id.or(first).map(|id| format!("audio{id}"))
}

/// The back end of the speaker that every PC has, if the document has that "card".
pub(super) fn speaker_backend(builder: &Builder<'_>) -> Result<Option<String>, Error> {
    let speaker = builder.domain.devices.sounds.iter().find(|sound| sound.model == "pcspk");
    Ok(speaker.and_then(|sound| backend(builder, sound.audio_id)))
}

/// `-audiodev`
pub(super) fn audio_backends(builder: &mut Builder<'_>) -> Result<(), Error> {
    for audio in &builder.domain.devices.audios {
        let mut value =
            Value::mapping().with("id", format!("audio{}", audio.id)).with("driver", driver(audio));
        set_some(&mut value, "timer-period", audio.timer_period_us);
        set_some(&mut value, "path", audio.path.as_deref());
        set_some(&mut value, "server", audio.server_name.as_deref());
        set_some(&mut value, "try-mmap", audio.try_mmap);
        set_some(&mut value, "exclusive", audio.exclusive);
        set_some(&mut value, "dsp-policy", audio.dsp_policy.map(i64::from));
        for (key, one) in [("in", &audio.input), ("out", &audio.output)] {
            set_some(&mut value, key, one.as_ref().and_then(|one| stream(audio.kind, one)));
        }
        builder.option("audiodev", value);
        if let Some(driver) = &audio.driver {
            builder.launch.environment.push(("SDL_AUDIODRIVER".to_owned(), driver.clone()));
        }
    }
    Ok(())
}

fn driver(audio: &Audio) -> &'static str {
    match audio.kind {
        AudioType::PulseAudio => "pa",
        AudioType::File => "wav",
        other => other.as_str(),
    }
}

/// One direction; none when the document says nothing about it.
fn stream(kind: AudioType, stream: &AudioStream) -> Option<Value> {
    let mut value = Value::mapping();
    set_some(&mut value, "mixing-engine", stream.mixing_engine);
    set_some(&mut value, "fixed-settings", stream.fixed_settings);
    set_some(&mut value, "voices", stream.voices);
    set_some(&mut value, "buffer-length", stream.buffer_length_us);
    if let Some(settings) = &stream.settings {
        set_some(&mut value, "frequency", settings.frequency_hz);
        set_some(&mut value, "channels", settings.channels);
        set_some(&mut value, "format", settings.format.map(AudioFormat::as_str));
    }
    set_some(&mut value, "dev", stream.dev.as_deref());
    set_some(&mut value, "buffer-count", stream.buffer_count);
    set_some(&mut value, "try-poll", stream.try_poll);
    set_some(
        &mut value,
        if kind == AudioType::Jack { "client-name" } else { "name" },
        stream.name.as_deref(),
    );
    set_some(&mut value, "server-name", stream.server_name.as_deref());
    set_some(&mut value, "client-name", stream.client_name.as_deref());
    set_some(&mut value, "connect-ports", stream.connect_ports.as_deref());
    set_some(&mut value, "exact-name", stream.exact_name);
    set_some(&mut value, "latency", stream.latency_us);
    let Value::Mapping(entries) = &value else { return None };
    (!entries.is_empty()).then_some(value)
}

/// All sound cards.
pub(super) fn sounds(builder: &mut Builder<'_>) -> Result<(), Error> {
    for sound in builder.domain.devices.sounds.iter().filter(|sound| sound.model != "pcspk") {
        let has_codecs = matches!(sound.model.as_str(), "ich6" | "ich9");
        let driver = match sound.model.as_str() {
            "ac97" => "AC97",
            "es1370" => "ES1370",
            "sb16" => "sb16",
            "usb" => "usb-audio",
            "ich6" => "intel-hda",
            "ich9" => "ich9-intel-hda",
            other => {
                return Err(builder
                    .unsupported(sound.node, &format!("of model '{other}' is not known to this driver")));
            }
        };
        let mut value = Value::mapping().with("driver", driver).with("id", builder.id(sound.node)?);
        if !has_codecs {
            set_some(&mut value, "audiodev", backend(builder, sound.audio_id));
            set_some(&mut value, "multi", sound.multichannel);
        }
        builder.place(&mut value, sound.node, &sound.info)?;
        builder.device(sound.node, value);
        if has_codecs {
            add_codecs(builder, sound)?;
        }
    }
    Ok(())
}

/// What a card for high-definition audio is made complete with.
fn add_codecs(builder: &mut Builder<'_>, sound: &Sound) -> Result<(), Error> {
    let alias = builder.id(sound.node)?;
    let duplex = [String::from("duplex")];
    let codecs = if sound.codecs.is_empty() { duplex.as_slice() } else { &sound.codecs };
    for (position, codec) in (0_u32..).zip(codecs) {
        let mut value = Value::mapping()
            .with("driver", format!("hda-{codec}"))
            .with("id", format!("{alias}-codec{position}"))
            .with("bus", format!("{alias}.0"))
            .with("cad", position);
        set_some(&mut value, "audiodev", backend(builder, sound.audio_id));
        builder.bare_device(value);
    }
    Ok(())
}
