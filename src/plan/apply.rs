//! What filters and operators make of a value of some type, and what they surely cannot take.
//!
//! The tables say of the engine what its documentation leaves out (a text has items, true counts as 1, null sorts as an empty list), so a
//! test renders every entry on values of every sort: what is refused here fails there, and what comes out is of the type that is said.
//! What is not in a table may be anything.

use super::types::Type;
use crate::template::Arithmetic;

/// What a value is, as far as filters and operators ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Null,
    Boolean,
    Number,
    Text,
    List,
    Map,
}

impl Sort {
    /// Returns the sorts that a value of a type may be of; nothing where it may be of any.
    pub(super) fn of(known: &Type) -> Option<Vec<Self>> {
        let mut sorts = Vec::new();
        for one in known.members() {
            match one {
                Type::Any | Type::Either(_) => return None,
                Type::Null => sorts.push(Self::Null),
                Type::Boolean => sorts.push(Self::Boolean),
                Type::Integer | Type::Number => sorts.push(Self::Number),
                Type::Text | Type::Media(_) => sorts.push(Self::Text),
                Type::List(_) => sorts.push(Self::List),
                Type::Map(_) | Type::Partly(_) => sorts.push(Self::Map),
                Type::Options(options) => {
                    for option in options {
                        sorts.extend(Self::of(&Type::kind_of(option))?);
                    }
                }
            }
        }
        Some(sorts)
    }
}

/// Returns what a filter wants where it surely fails on every value of such a type. `has_default` says whether it has a value to
/// fall back on.
pub(super) fn refused(filter: &str, known: &Type, has_default: bool) -> Option<&'static str> {
    let (wants, fails): (_, &[Sort]) = match filter {
        "length" | "count" => ("a list, a map or a text", &[Sort::Null, Sort::Boolean, Sort::Number]),
        "first" | "reverse" => ("a list or a text", &[Sort::Null, Sort::Boolean, Sort::Number]),
        "join" | "list" | "sort" | "unique" | "batch" | "slice" | "map" | "select" | "reject" | "selectattr"
        | "rejectattr" | "groupby" | "min" | "max" | "zip" | "sum" => ("a list", &[Sort::Boolean, Sort::Number]),
        "last" => ("a list or a text", &[Sort::Boolean, Sort::Number]),
        "abs" | "round" => ("a number", &[Sort::Null, Sort::Text, Sort::List, Sort::Map]),
        "int" | "float" if !has_default => ("a number or a text", &[Sort::List, Sort::Map]),
        "items" | "dictsort" => ("a map", &[Sort::Null, Sort::Boolean, Sort::Number, Sort::Text, Sort::List]),
        "split" | "lines" | "slugify" | "sha256" | "b64encode" | "fromjson" | "regex_replace" | "basename"
        | "file_ext" | "format" => ("a text", &[Sort::Null, Sort::Boolean, Sort::Number, Sort::List, Sort::Map]),
        _ => return None,
    };
    let sorts = Sort::of(known)?;
    (!sorts.is_empty() && sorts.iter().all(|sort| fails.contains(sort))).then_some(wants)
}

/// Says whether a minus surely fails before every value of such a type.
pub(super) fn has_no_negative(known: &Type) -> bool {
    is_one_of(known, &[Sort::Null, Sort::Text, Sort::List, Sort::Map])
}

/// Says whether every value of such a type surely has no parts by their bounds, such as `[1:]`.
pub(super) fn has_no_slice(known: &Type) -> bool {
    is_one_of(known, &[Sort::Boolean, Sort::Number])
}

fn is_one_of(known: &Type, all: &[Sort]) -> bool {
    Sort::of(known).is_some_and(|sorts| !sorts.is_empty() && sorts.iter().all(|sort| all.contains(sort)))
}

/// Returns what a filter gives. `default` is the type of the value to fall back on, if there is one.
pub(super) fn filtered(filter: &str, known: &Type, default: Option<Type>) -> Type {
    match filter {
        "upper" | "lower" | "title" | "capitalize" | "trim" | "replace" | "join" | "string" | "tojson" | "indent"
        | "urlencode" | "e" | "escape" | "safe" | "format" | "pprint" | "basename" | "file_ext" | "slugify"
        | "sha256" | "b64encode" | "regex_replace" => Type::Text,
        "length" | "count" => Type::Integer,
        "int" => Type::union(std::iter::once(Type::Integer).chain(default)),
        "float" => Type::union(std::iter::once(Type::Number).chain(default)),
        "bool" => Type::Boolean,
        "abs" | "round" => match known {
            Type::Integer if filter == "abs" => Type::Integer,
            _ => Type::Number,
        },
        "split" | "lines" => Type::list(Type::Text),
        "list" | "sort" | "unique" | "select" | "reject" | "selectattr" | "rejectattr" => Type::list(known.item()),
        "batch" | "slice" | "items" | "dictsort" | "map" | "groupby" | "zip" => Type::list(Type::Any),
        "reverse" => match known {
            Type::List(_) => known.clone(),
            Type::Text | Type::Media(_) => Type::Text,
            _ => Type::Any,
        },
        "first" | "last" | "min" | "max" => known.item(),
        "sum" => match known {
            Type::List(item) if matches!(**item, Type::Integer | Type::Number) => (**item).clone(),
            _ => Type::Any,
        },
        _ => Type::Any,
    }
}

/// What comes of an operator between two values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Computed {
    /// Something of this type.
    Gives(Type),
    /// It surely fails.
    Fails,
}

/// Returns what an operator makes of two values.
pub(super) fn computed(operator: Arithmetic, left: &Type, right: &Type) -> Computed {
    let (Some(lefts), Some(rights)) = (Sort::of(left), Sort::of(right)) else { return Computed::Gives(Type::Any) };
    let mut results = Vec::new();
    for &one in &lefts {
        for &other in &rights {
            results.extend(of_sorts(operator, one, other));
        }
    }
    if results.is_empty() {
        return Computed::Fails;
    }
    let whole = |known: &Type| {
        known.members().iter().all(|one| match one {
            Type::Integer => true,
            Type::Options(options) => options.iter().all(|option| option.is_i64() || option.is_u64()),
            _ => false,
        })
    };
    let keeps_whole = matches!(operator, Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply);
    Computed::Gives(match Type::union(results) {
        Type::Number if keeps_whole && whole(left) && whole(right) => Type::Integer,
        Type::List(_) => match (left, right) {
            (Type::List(one), Type::List(other)) => Type::list(Type::union([(**one).clone(), (**other).clone()])),
            _ => Type::list(Type::Any),
        },
        other => other,
    })
}

/// Returns what an operator makes of two sorts of values; nothing where it surely fails.
fn of_sorts(operator: Arithmetic, left: Sort, right: Sort) -> Option<Type> {
    let counts = |sort| matches!(sort, Sort::Number | Sort::Boolean);
    match (operator, left, right) {
        (_, one, other) if counts(one) && counts(other) => Some(Type::Number),
        (Arithmetic::Add, Sort::Text, Sort::Text) => Some(Type::Text),
        (Arithmetic::Add, Sort::List, Sort::List) => Some(Type::list(Type::Any)),
        (Arithmetic::Multiply, Sort::Text, one) | (Arithmetic::Multiply, one, Sort::Text) if counts(one) => {
            Some(Type::Text)
        }
        (Arithmetic::Multiply, Sort::List, one) | (Arithmetic::Multiply, one, Sort::List) if counts(one) => {
            Some(Type::list(Type::Any))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::template::{Root, Scope, Template};

    /// Values of every sort, with their types.
    fn samples() -> Vec<(Value, Type)> {
        let all = [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(7),
            json!(2.5),
            json!(""),
            json!("a"),
            json!("7"),
            json!("a b"),
            json!("[1]"),
            json!([]),
            json!([1, 2]),
            json!(["a", "b"]),
            json!([{ "a": 1 }]),
            json!({}),
            json!({ "a": 1 }),
        ];
        all.into_iter()
            .map(|value| {
                let known = Type::of_value(&value).weakened();
                (value, known)
            })
            .collect()
    }

    /// Renders an expression over `inputs`.
    fn render(text: &str, inputs: &Value) -> Result<Value, String> {
        let template = Template::expression(text).map_err(|errors| errors[0].message.clone())?;
        template.render(&Scope::new().with(Root::Inputs, inputs)).map_err(|error| error.message)
    }

    #[test]
    fn the_engine_agrees_with_what_filters_refuse_and_give() {
        let arguments = |filter: &str| match filter {
            "replace" | "regex_replace" => "('a', 'b')",
            "attr" | "groupby" | "selectattr" | "rejectattr" => "('a')",
            "batch" | "slice" => "(2)",
            "map" => "('string')",
            "zip" | "chain" => "([1])",
            "default" | "d" => "('x', true)",
            _ => "",
        };
        let names = "abs b64encode basename batch bool capitalize chain count dictsort e escape file_ext first float \
            format fromjson groupby indent int items join last length lines list lower map max min pprint \
            regex_replace reject rejectattr replace reverse round safe select selectattr sha256 slice slugify sort split \
            string sum title tojson trim unique upper urlencode zip";
        for filter in names.split_whitespace() {
            for (value, known) in samples() {
                let given = render(&format!("inputs.x | {filter}{}", arguments(filter)), &json!({ "x": value }));
                let refused = refused(filter, &known, false);
                match given {
                    Ok(given) => {
                        assert_eq!(refused, None, "{value} | {filter} gives {given}");
                        let said = filtered(filter, &known, None);
                        assert!(said.has(&given), "{value} | {filter} gives {given}, not {said:?}");
                    }
                    Err(message) => assert!(!message.contains("templates have no"), "{filter}: {message}"),
                }
            }
        }
    }

    #[test]
    fn the_engine_agrees_with_what_has_no_negative_and_no_parts() {
        for (value, known) in samples() {
            for (text, refused) in [("-inputs.x", has_no_negative(&known)), ("inputs.x[1:]", has_no_slice(&known))] {
                let given = render(text, &json!({ "x": value }));
                assert!(!refused || given.is_err(), "{text} of {value} gives {given:?}");
            }
        }
        assert!(has_no_negative(&Type::Text) && has_no_slice(&Type::Number));
    }

    #[test]
    fn the_engine_agrees_with_what_operators_refuse_and_give() {
        for operator in Arithmetic::ALL {
            for (left, left_type) in samples() {
                for (right, right_type) in samples() {
                    let text = format!("inputs.a {} inputs.b", operator.sign());
                    let given = render(&text, &json!({ "a": left, "b": right }));
                    match (given, computed(operator, &left_type, &right_type)) {
                        (Ok(given), Computed::Fails) => panic!("{left} {} {right} gives {given}", operator.sign()),
                        (Ok(given), Computed::Gives(said)) => {
                            assert!(said.has(&given), "{left} {} {right} gives {given}: {said:?}", operator.sign());
                        }
                        (Err(_), _) => {}
                    }
                }
            }
        }
    }

    #[test]
    fn the_engine_agrees_with_what_is_never_equal_and_what_holds() {
        for (left, _) in samples() {
            for (right, _) in samples() {
                let types = |value: &Value| [Type::of_value(value), Type::of_value(value).weakened()];
                let equal = render("inputs.a == inputs.b", &json!({ "a": left, "b": right })).expect("they compare");
                for one in types(&left) {
                    for other in types(&right) {
                        assert!(equal == json!(false) || !one.is_never(&other), "{left} == {right}: {one:?} {other:?}");
                    }
                }
            }
            let truth = render("true if inputs.a else false", &json!({ "a": left })).expect("a condition");
            if let Some(said) = Type::of_value(&left).holds() {
                assert_eq!(truth, json!(said), "{left}");
            }
        }
    }

    #[test]
    fn the_engine_agrees_with_which_parts_are_not_there() {
        for (value, _) in samples() {
            for (path, segment) in [
                ("inputs.x.a", crate::template::Segment::Key("a".to_owned())),
                ("inputs.x[0]", crate::template::Segment::Index(0)),
            ] {
                for known in [Type::of_value(&value), Type::of_value(&value).weakened()] {
                    match (render(path, &json!({ "x": value })), known.part(&segment)) {
                        (Ok(given), None) => panic!("{path} of {value} is {given}"),
                        (Ok(given), Some(said)) => assert!(said.has(&given), "{path} of {value}: {said:?}"),
                        (Err(_), _) => {}
                    }
                }
            }
        }
    }
}
