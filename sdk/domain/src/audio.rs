//! `<audio>`: where sound goes on the host.

use crate::document::NodeId;
use crate::error::{XmlError, XmlErrorKind};
use crate::fragment::Fragment;
use crate::read::Element;

keywords! {
    /// Where sound goes on the host.
    AudioType {
        None = "none", Alsa = "alsa", CoreAudio = "coreaudio", Jack = "jack", Oss = "oss",
        PulseAudio = "pulseaudio", Sdl = "sdl", Spice = "spice", File = "file", Dbus = "dbus",
        Pipewire = "pipewire",
    }
}
keywords! {
    /// How a sample is written.
    AudioFormat {
        S8 = "s8", U8 = "u8", S16 = "s16", U16 = "u16", S32 = "s32", U32 = "u32", F32 = "f32",
    }
}

/// An audio backend; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// The element.
    pub node: NodeId,
    /// Its id, from 1.
    pub id: u32,
    /// Where sound goes.
    pub kind: AudioType,
    /// How often the backend is asked, in microseconds.
    pub timer_period_us: Option<u32>,
    /// Host path of the file.
    pub path: Option<String>,
    /// Name of the server.
    pub server_name: Option<String>,
    /// Driver below SDL.
    pub driver: Option<String>,
    /// Whether memory is mapped (oss).
    pub try_mmap: Option<bool>,
    /// Whether the device is taken for itself (oss).
    pub exclusive: Option<bool>,
    /// Timing policy (oss).
    pub dsp_policy: Option<i32>,
    /// From the host to the guest.
    pub input: Option<AudioStream>,
    /// From the guest to the host.
    pub output: Option<AudioStream>,
}

/// One direction of an audio backend; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioStream {
    /// Whether the hypervisor mixes.
    pub mixing_engine: Option<bool>,
    /// Whether the settings are kept.
    pub fixed_settings: Option<bool>,
    /// Number of voices.
    pub voices: Option<u32>,
    /// Length of the buffer, in microseconds.
    pub buffer_length_us: Option<u32>,
    /// Number of buffers.
    pub buffer_count: Option<u32>,
    /// The host's device.
    pub dev: Option<String>,
    /// Whether the device is polled.
    pub try_poll: Option<bool>,
    /// Name of the stream.
    pub name: Option<String>,
    /// Name of the server (jack).
    pub server_name: Option<String>,
    /// Name of the client (jack).
    pub client_name: Option<String>,
    /// Pattern of ports to connect (jack).
    pub connect_ports: Option<String>,
    /// Whether the name is kept (jack).
    pub exact_name: Option<bool>,
    /// Latency, in microseconds.
    pub latency_us: Option<u32>,
    /// Rate and form of the samples.
    pub settings: Option<AudioSettings>,
}

/// `<settings>`: rate and form of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AudioSettings {
    /// Samples per second.
    pub frequency_hz: Option<u32>,
    /// Number of channels.
    pub channels: Option<u32>,
    /// How a sample is written.
    pub format: Option<AudioFormat>,
}

impl Audio {
    pub(crate) fn read(audio: Element<'_>) -> Result<Self, XmlError> {
        let policy = audio.signed("dspPolicy")?;
        Ok(Self {
            node: audio.node,
            id: match audio.need_number("id")? {
                0 => {
                    let message = "audio back ends are numbered from 1".to_owned();
                    return Err(audio.fault(Some("id"), XmlErrorKind::OutOfRange, message));
                }
                id => id,
            },
            kind: audio.need_keyword("type")?,
            timer_period_us: audio.number("timerPeriod")?,
            path: audio.filled("path"),
            server_name: audio.filled("serverName"),
            driver: audio.filled("driver"),
            try_mmap: audio.yes_no("tryMMap")?,
            exclusive: audio.yes_no("exclusive")?,
            dsp_policy: policy.and_then(|policy| i32::try_from(policy).ok()),
            input: audio.maybe("input", read_stream)?,
            output: audio.maybe("output", read_stream)?,
        })
    }
}

fn read_stream(stream: Element<'_>) -> Result<AudioStream, XmlError> {
    Ok(AudioStream {
        mixing_engine: stream.yes_no("mixingEngine")?,
        fixed_settings: stream.yes_no("fixedSettings")?,
        voices: stream.number("voices")?,
        buffer_length_us: stream.number("bufferLength")?,
        buffer_count: stream.number("bufferCount")?,
        dev: stream.filled("dev"),
        try_poll: stream.yes_no("tryPoll")?,
        name: stream.filled("name"),
        server_name: stream.filled("serverName"),
        client_name: stream.filled("clientName"),
        connect_ports: stream.filled("connectPorts"),
        exact_name: stream.yes_no("exactName")?,
        latency_us: stream.number("latency")?,
        settings: stream.maybe("settings", |settings| {
            Ok(AudioSettings {
                frequency_hz: settings.number("frequency")?,
                channels: settings.number("channels")?,
                format: settings.keyword("format")?,
            })
        })?,
    })
}

/// An audio backend to be added to a document.
pub fn new_audio(id: u32, kind: AudioType) -> Fragment {
    Fragment::new("audio").attribute("id", id).attribute("type", kind)
}
