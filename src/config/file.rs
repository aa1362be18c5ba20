//! The configuration file's text: as it is, or once nobody writes it any more. What it says is not looked at here.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use super::ConfigProblem;

/// It is read up to here; 10,000 accounts take about 3 MiB.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// A file that reads the same after this long is not being written.
const SETTLED: Duration = Duration::from_millis(100);
/// How often it is looked at again before the reload is given up.
const LOOKS: u32 = 20;

/// What the file says, or why it cannot be read. Without a file: the empty text.
pub(super) type Text = Result<String, ConfigProblem>;

/// The file's text, as it is at this moment.
pub(super) fn text(path: &Path) -> Text {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        let cure = match error.kind() {
            // What an engine mounts where the file to mount is missing.
            std::io::ErrorKind::IsADirectory => "give the file; a container engine makes a folder where there is none to mount",
            _ => "check the path and its rights",
        };
        ConfigProblem::new(name(), format!("cannot be read ({}); {cure}", crate::runtime::io_words(error.kind())))
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigProblem::new(name(), format!("is larger than {MAX_FILE_BYTES} bytes; is it the right file?")));
    }
    String::from_utf8(bytes).map_err(|_| ConfigProblem::new(name(), "is not UTF-8 text; save it as UTF-8"))
}

/// The text of a file that is in use, once nobody writes it any more; blocks for [`SETTLED`] where the file lies still.
pub(super) fn settled_text(path: &Path) -> Text {
    let name = path.display().to_string();
    #[expect(clippy::disallowed_methods, reason = "there is no condition to wait for: a file does not tell when it is whole")]
    let pause = || std::thread::sleep(SETTLED);
    settled(&name, || text(path), pause)
}

/// What two looks in a row agree on. Many tools empty a file before they fill it, and the beginning of a configuration is one too; so is
/// the empty file, which is refused.
fn settled(name: &str, mut look: impl FnMut() -> Text, mut pause: impl FnMut()) -> Text {
    let mut seen = look();
    for _ in 0..LOOKS {
        pause();
        let now = look();
        if now != seen {
            seen = now;
            continue;
        }
        let table = now.as_ref().map(|text| toml::from_str::<toml::Table>(text));
        let empty = table.is_ok_and(|table| table.is_ok_and(|table| table.is_empty()));
        return if empty { Err(ConfigProblem::new(name, "holds no key; write it whole, then reload")) } else { now };
    }
    Err(ConfigProblem::new(name, "changes all the time; reload when it is written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the looks bring, the last again and again; and how many there were.
    fn settle(looks: &[&str]) -> (Text, usize) {
        let mut taken = 0;
        let look = || {
            taken += 1;
            Ok(looks[(taken - 1).min(looks.len() - 1)].to_owned())
        };
        (settled("gateway.toml", look, || {}), taken)
    }

    #[test]
    fn a_file_is_taken_when_two_looks_in_a_row_agree() {
        assert_eq!(settle(&["[log]"]), (Ok("[log]".to_owned()), 2));
        assert_eq!(settle(&["", "[server]", "[server]\n[log]"]), (Ok("[server]\n[log]".to_owned()), 4));
    }

    #[test]
    fn a_file_without_a_key_or_one_that_never_rests_is_refused() {
        for empty in ["", " \n", "# nothing yet\n"] {
            let problem = settle(&["[log]", empty]).0.unwrap_err();
            assert!(problem.key == "gateway.toml" && problem.message.contains("no key"), "{problem}");
        }
        let changing: Vec<String> = (0..50).map(|n| format!("# {n}")).collect();
        let (problem, looks) = settle(&changing.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(problem.unwrap_err().message.contains("changes all the time"));
        assert!(looks <= 21, "{looks} looks");
    }

    #[test]
    fn what_cannot_be_read_is_told_and_so_is_bad_text() {
        let gone = || Err(ConfigProblem::new("gateway.toml", "cannot be read"));
        assert_eq!(settled("gateway.toml", gone, || {}), gone());
        assert_eq!(settle(&["[server"]).0, Ok("[server".to_owned()), "its place is told by whoever reads it");
    }
}
