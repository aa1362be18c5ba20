//! Child processes under measurement: on which core, with what CPU time, memory and system calls.
//!
//! Linux only: it reads `/proc`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, kill_process, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// A child that is killed when dropped.
pub struct Measured {
    child: Child,
}

impl Measured {
    /// Starts a program on core 0, by way of [`leash`]; this process goes back to core 1.
    pub fn spawn(program: &OsStr, args: &[&OsStr], pipes: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("leash").arg(std::process::id().to_string()).arg(program).args(args);
        pin(0); // children inherit it
        let child = pipes(&mut command).spawn();
        pin(1);
        Ok(Self { child: child.with_context(|| format!("{} cannot be started", program.display()))? })
    }

    /// Lines of the child's stderr, which must be a pipe.
    pub fn log(&mut self) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
        Ok(BufReader::new(self.child.stderr.take().context("stderr is no pipe")?).lines())
    }

    pub fn out(&mut self) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
        Ok(BufReader::new(self.child.stdout.take().context("stdout is no pipe")?).lines())
    }

    /// CPU time of all of its threads so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let nanos = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        nanos.sum::<f64>() / 1e9
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    }

    /// The socket writes that `work` makes it do, counted by `strace`; `None` where that cannot be had.
    pub fn socket_writes(&self, dir: &Path, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Option<u64>> {
        let (file, pid) = (dir.join("strace"), self.child.id().to_string());
        let calls = "trace=sendto,sendmsg,writev";
        let started =
            Command::new("strace").args(["-f", "-c", "-e", calls, "-p", &pid, "-o"]).arg(&file).stderr(Stdio::piped()).spawn();
        let Ok(mut strace) = started else { return Ok(None) };
        let mut lines = BufReader::new(strace.stderr.take().context("stderr is a pipe")?).lines();
        let attached = lines.next().and_then(Result::ok).is_some_and(|line| line.contains("attached"));
        if attached {
            pause(Duration::from_millis(200)); // it attaches to the other threads one by one
            work()?;
        }
        let id = rustix::process::Pid::from_child(&strace);
        _ = kill_process(id, Signal::INT);
        strace.wait()?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        // % time, seconds, usecs/call, calls, [errors], name
        let calls = text.lines().filter(|line| ["sendto", "sendmsg", "writev"].iter().any(|name| line.ends_with(name)));
        let counts = calls.filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        Ok(attached.then(|| counts.sum()))
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What a child does first: it asks to be killed when its parent ends, however that ends, and becomes the program that it is told.
pub fn leash(args: &[String]) -> anyhow::Result<()> {
    let [parent, program, args @ ..] = args else { anyhow::bail!("leash takes a parent and a program") };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let still = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string() == *parent);
    anyhow::ensure!(still, "the parent has ended");
    Err(Command::new(program).args(args).exec()).with_context(|| format!("{program} cannot be started"))
}

/// Binds this thread to a core, where there are two.
pub fn pin(core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(core);
    // Once pinned, one core is all that is seen; on a machine that has but one, the call fails and nothing is bound.
    if cores >= 1 {
        _ = sched_setaffinity(None, &set);
    }
}

/// Raises the bound on open files as far as allowed and tells it.
pub fn open_files() -> anyhow::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.map_or(usize::MAX, |n| n as usize))
}

/// What else this machine does: figures are only as good as that.
pub fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Waits by the clock. Load is made of time: there is no condition to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "a load is paced by the clock, and a reader asleep in epoll would cost an interrupt a frame"
)]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
