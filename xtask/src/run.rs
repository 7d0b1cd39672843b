//! Running commands: each is printed before it runs, and named if it fails.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a task comes to; the failure is a sentence for people.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a task failed.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask).parent().map_or_else(|| ".".into(), Path::to_path_buf)
}

/// A command to run in the workspace's folder.
pub(crate) struct Run {
    program: String,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Run {
    /// A program and its arguments, separated by spaces.
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split_whitespace().map(str::to_owned);
        let program = words.next().unwrap_or_default();
        Self { program, arguments: words.collect(), variables: Vec::new() }
    }

    /// An argument that may contain spaces.
    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub(crate) fn args(mut self, arguments: &[String]) -> Self {
        self.arguments.extend_from_slice(arguments);
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Runs it, its output to the terminal.
    pub(crate) fn go(self) -> Outcome {
        eprintln!("$ {self}");
        match self.command().status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure(format!("`{self}` ended with {status}"))),
            Err(error) => Err(Failure(format!("`{self}` did not start: {error}"))),
        }
    }

    /// Runs it and returns what it printed to its standard output.
    pub(crate) fn output(self) -> Result<String, Failure> {
        eprintln!("$ {self}");
        let output = self.command().stderr(Stdio::inherit()).output();
        match output {
            Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(output) => {
                eprint!("{}", String::from_utf8_lossy(&output.stdout));
                Err(Failure(format!("`{self}` ended with {}", output.status)))
            }
            Err(error) => Err(Failure(format!("`{self}` did not start: {error}"))),
        }
    }

    /// Whether it succeeds, quietly and within a time; past it the command is ended.
    pub(crate) fn succeeds_within(self, limit: Duration) -> bool {
        let quiet = self.command().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = quiet else { return false };
        let begun = Instant::now();
        while begun.elapsed() < limit {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(50)),
                Err(_) => break,
            }
        }
        // It is ours and late; that it may just have ended by itself is no failure.
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(root());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={value:?} ")?;
        }
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| {
            if argument.contains(' ') { write!(f, " {argument:?}") } else { write!(f, " {argument}") }
        })
    }
}

/// Whether a tool answers to its version question.
pub(crate) fn installed(line: &str) -> bool {
    Run::new(line).succeeds_within(Duration::from_secs(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command_that_failed() {
        let failure = Run::new("cargo no-such-subcommand").env("LANG", "C").go().unwrap_err();
        assert!(
            failure.to_string().starts_with("`LANG=\"C\" cargo no-such-subcommand` ended with"),
            "{failure}"
        );
        let failure = Run::new("no-such-program --flag").go().unwrap_err();
        assert!(failure.to_string().starts_with("`no-such-program --flag` did not start"), "{failure}");
    }

    #[test]
    fn command_past_its_time_is_ended_and_did_not_succeed() {
        let begun = Instant::now();
        assert!(!Run::new("sleep 30").succeeds_within(Duration::from_millis(100)));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(installed("cargo --version") && !installed("no-such-program"));
    }
}
