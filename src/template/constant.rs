//! Expressions that are made of constants alone. The engine makes their values when it compiles them, and nothing is paid for then, so that how
//! large they would be is looked at first.

use minijinja::{
    Value,
    machinery::ast::{BinOpKind, Expr},
};

/// The most parts of a value that is made of constants alone: what a person writes down has a few dozen.
pub(super) const MOST_CONSTANT_PARTS: u64 = 10_000;

/// Returns the value of an expression that is made of constants alone, unless that is large.
pub(super) fn constant(expression: &Expr<'_>) -> Option<Value> {
    match expression {
        Expr::Const(constant) => Some(constant.value.clone()),
        other if constant_parts(other).is_some_and(|parts| parts > MOST_CONSTANT_PARTS) => None,
        other => other.as_const(),
    }
}

/// Returns about how many parts the value of an expression has that is made of constants alone. The engine makes such a value when it
/// compiles the expression, and nothing is paid for then.
pub(super) fn constant_parts(expression: &Expr<'_>) -> Option<u64> {
    let sum = |items: &[Expr<'_>]| {
        items.iter().map(constant_parts).try_fold(1_u64, |sum, parts| Some(sum.saturating_add(parts?)))
    };
    match expression {
        Expr::Const(_) => Some(1),
        Expr::List(list) => sum(&list.items),
        Expr::Tuple(tuple) => sum(&tuple.items),
        Expr::Map(map) => Some(sum(&map.keys)?.saturating_add(sum(&map.values)?)),
        Expr::UnaryOp(operation) => constant_parts(&operation.expr),
        Expr::BinOp(operation) => {
            let (left, right) = (constant_parts(&operation.left)?, constant_parts(&operation.right)?);
            let both = left.saturating_add(right);
            let has_list = both > 2;
            // Long texts are not made then.
            if !matches!(operation.op, BinOpKind::Mul) || !has_list || both > MOST_CONSTANT_PARTS {
                return Some(both);
            }
            let times =
                [&operation.left, &operation.right].into_iter().filter_map(|side| side.as_const()?.as_usize()).max();
            Some(both.saturating_mul(times.map_or(1, |times| times as u64)))
        }
        _ => None,
    }
}
