//! The wall of seccomp: system calls that no hypervisor needs once it runs. Data: the lists below.
//!
//! It is there before the program, so it cannot refuse what loading a program takes; QEMU's own filter, which is
//! demanded by its template, adds to it.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::plan::CagePlan;
use super::{Wall, WallFailure};

/// Refused with EPERM: mounts and namespaces, other processes, keys, the kernel itself, and interfaces whose
/// attack surface is not worth what a hypervisor could do with them.
const DENIED: &[libc::c_long] = &[
    // mounts and roots
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // namespaces
    libc::SYS_unshare,
    libc::SYS_setns,
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // keys, which belong to users and not to namespaces
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // programs inside the kernel, and looking into it
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    // files by number instead of by name
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // who may open a file, which its owner could change, and the program is the owner of some on its own mounts
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SYS_SETXATTRAT,
    SYS_REMOVEXATTRAT,
    SYS_FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    // the machine
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];
/// Newer calls, which have one number on every architecture.
const SYS_SETXATTRAT: libc::c_long = 463;
const SYS_REMOVEXATTRAT: libc::c_long = 466;
const SYS_FILE_SETATTR: libc::c_long = 469;
/// All that a process in a cell may call, whatever the arguments.
const COMPUTING: &[libc::c_long] = &[
    // what it has open
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_close,
    // memory, beside what is below
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // threads and their ends
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // traps of guest code
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // time and seeds of hashes
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_getrandom,
];
/// The one thing that a cell may ask of `prctl`: a name for a thread.
const NAME_A_THREAD: u64 = libc::PR_SET_NAME as u64;
/// Refused unless the launch asks for it: a large surface whose requests no filter sees.
const RING: &[libc::c_long] =
    &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
/// What a file server is for, and what it locks itself into its folder with. Threads of it leave the shared current directory.
const SERVING: &[libc::c_long] = &[
    libc::SYS_chroot,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];
/// Calls that give a file a mode, and which argument that is.
const MODES: &[(libc::c_long, u8)] = &[
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (libc::SYS_mknodat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
];
/// Calls that give a file a mode when they make it: which arguments say that they do, and what the mode is.
const OPENS: &[(libc::c_long, u8, u8)] = &[
    (libc::SYS_openat, 2, 3),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1, 2),
];
/// Flags with which a file is made: `O_CREAT`, and what `O_TMPFILE` has beside `O_DIRECTORY`.
const MAKES: [u64; 2] = [0o100, 0o20_000_000];
/// Modes that give whoever runs a file the rights of its owner, or of its group.
const RIGHTS_MODE: &[u64] = &[0o4000, 0o2000];
/// What a program may let files be that sets modes: read and written by their owner.
const OWNERS_MODE: u64 = 0o600;
/// What a program confines itself with: namespaces, and a root without anything. All of this stands around it already, and
/// nothing of it is done again: it is answered as if it was.
const CONFINING: &[libc::c_long] =
    &[libc::SYS_unshare, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root];
/// Families of sockets that are not refused: local, IPv4, IPv6, and what reads addresses of interfaces.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// Namespaces that a new process could be made in.
const NEW_NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];
/// Requests that put input into somebody's terminal.
const TERMINAL_REQUESTS: &[libc::c_ulong] = &[libc::TIOCSTI, libc::TIOCLINUX];
/// Requests that change a tap device beyond its traffic: who may open it, whether it outlives its descriptors, its
/// address on the host.
const TAP_REQUESTS: &[libc::c_ulong] = &[
    0x4004_54cb, // TUNSETPERSIST
    0x4004_54cc, // TUNSETOWNER
    0x4004_54ce, // TUNSETGROUP
    0x4004_54cd, // TUNSETLINK
    libc::SIOCSIFHWADDR,
];
/// The number of an error that is none: the call answers 0, and is not made.
const DONE: i32 = 0;
/// What the second set of numbers that x86-64 has for its calls (x32) differs by.
#[cfg(target_arch = "x86_64")]
const SECOND_NUMBERS: i64 = 0x4000_0000;

/// Puts the filters in place, for this process and all that it starts.
pub(crate) fn apply(plan: &CagePlan) -> Result<(), WallFailure> {
    install(programs(plan))
}

/// Puts the filters of a file server in place: as [`apply`], but it sets the modes, owners and attributes of files, and no mode
/// that gives whoever runs a file the rights of its owner or group. Nothing else of it is wider.
pub(crate) fn apply_serving() -> Result<(), WallFailure> {
    install(serving())
}

/// Puts filters in place that let this process compute, talk over what it has open, make threads, and nothing else.
pub(crate) fn apply_computing() -> Result<(), WallFailure> {
    install(computing())
}

fn install(programs: Result<Vec<BpfProgram>, seccompiler::Error>) -> Result<(), WallFailure> {
    let failed = |error: String| {
        Wall::Seccomp.failed("filter system calls", error).hint("the kernel must have CONFIG_SECCOMP_FILTER")
    };
    for program in programs.map_err(|error| failed(error.to_string()))? {
        apply_filter(&program).map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
}

fn programs(plan: &CagePlan) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut denied = denied(plan)?;
    if !plan.confines_itself {
        return Ok(vec![compile(denied, libc::EPERM)?, absent()?]);
    }
    let mut confining = BTreeMap::new();
    for number in CONFINING {
        denied.remove(number);
        confining.insert(*number, Vec::new());
    }
    Ok(vec![compile(denied, libc::EPERM)?, compile(confining, DONE)?, absent()?])
}

fn serving() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut denied = denied(&CagePlan::default())?;
    for number in SERVING {
        denied.remove(number);
    }
    // Calls whose modes no filter sees.
    denied.insert(libc::SYS_openat2, Vec::new());
    for (number, argument) in MODES {
        let mut gives = Vec::new();
        for bit in RIGHTS_MODE {
            gives.push(SeccompRule::new(vec![condition(*argument, SeccompCmpOp::MaskedEq(*bit), *bit)?])?);
        }
        denied.insert(*number, gives);
    }
    for (number, flags, mode) in OPENS {
        let mut gives = Vec::new();
        for (bit, makes) in RIGHTS_MODE.iter().flat_map(|bit| MAKES.map(|makes| (*bit, makes))) {
            let makes = condition(*flags, SeccompCmpOp::MaskedEq(makes), makes)?;
            gives.push(SeccompRule::new(vec![makes, condition(*mode, SeccompCmpOp::MaskedEq(bit), bit)?])?);
        }
        denied.insert(*number, gives);
    }
    denied.insert(libc::SYS_unshare, new_namespaces()?);
    Ok(vec![compile(denied, libc::EPERM)?, absent()?])
}

/// A call whose first argument asks for a new namespace.
fn new_namespaces() -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let mut rules = Vec::new();
    for flag in NEW_NAMESPACES {
        let bit = u64::from(flag.unsigned_abs());
        rules.push(SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(bit), bit)?])?);
    }
    Ok(rules)
}

/// The calls that are refused, and with which arguments.
fn denied(plan: &CagePlan) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|number| (*number, Vec::new())).collect();
    if !plan.io_uring {
        denied.extend(RING.iter().map(|number| (*number, Vec::new())));
    }
    if plan.sets_modes {
        let mut others = Vec::new();
        for bit in (0..12).map(|bit| 1 << bit).filter(|bit| bit & OWNERS_MODE == 0) {
            others.push(SeccompRule::new(vec![condition(1, SeccompCmpOp::MaskedEq(bit), bit)?])?);
        }
        denied.insert(libc::SYS_fchmod, others);
    }
    let other_family: Result<Vec<_>, _> =
        FAMILIES.iter().map(|family| condition(0, SeccompCmpOp::Ne, family.unsigned_abs().into())).collect();
    denied.insert(libc::SYS_socket, vec![SeccompRule::new(other_family?)?]);
    denied.insert(libc::SYS_clone, new_namespaces()?);
    let mut requests = Vec::new();
    for request in TERMINAL_REQUESTS.iter().chain(TAP_REQUESTS) {
        requests.push(SeccompRule::new(vec![condition(1, SeccompCmpOp::Eq, *request)?])?);
    }
    denied.insert(libc::SYS_ioctl, requests);
    Ok(denied)
}

/// Its flags are in memory, where no filter looks; without it the C library falls back to clone.
fn absent() -> Result<BpfProgram, seccompiler::Error> {
    compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)
}

fn computing() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        COMPUTING.iter().map(|number| (*number, Vec::new())).collect();
    // Refused as absent by the other filter.
    allowed.insert(libc::SYS_clone3, Vec::new());
    let only = |argument, mask: u64, value: u64| {
        SeccompRule::new(vec![condition(argument, SeccompCmpOp::MaskedEq(mask), value)?])
            .map(|rule| vec![rule])
    };
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    allowed.insert(libc::SYS_clone, only(0, thread, thread)?);
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    allowed.insert(libc::SYS_mmap, only(2, executable, 0)?);
    allowed.insert(libc::SYS_mprotect, only(2, executable, 0)?);
    allowed.insert(libc::SYS_prctl, only(0, u64::from(u32::MAX), NAME_A_THREAD)?);
    let architecture = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(allowed, refuse, SeccompAction::Allow, architecture)?;
    Ok(vec![absent()?, filter.try_into()?])
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn compile(mut rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    #[cfg(target_arch = "x86_64")]
    for (number, rule) in rules.clone() {
        rules.insert(number | SECOND_NUMBERS, rule);
    }
    let architecture = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compile_and_fit_the_kernel() {
        let usual = CagePlan::default;
        let ring = CagePlan { io_uring: true, ..usual() };
        let modes = CagePlan { sets_modes: true, ..usual() };
        let confining = CagePlan { confines_itself: true, ..usual() };
        for plan in [&usual(), &ring, &modes, &confining] {
            for program in programs(plan).unwrap() {
                // BPF_MAXINSNS
                assert!((1..=4096).contains(&program.len()), "{}", program.len());
            }
        }
        assert!(programs(&usual()).unwrap()[0].len() > programs(&ring).unwrap()[0].len());
        for program in serving().unwrap() {
            assert!((1..=4096).contains(&program.len()), "{}", program.len());
        }
        for program in computing().unwrap() {
            assert!((1..=4096).contains(&program.len()), "{}", program.len());
        }
    }
}
