//! `<launchSecurity>`: guests whose memory the host cannot read.

use crate::error::XmlError;
use crate::read::Element;

/// How the guest's memory is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchSecurity {
    /// AMD SEV and SEV-ES.
    Sev(Sev),
    /// IBM secure execution.
    S390Pv,
}

/// AMD SEV; none where the document is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sev {
    /// Policy bits; bit 2 asks for SEV-ES.
    pub policy: u32,
    /// Position of the encryption bit.
    pub cbitpos: Option<u32>,
    /// Physical address bits lost.
    pub reduced_phys_bits: Option<u32>,
    /// Certificate of the guest's owner, base 64.
    pub dh_cert: Option<String>,
    /// Session of the guest's owner, base 64.
    pub session: Option<String>,
    /// Whether the directly booted kernel is measured.
    pub kernel_hashes: Option<bool>,
}

impl LaunchSecurity {
    pub(crate) fn read(security: Element<'_>) -> Result<Self, XmlError> {
        match security.need("type")? {
            "sev" => read_sev(security).map(Self::Sev),
            "s390-pv" => Ok(Self::S390Pv),
            other => Err(security.unknown(Some("type"), other, &["sev", "s390-pv"])),
        }
    }
}

fn read_sev(security: Element<'_>) -> Result<Sev, XmlError> {
    let policy = security.need_child("policy")?;
    let text = policy.word();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let radix = if digits.len() == text.len() { 10 } else { 16 };
    let number = u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'));
    Ok(Sev {
        policy: number.ok_or_else(|| policy.invalid(None, &text, "a number of up to 32 bits"))?,
        cbitpos: security.maybe("cbitpos", Element::content_number)?,
        reduced_phys_bits: security.maybe("reducedPhysBits", Element::content_number)?,
        dh_cert: security.text_of("dhCert"),
        session: security.text_of("session"),
        kernel_hashes: security.yes_no("kernelHashes")?,
    })
}
