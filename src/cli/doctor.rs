//! `dagwood doctor`: looks at everything that a run would lean on, and says for each whether it holds, why not, and what to do.
//!
//! ```text
//! project file ─▶ state, lock, artifacts, staging ─▶ each account: key, API, credits, clock, rate
//! ```
//!
//! Every check is made, whatever came of the others, but for those that need it. The command ends with the code of the first that
//! failed: 3 for files, 4 for keys and permissions, 5 for credits, 1 for the machine and the network. A warning fails nothing.

use std::{fmt::Write as _, fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    account, args,
    context::Context,
    failure::{Exit, Failure, chain, plain},
    home::Home,
    open::Backend,
    printer::Stream,
    reading,
    remote::Remote,
    remotes::{Door, Remotes},
};
use crate::{
    artifact::{Root, staging as stores},
    job::{Fault, FaultKind},
    journal::Journal,
    provider::{Account, Answer, Rate, RateHint},
    run::Bounds,
};

/// How far clocks may part: every answer that has a time says it in whole seconds, and takes some to come.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It holds.
    Ok,
    /// It holds, and something is odd about it.
    Warn,
    /// It does not hold.
    Failed,
    /// There is nothing to check.
    Off,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Failed => "failed",
            Self::Off => "-",
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    /// What was looked at.
    #[serde(rename = "check")]
    name: String,
    verdict: Verdict,
    /// What was found.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// The code that it ends the command with, where it failed.
    #[serde(skip)]
    exit: Exit,
}

impl Check {
    fn new(name: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, message: message.into(), help: None, exit: Exit::Failed }
    }

    fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, message)
    }

    fn failed(check: impl Into<String>, exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, ..Self::new(check, Verdict::Failed, message) }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Takes a failure for what was found.
    fn of(check: impl Into<String>, failure: &Failure) -> Self {
        let found = Self::failed(check, failure.exit(), reading::sentence(failure));
        let help = match failure {
            Failure::Other(complaint) => complaint.help.clone(),
            Failure::Invalid(wrong) => wrong.iter().find_map(|wrong| wrong.help.clone()),
        };
        Self { help, ..found }
    }
}

/// Checks everything.
pub(crate) fn run(context: &Context, args: &args::Doctor) -> Result<Exit, Failure> {
    let home = match context.home() {
        Ok(home) => home,
        Err(failure) => {
            tell(context, &[Check::of("project", &failure)]);
            if let (Failure::Invalid(wrong), false) = (&failure, super::is_json(context)) {
                context.printer.problem(&reading::render(&context.printer, wrong, Stream::Err));
            }
            return Ok(failure.exit());
        }
    };
    let backend = Backend::open(context, &home, args.sandbox, None)?;
    let remotes = backend.remotes(context, &home, Vec::new());
    let mut checks = vec![project(context, &home)];
    checks.push(state(context, &home));
    checks.push(lock(&home));
    checks.push(match home.artifacts() {
        Root::Folder(path) => folder(context, "artifacts", &path),
        Root::Objects(place) => backend.block_on(artifacts(&home, &place)),
    });
    checks.push(backend.block_on(staging(&home, args.sandbox)));
    checks.extend(
        backend
            .block_on(async {
                let accounts = remotes.doors().iter().map(|door| account(&home, &remotes, door));
                futures_util::future::join_all(accounts).await
            })
            .into_iter()
            .flatten(),
    );
    if remotes.doors().iter().all(|door| !remotes.is_configured(door)) {
        let failure = remotes.chosen(None, |_| true).err();
        checks.extend(failure.map(|failure| Check::of("keys", &failure)));
    }
    tell(context, &checks);
    let first = checks.iter().find(|check| check.verdict == Verdict::Failed);
    Ok(first.map_or(Exit::Done, |check| check.exit))
}

fn project(context: &Context, home: &Home) -> Check {
    let accounts = home.file.project.accounts().len();
    if let Some((source, _)) = &home.file.written {
        Check::ok("project", format!("`{}` is valid; {accounts} providers", source.name))
    } else {
        let root = context.shorten(&home.root);
        Check::new("project", Verdict::Off, format!("no `dagwood.yaml`; the root is `{}`", root.display()))
    }
}

/// Opens the journal where there is one; a mere look makes none.
fn state(context: &Context, home: &Home) -> Check {
    let state = home.state();
    let shown = context.shorten(&state);
    if !state.join("state.db").exists() {
        return folder(context, "state", &state);
    }
    match Journal::open(&state) {
        Ok(_) => Check::ok("state", format!("the journal in `{}` opens", shown.display())),
        Err(error) => Check::of("state", &Failure::journal("open the journal", &error)),
    }
}

fn lock(home: &Home) -> Check {
    match home.locked() {
        Ok(Some(locked)) => Check::ok("lock", format!("`dagwood.lock` holds {} contracts", locked.len())),
        Ok(None) => Check::new("lock", Verdict::Off, "no `dagwood.lock`; `dagwood lock` writes one"),
        Err(failure) => Check::of("lock", &failure),
    }
}

/// Checks that files can be made in a folder, or that the folder itself can be made.
fn folder(context: &Context, check: &str, path: &Path) -> Check {
    let shown = context.shorten(path).display().to_string();
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    let help = "give the folder to the user that runs workflows, or name another one in the project file";
    if !there.is_dir() {
        let message = format!("`{shown}` cannot be a folder: `{}` is a file", context.shorten(there).display());
        return Check::failed(check, Exit::Failed, message).help(help);
    }
    let probe = there.join(format!(".dagwood-doctor-{:016x}", context.world.random()));
    let written =
        fs::OpenOptions::new().write(true).create_new(true).open(&probe).and_then(|_| fs::remove_file(&probe));
    match written {
        Ok(()) if there == path => Check::ok(check, format!("`{shown}` can be written")),
        Ok(()) => Check::ok(check, format!("`{shown}` can be made when it is needed")),
        Err(error) => {
            let message = format!("`{}` cannot be written: {}", context.shorten(there).display(), plain(&error));
            Check::failed(check, Exit::Failed, message).help(help)
        }
    }
}

/// Writes, fetches and deletes a tiny object in the store that files are saved to.
async fn artifacts(home: &Home, place: &str) -> Check {
    let opened = home.store(&home.artifacts(), home.world.run_id()).map(|_| stores::open(place, &home.world));
    match opened {
        Ok(Ok(store)) => match store.check().await {
            Ok(()) => Check::ok("artifacts", format!("`{place}` can be written")),
            Err(error) => Check::failed("artifacts", Exit::Failed, format!("`{place}`: {}", chain(&error)))
                .help("check the bucket's name, and that the credentials may read, write and delete there"),
        },
        Ok(Err(problem)) => Check::failed("artifacts", Exit::Failed, problem.to_string()),
        Err(failure) => Check::of("artifacts", &failure),
    }
}

/// Writes, fetches and deletes a tiny object, as an API would fetch it.
async fn staging(home: &Home, sandbox: bool) -> Check {
    if sandbox {
        return Check::new("staging", Verdict::Off, "the emulator keeps files itself");
    }
    match home.staging() {
        Ok(None) => Check::new("staging", Verdict::Off, "none; Armox and AIRMY take local files through a store only"),
        Ok(Some(store)) => match store.check().await {
            Ok(()) => Check::ok("staging", format!("`{}` takes a file and hands it out", store.place())),
            Err(error) => Check::failed("staging", Exit::Failed, format!("`{}`: {}", store.place(), chain(&error)))
                .help("check the bucket's name, and that the credentials may read, write and delete there"),
        },
        Err(failure) => Check::of("staging", &failure),
    }
}

/// Checks one account.
async fn account(home: &Home, remotes: &Remotes, door: &Door) -> Vec<Check> {
    let origin = door.origin();
    let name = |what: &str| format!("{} {what}", door.alias);
    let remote = match remotes.find(door) {
        Ok(Some(remote)) => remote,
        Ok(None) if remotes.is_configured(door) => {
            return vec![Check::of(name("key"), &Failure::no_key(&origin, &[]))];
        }
        Ok(None) => {
            let message = format!("not configured: {} is not set", origin.key);
            return vec![Check::new(name("key"), Verdict::Off, message)];
        }
        Err(failure) => return vec![Check::of(name("key"), &failure)],
    };
    let from = if remotes.is_sandbox() { "the emulator's".to_owned() } else { format!("from {}", origin.key) };
    let mut checks = vec![Check::ok(name("key"), from)];
    let before = home.world.now();
    let answer = remote.provider.account().await;
    let after = home.world.now();
    checks.push(reached(&remote, name("api"), &answer, after.duration_since(before)));
    if let Ok(account) = &answer.result {
        checks.extend(credits(&door.alias, account));
    }
    checks.extend(answer.server_time.map(|theirs| clock(name("clock"), theirs, before, after)));
    let promised = remote.provider.promises().rate;
    checks.extend(rate(name("rate"), answer.rate, promised, account::bounds(&door.account)));
    checks
}

fn reached(remote: &Remote, check: String, answer: &Answer<Account>, took: SignedDuration) -> Check {
    let url = remote.provider.base_url();
    match &answer.result {
        Ok(account) => {
            let plan = account.plan.as_ref().map(|plan| format!("; plan {plan}")).unwrap_or_default();
            Check::ok(check, format!("`{url}` accepts the key, in {} ms{plan}", took.as_millis()))
        }
        Err(fault) => {
            let failure =
                Failure::fault(&format!("read the account of `{}`", remote.origin.alias), fault, url, &remote.origin);
            let what = match fault.kind {
                FaultKind::Network => "is not reached",
                FaultKind::Unauthorized => "does not know the key",
                FaultKind::Forbidden => "does not allow it",
                FaultKind::Credits => "wants credits",
                FaultKind::RateLimited => "has had too many requests",
                _ => "has trouble",
            };
            let Fault { message, .. } = fault;
            Check { message: format!("`{url}` {what}: {message}"), ..Check::of(check, &failure) }
        }
    }
}

/// Says what is left to spend, and whether the wallet is open.
fn credits(alias: &str, account: &Account) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(credits) = account.credits {
        let check = format!("{alias} credits");
        checks.push(if credits > 0.0 {
            Check::ok(check, format!("{credits} left"))
        } else {
            Check::failed(check, Exit::Credits, "nothing is left").help("top the account up")
        });
    }
    let status = account.usage.iter().find(|(name, _)| name == "wallet_status");
    if let Some(status) = status.and_then(|(_, status)| status.as_str())
        && !status.eq_ignore_ascii_case("active")
    {
        let check = Check::new(format!("{alias} wallet"), Verdict::Warn, format!("it is `{status}`, not active"));
        checks.push(check.help("a run may be refused: see the workspace's billing"));
    }
    checks
}

/// Holds the server's clock against ours, which was somewhere between the two times when it was read.
fn clock(check: String, theirs: Timestamp, before: Timestamp, after: Timestamp) -> Check {
    let ahead = theirs.duration_since(after);
    let behind = before.duration_since(theirs);
    let skew = ahead.max(behind).max(SignedDuration::ZERO);
    if skew <= SKEW {
        return Check::ok(check, "agrees with ours");
    }
    let side = if ahead > behind { "ahead of" } else { "behind" };
    let message = format!("it is {} s {side} ours", skew.as_secs());
    Check::new(check, Verdict::Warn, message).help("set this machine's clock: a lost submit is looked for by time")
}

fn rate(check: String, told: RateHint, promised: Option<Rate>, bounds: Bounds) -> Option<Check> {
    let own = bounds.rate.map(|rate| format!("; the project file allows {}", rate.per_minute)).unwrap_or_default();
    match (told.limit, told.remaining, promised) {
        (Some(limit), Some(0), _) => Some(
            Check::new(check, Verdict::Warn, format!("{limit} requests a window, none left{own}"))
                .help("something else uses this key, or wait for the window to pass"),
        ),
        (Some(limit), remaining, _) => {
            let left = remaining.map(|remaining| format!(", {remaining} left")).unwrap_or_default();
            Some(Check::ok(check, format!("{limit} requests a window{left}{own}")))
        }
        (None, _, Some(Rate { per_minute, burst })) => {
            Some(Check::ok(check, format!("not told; by the documents {per_minute} a minute, {burst} at once{own}")))
        }
        (None, ..) if !own.is_empty() => Some(Check::ok(check, format!("not told{own}"))),
        (None, ..) => None,
    }
}

fn tell(context: &Context, checks: &[Check]) {
    if super::is_json(context) {
        let ok = checks.iter().all(|check| check.verdict != Verdict::Failed);
        context.printer.json(&serde_json::json!({"ok": ok, "checks": checks}));
        return;
    }
    let wide = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    let color = |verdict: Verdict| match verdict {
        Verdict::Ok => anstyle::AnsiColor::Green.on_default(),
        Verdict::Warn => anstyle::AnsiColor::Yellow.on_default(),
        Verdict::Failed => anstyle::AnsiColor::Red.on_default().bold(),
        Verdict::Off => anstyle::Style::new().dimmed(),
    };
    let quiet = context.printer.quiet;
    let told = checks.iter().filter(|check| !quiet || check.verdict == Verdict::Failed);
    let mut page = String::new();
    for Check { name, verdict, message, help, .. } in told {
        let (style, word) = (color(*verdict), verdict.word());
        let _ = writeln!(page, "{style}{word:<6}{style:#}  {name:<wide$}  {message}");
        if let Some(help) = help {
            let _ = writeln!(page, "{:8}{:wide$}  help: {help}", "", "");
        }
    }
    context.printer.result(&page);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_part_by_what_an_answer_takes() {
        let at = |seconds| Timestamp::from_second(1_770_000_000_i64 + seconds).expect("a time");
        assert_eq!(clock("c".into(), at(5), at(0), at(9)).verdict, Verdict::Ok);
        assert_eq!(clock("c".into(), at(38), at(0), at(9)).verdict, Verdict::Ok);
        let ahead = clock("c".into(), at(100), at(0), at(9));
        assert_eq!((ahead.verdict, ahead.message.as_str()), (Verdict::Warn, "it is 91 s ahead of ours"));
        let behind = clock("c".into(), at(-60), at(0), at(9));
        assert_eq!((behind.verdict, behind.message.as_str()), (Verdict::Warn, "it is 60 s behind ours"));
    }

    #[test]
    fn an_empty_purse_fails_and_a_closed_wallet_warns() {
        let of = |credits, status: &str| {
            let account = Account { credits, plan: None, usage: vec![("wallet_status".to_owned(), status.into())] };
            super::credits("a", &account).iter().map(|check| (check.verdict, check.exit)).collect::<Vec<_>>()
        };
        assert_eq!(of(Some(1.5), "Active"), [(Verdict::Ok, Exit::Failed)]);
        assert_eq!(of(Some(0.0), "active"), [(Verdict::Failed, Exit::Credits)]);
        assert_eq!(of(None, "frozen"), [(Verdict::Warn, Exit::Failed)]);
    }
}
