//! `dagwood schema` and `dagwood explain`: what the language is, and what a diagnostic means.

use serde_json::json;

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
};
use crate::{
    diagnostic::{Code, explain},
    spec::schema,
};

/// Prints the JSON Schema of the language.
pub(crate) fn schema(context: &Context) -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&schema::schema()).expect("a schema is JSON");
    context.printer.result(&text);
    Ok(Exit::Done)
}

/// Explains a code.
pub(crate) fn explain(context: &Context, args: &args::Explain) -> Result<Exit, Failure> {
    let code: Code = args.code.trim().to_ascii_uppercase().parse().map_err(|_| unknown(&args.code))?;
    if super::is_json(context) {
        context.printer.json(&json!({"code": code, "title": code.title(), "text": explain::explain(code)}));
    } else {
        context.printer.result(&explain::explain(code));
    }
    Ok(Exit::Done)
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
