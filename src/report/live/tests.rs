//! The live rows on a terminal that is played: what stands on the screen, and that nothing else was touched.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use unicode_width::UnicodeWidthChar;

use super::*;
use crate::report::testing::{Captured, Script, diamond, failing, noon};

/// A terminal: wraps, scrolls, knows the few sequences that a frame may hold, and panics at any other.
struct Screen {
    columns: usize,
    lines: Vec<Vec<char>>,
    at: (usize, usize),
    height: usize,
    scrolled: usize,
}

impl Screen {
    fn new(columns: usize, height: usize) -> Self {
        Self { columns, lines: vec![Vec::new(); height], at: (0, 0), height, scrolled: 0 }
    }

    fn feed(&mut self, text: &str) {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.at.1 = 0,
                '\n' => self.down(),
                '\u{1b}' => {
                    assert_eq!(characters.next(), Some('['));
                    let mut number = String::new();
                    let command = loop {
                        match characters.next().expect("a sequence ends") {
                            digit @ ('0'..='9' | ';') => number.push(digit),
                            command => break command,
                        }
                    };
                    match command {
                        'A' => {
                            let up: usize = number.parse().expect("a number");
                            self.at.0 = self.at.0.checked_sub(up).expect("the frame is on the screen");
                        }
                        'K' => self.lines[self.at.0].truncate(self.at.1),
                        'J' => {
                            self.lines[self.at.0].truncate(self.at.1);
                            self.lines[self.at.0 + 1..].iter_mut().for_each(Vec::clear);
                        }
                        'm' => {}
                        other => panic!("an unknown sequence: {other}"),
                    }
                }
                character => {
                    let width = character.width().expect("no control character");
                    assert!(self.at.1 + width < self.columns, "a line reaches the last column");
                    let line = &mut self.lines[self.at.0];
                    line.truncate(self.at.1);
                    line.push(character);
                    self.at.1 += 1;
                }
            }
        }
    }

    fn down(&mut self) {
        if self.at.0 + 1 == self.height {
            self.lines.remove(0);
            self.lines.push(Vec::new());
            self.scrolled += 1;
        } else {
            self.at.0 += 1;
        }
    }

    fn text(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
        lines.join("\n").trim_end().to_owned()
    }
}

/// A display with its screen, and what was read of its output so far.
struct Play {
    live: Live,
    out: Captured,
    read: usize,
    screen: Screen,
}

impl Play {
    fn new(columns: usize, height: usize, style: Style) -> Self {
        let out = Captured::default();
        let live = Live::new(out.writer(), style, Box::new(move || (columns, height)));
        let mut screen = Screen::new(columns, height);
        screen.feed("$ dagwood run\r\n");
        Self { live, out, read: 0, screen }
    }

    fn show(&mut self) -> String {
        let text = self.out.text();
        self.screen.feed(&text[self.read..]);
        self.read = text.len();
        self.screen.text()
    }

    /// Plays records up to some number, with a tick after each, and returns the screen.
    fn until(&mut self, records: &[Record], end: usize) -> (RunState, String) {
        let mut state = RunState::begin(&records[0]).expect("a run");
        self.live.record(&records[0], &state);
        for record in &records[1..end] {
            state.apply(record).expect("the next record");
            self.live.record(record, &state);
            self.live.tick(&state, record.at + SignedDuration::from_millis(100), &|_| None);
            self.show();
        }
        self.live.tick(&state, state.last_at + SignedDuration::from_secs(1), &|_| None);
        let screen = self.show();
        (state, screen)
    }
}

#[test]
fn a_diamond_in_the_middle_has_a_row_per_step() {
    let records = diamond();
    let mut play = Play::new(100, 24, Style::PLAIN);
    let submitted = records.iter().rposition(|record| matches!(record.event, Event::Submitted { .. })).expect("one");
    let (state, _) = play.until(&records, submitted + 1);
    let now = records[submitted].at + SignedDuration::from_secs(8);
    play.live.tick(&state, now, &|ix| (ix == 2).then(|| now + SignedDuration::from_secs(4)));
    insta::assert_snapshot!(play.show(), @r#"
    $ dagwood run
    product-launch  019a…0707  sandbox                    1m39s   620 of ~620 credits
      ✔ render    Sketch to Render     1m31s    200 cr   1 image
      ⠇ crops     google/nano-banana      8s    210 cr   processing
      ⠇ clip      kling/video             8s    210 cr   processing · next look in 4s
      · caption
    ━━━━━━━━━━━╶──────────────────────────────────  1 of 4 steps
    "#);
}

#[test]
fn without_utf_8_it_is_plain() {
    let records = failing();
    let mut play = Play::new(80, 24, Style { unicode: false, ..Style::PLAIN });
    let limited = records.iter().position(|record| matches!(record.event, Event::RateLimited { .. })).expect("one");
    let (_, screen) = play.until(&records, limited + 1);
    assert!(screen.is_ascii());
    insta::assert_snapshot!(screen, @r#"
    $ dagwood run
    product-launch  019a..0707  sandbox          1m32s   410 of ~620 credits
      + render    Sketch to Render     1m31s    200 cr   1 image
      | crops     google/nano-banana      1s    210 cr   processing
      ~ clip      kling/video             1s             sending again in 3s
      . caption
      ~ armox asks to wait 3s: too many requests
    ###########-----------------------------------  1 of 4 steps, about 7s left
    "#);
}

#[test]
fn at_the_end_nothing_of_it_is_left() {
    for (columns, height) in [(100, 24), (20, 4), (1, 1), (0, 0), (60, 2)] {
        let records = diamond();
        let mut play = Play::new(100, 24, Style { color: true, ..Style::PLAIN });
        play.live.size = Box::new(move || (columns, height));
        let (_, screen) = play.until(&records, records.len());
        assert_eq!(screen, "$ dagwood run", "{columns} × {height}");
        assert_eq!(play.screen.at, (1, 0));
    }
}

#[test]
fn a_run_that_breaks_off_is_wiped_too() {
    let records = diamond();
    let mut play = Play::new(100, 24, Style::PLAIN);
    play.until(&records, 6);
    let Play { live, out, read, mut screen } = play;
    drop(live);
    screen.feed(&out.text()[read..]);
    assert_eq!(screen.text(), "$ dagwood run");
}

/// A run of many steps at once.
fn wide(steps: usize) -> Vec<Record> {
    let names: Vec<String> = (0..steps).map(|n| format!("step_{n}")).collect();
    let steps: Vec<_> =
        names.iter().map(|name| (name.as_str(), "model", "google/nano-banana", &[][..], Some(1.0))).collect();
    let mut script = Script::new("wide", &steps);
    for name in &names {
        script.submit(name, "m", 1.0);
    }
    for name in &names[..names.len() / 2] {
        script.succeed(name).wait(0.1);
    }
    script.records
}

#[test]
fn more_steps_than_lines_are_counted() {
    let records = wide(200);
    let mut play = Play::new(80, 12, Style::PLAIN);
    let (_, screen) = play.until(&records, records.len());
    assert_eq!(play.screen.scrolled, 1, "the prompt's line made room for the frame once");
    insta::assert_snapshot!(screen, @r#"
    wide  019a…0707  sandbox              50s   200 of ~200 credits
      ⠏ step_100  google/nano-banana     30s      1 cr   processing
      ⠏ step_101  google/nano-banana     30s      1 cr   processing
      ⠏ step_102  google/nano-banana     30s      1 cr   processing
      ⠏ step_103  google/nano-banana     30s      1 cr   processing
      ⠏ step_104  google/nano-banana     30s      1 cr   processing
      ⠏ step_105  google/nano-banana     29s      1 cr   processing
      ⠏ step_106  google/nano-banana     29s      1 cr   processing
      ⠏ step_107  google/nano-banana     29s      1 cr   processing
      … 100 finished · 92 more running
    ━━━━━━━━━━━━━━━━━━━━━━━╶──────────────────────  100 of 200 steps
    "#);
    // A few are left: what finished last fills the room.
    let records = wide(14);
    let mut play = Play::new(80, 13, Style::PLAIN);
    let (_, screen) = play.until(&records, records.len());
    insta::assert_snapshot!(screen, @r#"
    wide  019a…0707  sandbox                 4s   14 of ~14 credits
      ✔ step_5    google/nano-banana    2.3s      1 cr
      ✔ step_6    google/nano-banana    2.2s      1 cr
      ⠼ step_7    google/nano-banana      3s      1 cr   processing
      ⠼ step_8    google/nano-banana      2s      1 cr   processing
      ⠼ step_9    google/nano-banana      2s      1 cr   processing
      ⠼ step_10   google/nano-banana      2s      1 cr   processing
      ⠼ step_11   google/nano-banana      2s      1 cr   processing
      ⠼ step_12   google/nano-banana      2s      1 cr   processing
      ⠼ step_13   google/nano-banana      1s      1 cr   processing
      … 5 more finished
    ━━━━━━━━━━━━━━━━━━━━━━━╶──────────────────────  7 of 14 steps · about 8s left
    "#);
}

#[test]
fn it_draws_some_ten_times_a_second_however_much_happens() {
    let records = wide(1000);
    let out = Captured::default();
    let frames = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&frames);
    let size: Size = Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        (80, 24)
    });
    let mut live = Live::new(out.writer(), Style::PLAIN, size);
    let mut state = RunState::begin(&records[0]).expect("a run");
    live.record(&records[0], &state);
    for record in &records[1..] {
        state.apply(record).expect("the next record");
        live.record(record, &state);
    }
    assert_eq!(frames.load(Ordering::Relaxed), 1, "records alone draw nothing");
    for millisecond in 0..1000 {
        live.tick(&state, noon() + SignedDuration::from_secs(600) + SignedDuration::from_millis(millisecond), &|_| {
            None
        });
    }
    assert!((10..=14).contains(&frames.load(Ordering::Relaxed)), "{frames:?}");
}

#[test]
fn a_narrower_terminal_folds_the_old_frame_and_the_new_one_reckons_with_it() {
    let records = diamond();
    let mut play = Play::new(100, 24, Style::PLAIN);
    let (state, _) = play.until(&records, 8);
    let lines: usize = play.live.drawn.iter().map(|width| width.div_ceil(40).max(1)).sum();
    assert!(lines > play.live.drawn.len());
    play.live.size = Box::new(|| (40, 24));
    play.live.tick(&state, noon() + SignedDuration::from_secs(300), &|_| None);
    let text = play.out.text();
    assert!(text[play.read..].starts_with(&format!("\r\u{1b}[{lines}A")));
}

#[test]
fn a_run_that_waits_for_its_group_says_for_which_and_no_longer_than_it_does() {
    let records = diamond();
    let mut play = Play::new(100, 24, Style::PLAIN);
    let state = RunState::begin(&records[0]).expect("a run");
    play.live.record(&records[0], &state);
    let waiting = Event::RunWaiting { group: "deploy/eu".to_owned(), holder: Some(records[0].run) };
    play.live.record(&Record { event: waiting, ..records[0].clone() }, &state);
    play.live.tick(&state, state.last_at + SignedDuration::from_secs(1), &|_| None);
    assert!(play.show().contains("waits for the group `deploy/eu`, which "), "{}", play.show());
    play.live.record(&records[1], &state);
    play.live.tick(&state, state.last_at + SignedDuration::from_secs(2), &|_| None);
    assert!(!play.show().contains("waits for"), "{}", play.show());
}
