//! One run, looked at later: `dagwood show RUN`. The closing block's parts with a header, and every step.

use super::{
    closing::{failures, files, outputs, rows, unknown, values, warnings},
    steps,
    style::{Line, Style, Tone},
    text,
};
use crate::journal::state::RunState;

/// Returns all that is worth telling of a run, finished or not.
#[must_use]
pub fn show(state: &RunState, style: &Style) -> String {
    show_in(state, style, None)
}

/// Returns all that is worth telling of a run whose files are below `folder`.
#[must_use]
pub fn show_in(state: &RunState, style: &Style, folder: Option<&str>) -> String {
    let mut out = header(state, style);
    let inputs = values(&state.start.inputs, "input", style);
    for (title, block) in [
        ("inputs", inputs),
        ("outputs", outputs(state, style)),
        ("steps", rows(state, style, None)),
        ("", files(state, style, folder)),
        ("", warnings(state, style)),
        ("", failures(state, style)),
        ("", unknown(state, style)),
    ] {
        if block.is_empty() {
            continue;
        }
        out.push('\n');
        if !title.is_empty() {
            let mut line = Line::default();
            line.push(Tone::Strong, title);
            out.push_str(&line.paint(style));
            out.push('\n');
        }
        out.push_str(&block);
    }
    out
}

fn header(state: &RunState, style: &Style) -> String {
    let (symbol, tone) = steps::run_symbol(state.status, style);
    let mut line = Line::default();
    line.push(tone, symbol).push(Tone::Plain, " ").push(Tone::Strong, text::one_line(&state.start.workflow));
    line.push(Tone::Plain, format!(" {}", steps::verdict(state, style)));
    let mut out = format!("{}\n\n", line.paint(style));
    let mut facts = vec![
        ("run", state.run.to_string()),
        ("file", text::one_line(&state.start.file)),
        ("started", moment(state.started_at)),
    ];
    if let Some(finished) = state.finished_at {
        facts.push(("finished", moment(finished)));
    }
    if !state.start.labels.is_empty() {
        let labels: Vec<String> =
            state.start.labels.iter().map(|(name, value)| text::one_line(&format!("{name}={value}"))).collect();
        facts.push(("labels", labels.join(", ")));
    }
    for (name, fact) in facts {
        let mut line = Line::default();
        line.push(Tone::Plain, "  ").left(Tone::Dim, name, 8).push(Tone::Plain, format!("  {fact}"));
        out.push_str(&line.paint(style));
        out.push('\n');
    }
    out
}

fn moment(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{diamond, fold};

    #[test]
    fn a_run_is_shown_whole() {
        insta::assert_snapshot!(show_in(&fold(&diamond()), &Style::PLAIN, Some("artifacts/run-1")), @r#"
        ✔ product-launch succeeded in 1m41s · 3 jobs · 620 credits · sandbox

          run       019ab697-e800-7707-8707-070707070707
          file      workflows/product-launch.yaml
          started   2026-11-24 12:00:03 UTC
          finished  2026-11-24 12:01:43 UTC
          labels    team=launch

        inputs
          brief  "a living room"
          token  ****

        outputs
          hero     https://cdn.test/render.png
          caption  "From a pencil line to a living room."
          crops    https://cdn.test/crop-0.png
                   https://cdn.test/crop-1.png
                   https://cdn.test/crop-2.png

        steps
          ✔ render   Sketch to Render    1m31s  200 cr  1 image
          ✔ crops    google/nano-banana   8.4s  210 cr  3 images in crops/{0,1,2}.png
          ✔ clip     kling/video          9.2s  210 cr  1 video
          ✔ caption                          –       –

          3 files (3.7 kB) in artifacts/run-1
        "#);
    }

    #[test]
    fn a_run_that_is_not_over_is_shown_as_far_as_it_is_known() {
        let records = diamond();
        insta::assert_snapshot!(show(&fold(&records[..10]), &Style { unicode: false, ..Style::PLAIN }), @r#"
        * product-launch has run for 1m32s, 2 jobs, 410 credits, sandbox

          run       019ab697-e800-7707-8707-070707070707
          file      workflows/product-launch.yaml
          started   2026-11-24 12:00:03 UTC
          labels    team=launch

        inputs
          brief  "a living room"
          token  ****

        steps
          + render   Sketch to Render    1m31s  200 cr  1 image
          * crops    google/nano-banana      -  210 cr  processing
          o clip     kling/video             -       -  waiting for a slot
          . caption                          -       -  waiting
        "#);
    }
}
