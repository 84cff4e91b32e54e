//! The engine's code of a template: compiled once, and changed so that no walk over a value begins before it is paid for.
//!
//! The engine charges fuel for what an operator or a filter makes, and for the parts of a list that it looks at, but not for the parts of
//! those. A value may be far larger than what it takes in memory (`[0] * 100000000`, or a list of itself and itself, sixty times over),
//! and comparisons, `~`, keys of maps, most filters and some tests walk over all of it. So an instruction that may do so is replaced, in
//! its place, by the call of a filter or test which weighs what it is given, and only then does the same (but that `~` makes
//! text as a `{{ }}` in a text does). No template can spell their
//! names: those of operators are the operators, those of filters and tests end with `()`.
//!
//! What must stay true: the places of all instructions, since jumps and the spans of errors go by them. A chain of comparisons has an
//! instruction that no filter can stand for; `read` allows it only over what cannot have grown.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

use minijinja::{
    AutoEscape, Environment, Error, State, Value,
    machinery::{CodeGenerator, Instruction, Instructions, eval, make_string_output, parse, parse_expr},
    value::{Rest, ValueKind, ValueOrKwargs},
};
use self_cell::self_cell;

use super::{
    NAME, Scope, environment,
    filters::{FILTERS, TESTS},
    read::syntax,
    value,
};

type Borrowed<'text> = Instructions<'text>;

self_cell!(
    /// A text with the instructions that refer to it.
    pub(super) struct Code {
        owner: Arc<str>,
        #[covariant]
        dependent: Borrowed,
    }
);

/// The comparisons, each of which is a test of the engine too.
const COMPARISONS: [&str; 7] = ["==", "!=", "<", "<=", ">", ">=", "in"];

/// The filters that do something with their arguments for each item.
const FOR_EACH: [&str; 5] = ["map", "reject", "rejectattr", "select", "selectattr"];

/// The parts of a value that one fuel pays to walk over; an instruction takes as long.
const PARTS_PER_FUEL: u64 = 4;

/// The names of filters and tests that weigh what they are given, by those of the engine.
static WEIGHED: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let names = FILTERS.iter().chain(TESTS);
    names.map(|&name| (name, &*Box::leak(format!("{name}()").into_boxed_str()))).collect()
});

impl Code {
    /// Compiles a text with templates in it.
    pub(super) fn of_text(text: Arc<str>) -> Result<Self, Error> {
        Self::try_new(text, |text| {
            let tree = parse(text, NAME, syntax())?;
            let mut generator = CodeGenerator::new(NAME, text);
            generator.compile_stmt(&tree);
            Ok(weighed(generator.finish().0))
        })
    }

    /// Compiles an expression.
    pub(super) fn of_expression(text: Arc<str>) -> Result<Self, Error> {
        Self::try_new(text, |text| {
            let tree = parse_expr(text)?;
            let mut generator = CodeGenerator::new(NAME, text);
            generator.compile_expr(&tree);
            Ok(weighed(generator.finish().0))
        })
    }

    /// Returns the text that a template makes.
    pub(super) fn render(&self, scope: &Scope) -> Result<String, Error> {
        self.run(scope).map(|(text, _)| text)
    }

    /// Returns the value of an expression.
    pub(super) fn value(&self, scope: &Scope) -> Result<Value, Error> {
        self.run(scope).map(|(_, value)| value.expect("an expression leaves its value"))
    }

    fn run(&self, scope: &Scope) -> Result<(String, Option<Value>), Error> {
        let mut text = String::new();
        // Templates that extend others have blocks; `read` refuses them.
        let blocks = BTreeMap::new();
        let mut out = make_string_output(&mut text);
        let code = self.borrow_dependent();
        let (value, _) = eval(environment(), code, scope.context(), &blocks, &mut out, AutoEscape::None)?;
        Ok((text, value))
    }
}

/// Replaces the instructions that may walk over values.
fn weighed(mut code: Instructions<'_>) -> Instructions<'_> {
    let mut place = 0;
    while let Some(instruction) = code.get_mut(place) {
        place += 1;
        let (operator, count) = match instruction {
            Instruction::ApplyFilter(name, ..) | Instruction::PerformTest(name, ..) => {
                if let Some(weighed) = WEIGHED.get(name) {
                    *name = weighed;
                }
                continue;
            }
            Instruction::StringConcat => ("~", 2),
            Instruction::GetItem => ("[]", 2),
            Instruction::Eq => ("==", 2),
            Instruction::Ne => ("!=", 2),
            Instruction::Lt => ("<", 2),
            Instruction::Lte => ("<=", 2),
            Instruction::Gt => (">", 2),
            Instruction::Gte => (">=", 2),
            Instruction::In => ("in", 2),
            // An empty map has nothing to weigh, and a filter wants a value.
            Instruction::BuildMap(pairs @ 1..) if let Ok(count) = u16::try_from(*pairs * 2) => ("{}", count),
            _ => continue,
        };
        // The engine remembers filters under a number; this is the one of those that it looks up each time.
        *instruction = Instruction::ApplyFilter(operator, Some(count), !0);
    }
    code
}

/// Adds the filters and tests that stand for instructions.
pub(super) fn add(environment: &mut Environment<'static>) {
    for name in FILTERS {
        environment.add_filter(WEIGHED[name], move |state: &mut State, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            pay(state, &values)?;
            if FOR_EACH.contains(name)
                && let [of, arguments @ ..] = &*values
            {
                let times = of.len().unwrap_or_default() as u64;
                for argument in arguments {
                    state.consume_fuel((value::weigh(argument)? / PARTS_PER_FUEL).saturating_mul(times))?;
                }
            }
            state.apply_filter(name, &values)
        });
    }
    for name in TESTS {
        environment.add_test(WEIGHED[name], move |state: &mut State, values: Rest<ValueOrKwargs>| {
            let values = values.into_values();
            pay(state, &values)?;
            state.perform_test(name, &values)
        });
    }
    for name in COMPARISONS {
        environment.add_filter(name, move |state: &mut State, left: Value, right: Value| {
            let two = [present(left)?, present(right)?];
            pay(state, &two)?;
            state.perform_test(name, &two)
        });
    }
    environment.add_filter("~", |state: &State, left: Value, right: Value| {
        let [left, right] = [present(left)?, present(right)?];
        pay(state, &[left.clone(), right.clone()])?;
        // As beside a `{{ }}`; the engine would write lists as Python does.
        Ok::<_, Error>(Value::from(value::text(&left)? + &*value::text(&right)?))
    });
    environment.add_filter("[]", |state: &State, of: Value, key: Value| {
        pay(state, std::slice::from_ref(&key))?;
        let of = present(of)?;
        // The engine walks to a place of what has none.
        if of.kind() == ValueKind::Iterable {
            pay(state, std::slice::from_ref(&of))?;
        }
        of.get_item(&key)
    });
    environment.add_filter("{}", |state: &State, parts: Rest<Value>| {
        let pairs = parts.as_chunks::<2>().0;
        for [key, _] in pairs {
            pay(state, std::slice::from_ref(key))?;
        }
        Ok::<_, Error>(Value::from_pairs(pairs.iter().map(|[key, value]| (key.clone(), value.clone()))))
    });
}

/// Pays for walking over all of some values; the engine takes the price of texts.
fn pay(state: &State, values: &[Value]) -> Result<(), Error> {
    for value in values.iter().filter(|value| value.as_str().is_none()) {
        state.consume_fuel(value::weigh(value)? / PARTS_PER_FUEL)?;
    }
    Ok(())
}

/// Refuses a value that is not there, as the engine's operators do.
fn present(value: Value) -> Result<Value, Error> {
    if value.is_undefined() { Err(value::undefined()) } else { Ok(value) }
}
