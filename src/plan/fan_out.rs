//! The items of a step with `foreach` or `matrix`: compiled, checked, and counted as far as they are known before the run.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{
    FanOut, Items,
    references::Spot,
    site::{At, Site},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    template::{Root, Scope, Template, TemplateError, TemplateErrorKind},
    tree::Tree,
};

/// The most items of one step: what a run can show, count and keep in order. More is data for a program.
pub(super) const MOST_ITEMS: usize = 100_000;

/// Compiles what a step runs for. `check` takes each template with its place.
pub(super) fn compile(
    site: &Site<'_>,
    step: &crate::spec::Step,
    pointer: &Pointer,
    when: Option<&Template>,
    mut check: impl FnMut(&Template, &Pointer, Spot),
) -> Option<FanOut> {
    let (items, pointer) = match (&step.foreach, &step.matrix) {
        (Some(value), _) => {
            let pointer = pointer.join("foreach");
            (one(site, value, &pointer, &mut check)?, pointer)
        }
        (None, Some(lists)) => {
            let pointer = pointer.join("matrix");
            let lists = lists.iter();
            let lists: Option<IndexMap<String, Items>> = lists
                .map(|(name, value)| Some((name.clone(), one(site, value, &pointer.join(name), &mut check)?)))
                .collect();
            (Items::Matrix(lists?), pointer)
        }
        (None, None) => return None,
    };
    let when_per_item = when.is_some_and(|when| when.references().iter().any(|reference| is_of_item(&reference.root)));
    Some(FanOut { items, pointer, max_parallel: step.max_parallel, when_per_item })
}

fn is_of_item(root: &Root) -> bool {
    matches!(root, Root::Item | Root::Index)
}

fn one(
    site: &Site<'_>,
    value: &Value,
    pointer: &Pointer,
    check: &mut impl FnMut(&Template, &Pointer, Spot),
) -> Option<Items> {
    let mut looked_at = |template: &Template, place: &Pointer| {
        for reference in template.references().iter().filter(|reference| is_of_item(&reference.root)) {
            let message = format!("`{}` is there only once the items are known", reference.root.name());
            let diagnostic = Diagnostic::error(Code::NoItem, message);
            site.tell(site.at(diagnostic, &At::Within(place, reference.range.clone()), "no item here"));
        }
        check(template, place, Spot::Foreach);
    };
    if let Value::String(text) = value {
        match Template::expression(text) {
            Ok(template) => {
                looked_at(&template, pointer);
                return Some(Items::Expression(template));
            }
            Err(errors) => {
                for error in &errors {
                    site.tell_template(pointer, error);
                }
                return None;
            }
        }
    }
    let (tree, errors) = Tree::compile(value, pointer);
    for (place, error) in &errors {
        site.tell_template(place, error);
    }
    for (place, template) in tree.templates() {
        looked_at(template, place);
    }
    if let Some(count) = tree.literal().and_then(length)
        && count > MOST_ITEMS
    {
        let diagnostic = Diagnostic::error(Code::TooManyItems, too_many(count)).help("split it into several runs");
        site.tell(site.at(diagnostic, &At::Value(pointer), "too many"));
    }
    Some(Items::Literal(tree))
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        _ => None,
    }
}

fn too_many(count: usize) -> String {
    format!("there are {count} items, and a step runs for at most {MOST_ITEMS}")
}

impl FanOut {
    /// Returns the items, in order: of a map each is `{key, value}`, of a matrix a map with a value of each list.
    ///
    /// # Errors
    ///
    /// Where a template fails, or what it gives is no list and no map, with the place.
    pub fn items(&self, scope: &Scope) -> Result<Vec<Value>, (Pointer, TemplateError)> {
        self.items.render(scope, &self.pointer, None)
    }

    /// Returns how many items there are, where that is known before the run. `is_known` says which templates are.
    #[must_use]
    pub fn count(&self, scope: &Scope, is_known: &dyn Fn(&Template) -> bool) -> Option<usize> {
        self.items.count(scope, is_known, &self.pointer)
    }

    /// Returns every template, with its place.
    #[must_use]
    pub fn templates(&self) -> Vec<(&Pointer, &Template)> {
        self.items.templates(&self.pointer)
    }
}

impl std::fmt::Display for Items {
    /// Writes the items as the workflow does, in short.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expression(template) => f.write_str(template.text().trim()),
            Self::Literal(Tree::Literal(value)) => write!(f, "{value}"),
            Self::Literal(_) => f.write_str("the list here"),
            Self::Matrix(lists) => {
                let names: Vec<_> = lists.iter().map(|(name, list)| format!("{name}: {list}")).collect();
                f.write_str(&names.join(" × "))
            }
        }
    }
}

impl Items {
    /// Renders the items; `list` is the name where they are a list of a matrix.
    fn render(
        &self,
        scope: &Scope,
        pointer: &Pointer,
        list: Option<&str>,
    ) -> Result<Vec<Value>, (Pointer, TemplateError)> {
        let wrong = |message: String, help: Option<&str>, end: usize| {
            let error = TemplateError::new(TemplateErrorKind::Failed, message, 0..end);
            (pointer.clone(), help.map_or_else(|| error.clone(), |help| error.clone().help(help)))
        };
        let (value, end) = match self {
            Self::Expression(template) => {
                let value = template.render(scope).map_err(|error| (pointer.clone(), error))?;
                (value, template.text().len())
            }
            Self::Literal(tree) => (tree.render(scope)?, 0),
            Self::Matrix(lists) => return product(lists, scope, pointer),
        };
        let wants = list.map_or_else(
            || "`foreach` wants a list or a map".to_owned(),
            |name| format!("`{name}` of `matrix` wants a list"),
        );
        let items = match value {
            Value::Array(items) => items,
            Value::Object(map) if list.is_none() => {
                map.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
            }
            Value::Null => {
                let help = "an empty list runs for no item; write `| default([], true)` where there may be none";
                return Err(wrong(format!("{wants}, and this is null"), Some(help), end));
            }
            other => {
                let what = crate::contract::schema::describe(&other);
                return Err(wrong(format!("{wants}, and this is {what}"), None, end));
            }
        };
        if items.len() > MOST_ITEMS {
            return Err(wrong(too_many(items.len()), Some("split them into several runs"), end));
        }
        Ok(items)
    }

    fn count(&self, scope: &Scope, is_known: &dyn Fn(&Template) -> bool, pointer: &Pointer) -> Option<usize> {
        match self {
            Self::Expression(template) if !is_known(template) => None,
            Self::Expression(_) => self.render(scope, pointer, None).ok().map(|items| items.len()),
            // Its templates change what the items are, not how many.
            Self::Literal(Tree::List(items)) => Some(items.len()),
            Self::Literal(Tree::Map(map)) => Some(map.len()),
            Self::Literal(Tree::Literal(value)) => length(value),
            Self::Literal(Tree::Template { .. }) => None,
            Self::Matrix(lists) => lists.iter().try_fold(1_usize, |product, (name, list)| {
                product.checked_mul(list.count(scope, is_known, &pointer.join(name))?)
            }),
        }
    }

    fn templates<'a>(&'a self, pointer: &'a Pointer) -> Vec<(&'a Pointer, &'a Template)> {
        match self {
            Self::Expression(template) => vec![(pointer, template)],
            Self::Literal(tree) => tree.templates().collect(),
            Self::Matrix(lists) => lists.values().flat_map(|list| list.templates(pointer)).collect(),
        }
    }
}

/// Returns every combination of the lists, the last one turning fastest.
fn product(
    lists: &IndexMap<String, Items>,
    scope: &Scope,
    pointer: &Pointer,
) -> Result<Vec<Value>, (Pointer, TemplateError)> {
    let mut product: Vec<Map<String, Value>> = vec![Map::new()];
    for (name, list) in lists {
        let values = list.render(scope, &pointer.join(name), Some(name))?;
        let count = product.len().saturating_mul(values.len());
        if count > MOST_ITEMS {
            let error = TemplateError::new(TemplateErrorKind::Failed, too_many(count), 0..0);
            return Err((pointer.clone(), error.help("shorten a list, or split it into several runs")));
        }
        let with = |item: &Map<String, Value>, value: &Value| {
            let mut item = item.clone();
            item.insert(name.clone(), value.clone());
            item
        };
        product = product.iter().flat_map(|item| values.iter().map(move |value| with(item, value))).collect();
    }
    Ok(product.into_iter().map(Value::Object).collect())
}
