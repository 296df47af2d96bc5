//! Closing what a maker left open by mistake: a shell's redirections, a test harness's pipes.

use std::io;
use std::os::fd::RawFd;

/// Closes every descriptor but the three standard ones.
///
/// Our own are all closed on exec; these come from whoever started `hostler`. Left open, they would reach the
/// hypervisor (a hole in its cage) and stay open as long as the guest runs.
///
/// To be called first of all in a program: nothing that it has opened itself is spared.
///
/// # Errors
/// Its own `/proc` cannot be read.
#[expect(
    unsafe_code,
    reason = "no safe call closes a descriptor that no value owns; the kernel offers no other way"
)]
pub fn close_all() -> io::Result<()> {
    let mut inherited: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        inherited.extend(number.filter(|number: &RawFd| *number > 2));
    }
    // The descriptor that read the directory is among them, and closed by now.
    inherited.retain(|number| std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok());
    for number in inherited {
        // SAFETY: the first thing the program does, in its only thread: no value owns a descriptor above 2
        // yet, and each of these is open.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}
