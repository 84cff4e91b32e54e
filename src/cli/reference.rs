//! `dagwood schema` and `dagwood explain`: what the language is, and what a diagnostic means.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    args::{self, SchemaOf},
    context::Context,
    failure::{Exit, Failure},
    narrow,
};
use crate::{
    diagnostic::{
        Code,
        explain::{self, Example, Explanation},
    },
    project,
    spec::schema,
};

/// How long a line of running text is at most: longer ones are hard to read.
const LINE: usize = 100;

/// Prints a JSON Schema.
pub(crate) fn schema(context: &Context, args: &args::Schema) -> Result<Exit, Failure> {
    let schema = match (args.of, &args.workflow) {
        (SchemaOf::Workflow, Some(workflow)) => narrow::schema(context, workflow, args.sandbox, args.locked)?,
        (SchemaOf::Workflow, None) => schema::workflow_schema(),
        (SchemaOf::Project, None) => project::schema::project_schema(),
        (SchemaOf::Project, Some(_)) => return Err(Failure::usage("`--for` narrows the schema of workflows")),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    context.printer.result(&text);
    Ok(Exit::Done)
}

/// Explains a code, or lists them all.
pub(crate) fn explain(context: &Context, args: &args::Explain) -> Result<Exit, Failure> {
    let Some(code) = &args.code else {
        list(context);
        return Ok(Exit::Done);
    };
    let code: Code = code.trim().to_ascii_uppercase().parse().map_err(|_| unknown(code))?;
    let Explanation { title, text, wrong, right, several, no_example } = explain::explain(code);
    let (wrong_files, right_files) = several.unzip();
    if super::is_json(context) {
        let files = |example: Example| {
            let files: Map<String, Value> =
                example.files.iter().map(|(path, text)| ((*path).to_owned(), json!(text))).collect();
            json!({"files": files, "commands": example.commands})
        };
        let document = json!({
            "code": code, "title": title, "text": text, "wrong": wrong, "right": right, "no_example": no_example,
            "wrong_files": wrong_files.map(files), "right_files": right_files.map(files),
        });
        context.printer.json(&document);
        return Ok(Exit::Done);
    }
    let bold = anstyle::Style::new().bold();
    let columns = context.printer.width().map_or(LINE, |width| width.clamp(40, LINE));
    let mut page = format!("{bold}{code}: {title}{bold:#}\n\n{}\n", wrap(text, columns));
    if let Some(why) = no_example {
        let _ = write!(page, "\nNo example: {}\n", wrap(why, columns));
    }
    for (word, example, files) in [("wrong", wrong, wrong_files), ("right", right, right_files)] {
        let example = example.map(ToOwned::to_owned).or_else(|| files.map(|files| files.shown()));
        if let Some(example) = example {
            let _ = write!(page, "\n{bold}{word}{bold:#}\n");
            for line in example.lines() {
                let _ = writeln!(page, "{}", format!("    {line}").trim_end());
            }
        }
    }
    context.printer.result(&page);
    Ok(Exit::Done)
}

/// Lists the codes, each with its title.
fn list(context: &Context) {
    if super::is_json(context) {
        let codes = Code::ALL.iter().map(|code| json!({"code": code, "title": code.title()}));
        context.printer.json(&codes.collect::<Value>());
        return;
    }
    let lines = Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title()));
    context.printer.result(&lines.collect::<String>());
    context.printer.note("`dagwood explain CODE` has each at length");
}

/// Breaks running text into lines of at most so many characters, at spaces.
fn wrap(text: &str, columns: usize) -> String {
    let (mut wrapped, mut used) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > columns {
            wrapped.push('\n');
            used = 0;
        } else if used > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += length;
    }
    wrapped
}

fn unknown(text: &str) -> Failure {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let failure = Failure::usage(format!("there is no diagnostic `{text}`"));
    let Ok(number) = digits.parse::<u16>() else {
        return failure.help("a code is `DW` and a number, such as `DW204`; it stands in brackets behind `error`");
    };
    let nearest = Code::ALL.iter().min_by_key(|code| code.number().abs_diff(number));
    match nearest {
        Some(code) => failure.help(format!("the nearest one is `{code}`: {}", code.title())),
        None => failure,
    }
}
