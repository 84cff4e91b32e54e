//! Word from outside that a job has changed, as a webhook brings it: it makes a run look sooner, and nothing that is wrong about it changes what
//! the run comes to.

use std::time::Duration;

use dagwood::{
    job::JobHandle,
    journal::event::RunStatus,
    run::{Notice, Observation},
};

use crate::scripted::{Behaviour, Bench, Outcome};

/// A run that looks at its job of 200 ms only after a long time.
const SELDOM: &str = "
defaults: { poll: 10m }
steps: { a: { model: m, inputs: { prompt: one } } }
outputs: { image: '{{ steps.a.image }}' }
";

const fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn word(provider: &str, job: &str) -> Notice {
    Notice::Observation(Observation { provider: provider.to_owned(), job: JobHandle(job.to_owned()) })
}

fn bench() -> Bench {
    Bench::new().model("m", Behaviour { takes: milliseconds(200), ..Behaviour::default() })
}

/// Runs it with these words, each at its time.
async fn told(words: &[(u64, &str, &str)]) -> Outcome {
    let bench = words
        .iter()
        .fold(bench(), |bench, (after, provider, job)| bench.notice_after(milliseconds(*after), word(provider, job)));
    bench.run(SELDOM).await
}

/// The control: without a word the job is seen when its time to be looked at has come.
#[tokio::test(start_paused = true)]
async fn without_a_word_a_job_is_seen_when_it_is_looked_at() {
    let outcome = told(&[]).await;
    assert_eq!((outcome.state.status, outcome.looks.len()), (RunStatus::Succeeded, 1));
    assert!(outcome.took >= Duration::from_mins(10), "{:?}", outcome.took);
}

#[tokio::test(start_paused = true)]
async fn a_word_brings_the_look_and_the_look_counts() {
    let outcome = told(&[(300, "scripted", "job0")]).await;
    assert_eq!((outcome.state.status, outcome.looks.len()), (RunStatus::Succeeded, 1));
    assert!(outcome.took < milliseconds(400), "{:?}", outcome.took);
    assert_eq!(outcome.story(), told(&[]).await.story(), "what is written is the same");
}

#[tokio::test(start_paused = true)]
async fn word_that_comes_twice_too_early_or_in_a_flood_changes_nothing_wrong() {
    // Too early: the job still runs, and is looked at again when the next word comes.
    let outcome = told(&[(100, "scripted", "job0"), (1500, "scripted", "job0"), (1500, "scripted", "job0")]).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 1));
    assert!(outcome.took < milliseconds(1600) && outcome.looks.len() == 2, "{:?}", outcome.looks);
    // A flood makes no more than a look a second.
    let flood: Vec<_> = (0..150).map(|n| (n, "scripted", "job0")).chain([(1200, "scripted", "job0")]).collect();
    let outcome = told(&flood).await;
    assert_eq!((outcome.state.status, outcome.looks.len()), (RunStatus::Succeeded, 2));
}

#[tokio::test(start_paused = true)]
async fn forged_word_changes_nothing() {
    let forged =
        [(10, "scripted", "job7"), (20, "nobody", "job0"), (30, "scripted", ""), (40, "scripted", "job0/../x")];
    let outcome = told(&forged).await;
    assert_eq!((outcome.state.status, outcome.looks.len()), (RunStatus::Succeeded, 1));
    assert!(outcome.took >= Duration::from_mins(10), "nothing was looked at for it: {:?}", outcome.took);
    assert_eq!(outcome.story(), told(&[]).await.story());
}

/// A webhook can overtake the answer to the submit: its word is kept until the job is known.
#[tokio::test(start_paused = true)]
async fn word_of_a_job_before_it_is_known_is_kept_for_a_while() {
    let yaml = "
steps:
  a: { model: m, poll: 10ms, inputs: { prompt: one } }
  b: { model: soon, poll: 10m, needs: [a], inputs: { prompt: two } }
";
    let run = |after: u64| {
        bench()
            .model("soon", Behaviour { takes: milliseconds(1), ..Behaviour::default() })
            .model("m", Behaviour { takes: Duration::from_secs(40), ..Behaviour::default() })
            .notice_after(milliseconds(after), word("scripted", "job1"))
            .run(yaml)
    };
    let (kept, forgotten) = (run(20_000).await, run(100).await);
    assert_eq!([kept.state.status, forgotten.state.status], [RunStatus::Succeeded; 2]);
    // It is looked at as soon as it is known; what is older than half a minute is forgotten, and the job is looked at in its time alone.
    assert_eq!(kept.looks.len(), forgotten.looks.len() + 1);
    assert_eq!(kept.story(), forgotten.story());
}
