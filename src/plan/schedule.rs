//! When a workflow is to start by itself: `schedule`, checked, so that an entry that never comes is told before anybody waits for it.
//!
//! A cron expression has five fields (minute, hour, day of month, month, day of week), what every crontab takes; where both days are
//! given, either will do, as in every cron. Times are those of the entry's time zone, UTC without one: in the hour that is skipped in spring a
//! start comes when the hour is over, and in the one that comes twice it comes once.

use std::{collections::HashSet, str::FromStr, time::Duration};

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};

use super::{
    inputs::misfits,
    site::{At, Site, helped},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::CatchUp,
};

/// An entry of `schedule`.
#[derive(Clone, Debug)]
pub struct PlannedSchedule {
    /// The cron expression, as written.
    pub cron: String,
    /// The time zone.
    pub timezone: TimeZone,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// What happens to starts that were missed.
    pub catch_up: CatchUp,
    /// Most by which a start is put off.
    pub jitter: Option<Duration>,
    pattern: Cron,
}

impl PlannedSchedule {
    /// Returns the next start after a time.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let zoned = after.to_zoned(self.timezone.clone());
        self.pattern.find_next_occurrence(&zoned, false).ok().map(|next| next.timestamp())
    }
}

/// Checks the entries of `schedule`. What comes next is looked for from a fixed day, so that the same file gets the same answer.
pub(super) fn compile(site: &Site<'_>) -> Vec<PlannedSchedule> {
    let top = Pointer::from_iter(["schedule"]);
    let workflow = &site.document.workflow;
    let mut planned = Vec::new();
    // To look for a day that never comes takes a while, and entries may differ by their times alone.
    let mut no_days: HashSet<Vec<&str>> = HashSet::new();
    for (index, entry) in workflow.schedule.iter().enumerate() {
        let pointer = top.join(index);
        inputs(site, &entry.inputs, &pointer);
        let timezone = zone(site, entry.timezone.as_deref(), &pointer);
        let place = pointer.join("cron");
        if entry.cron.is_empty() {
            site.told_before();
            continue;
        }
        let fields: Vec<&str> = entry.cron.split_whitespace().collect();
        // The library takes seconds, years and words such as `@daily`, too; a crontab has no place for the first two.
        let read = match fields.len() {
            5 => Cron::from_str(&entry.cron).map_err(|error| sentence(&error.to_string())),
            1 => Err("it has one field, not five".to_owned()),
            count => Err(format!("it has {count} fields, not five")),
        };
        let pattern = match read {
            Ok(pattern) => pattern,
            Err(problem) => {
                let message = format!("`{}` is no cron expression: {problem}", entry.cron);
                let diagnostic = Diagnostic::error(Code::BadSchedule, message)
                    .help("five fields: minute, hour, day of month, month, day of week, such as `0 3 * * 1-5`");
                site.tell(site.at(diagnostic, &At::Value(&place), ""));
                continue;
            }
        };
        let Some(timezone) = timezone else { continue };
        let schedule = PlannedSchedule {
            cron: entry.cron.clone(),
            timezone,
            inputs: entry.inputs.clone(),
            catch_up: entry.catch_up,
            jitter: entry.jitter.map(|jitter| jitter.0),
            pattern,
        };
        let from = Timestamp::from_second(1_735_689_600).expect("the first second of 2025");
        let days = fields[2..].to_vec();
        if no_days.contains(&days) || schedule.next(from).is_none() {
            no_days.insert(days);
            let message = format!("`{}` never comes", entry.cron);
            let diagnostic = Diagnostic::error(Code::BadSchedule, message)
                .help("is there a month with such a day? `0 0 31 2 *` would be the 31st of February");
            site.tell(site.at(diagnostic, &At::Value(&place), "no such time"));
        }
        planned.push(schedule);
    }
    planned
}

fn zone(site: &Site<'_>, name: Option<&str>, pointer: &Pointer) -> Option<TimeZone> {
    let Some(name) = name else { return Some(TimeZone::UTC) };
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let help = crate::diagnostic::nearest(name, known.iter().map(String::as_str)).map_or_else(
        || "name one of the IANA database, such as `Europe/Berlin`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let diagnostic = Diagnostic::error(Code::BadSchedule, format!("there is no time zone `{name}`"));
    site.tell(helped(site.at(diagnostic, &At::Value(&pointer.join("timezone")), "unknown"), Some(help)));
    None
}

/// Checks the inputs that a scheduled run gets: what is given, and that nothing is missing.
fn inputs(site: &Site<'_>, given: &Map<String, Value>, pointer: &Pointer) {
    let workflow = &site.document.workflow;
    let top = pointer.join("inputs");
    for (name, value) in given {
        let place = top.join(name);
        let Some(input) = workflow.inputs.get(name) else {
            let names = workflow.inputs.keys().map(String::as_str);
            let help = super::site::suggestion(site, name, names, "its inputs are");
            let message = format!("workflow `{}` has no input `{name}`", workflow.name);
            site.tell(helped(
                site.at(Diagnostic::error(Code::InputUnknown, message), &At::Key(&place), "unknown"),
                help,
            ));
            continue;
        };
        let Ok(schema) = crate::contract::schema::Schema::compile(&Value::Object(input.schema.clone())) else {
            continue;
        };
        misfits(site, Code::InputInvalid, name, &schema, value, &place);
    }
    for (name, _) in workflow.inputs.iter().filter(|(name, input)| input.is_required() && !given.contains_key(*name)) {
        let message = format!("a scheduled run has no value for the required input `{name}`");
        let diagnostic =
            Diagnostic::error(Code::InputMissing, message).help(format!("add it under `inputs`: `{name}: …`"));
        site.tell(site.at(diagnostic, &At::Value(pointer), "nobody is there to give it"));
    }
}

/// Returns a message of the library as a clause.
fn sentence(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    let mut characters = message.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
