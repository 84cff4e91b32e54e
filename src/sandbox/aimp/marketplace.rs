//! The marketplace: the list of models, page by page, and one model with its contract.
//!
//! That a contract is in a model's detail, and where, is assumed; the variants put it wherever else a client must look.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    super::faults::{Effects, Variant},
    models::{Model, Rules},
    refusal::Refusal,
    request::input_schema,
    shapes,
};

/// The models of a page.
const PAGE: usize = 4;

/// Returns a page of the list.
pub(super) fn list(models: &[&Model], query: Option<&str>, origin: &str, effects: &Effects) -> Result<Value, Refusal> {
    let pairs = query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let given: BTreeMap<_, _> = pairs.collect();
    let pages = models.len().div_ceil(PAGE).max(1);
    let asked = given.get("cursor").and_then(|cursor| cursor.strip_prefix("page-")).or(given.get("page").copied());
    let page: usize = match asked.or(given.get("cursor").copied()) {
        None => 1,
        Some(text) => {
            let page = text.parse().ok().filter(|page| (1..=pages).contains(page));
            page.ok_or_else(|| Refusal::field("invalid_page", "page", "There is no such page"))?
        }
    };
    let shown = models.iter().skip((page - 1) * PAGE).take(PAGE);
    let cards: Vec<_> = shown.map(|model| Value::Object(card(model))).collect();
    // An array has no place for what follows: all of it is in it.
    if effects.has(Variant::ListArray) {
        return Ok(models.iter().map(|model| Value::Object(card(model))).collect());
    }
    let key = if effects.has(Variant::ListData) {
        "data"
    } else if effects.has(Variant::ListItems) {
        "items"
    } else if effects.has(Variant::ListModels) {
        "models"
    } else {
        "results"
    };
    let more = if effects.has(Variant::EndlessPages) { Some(1) } else { (page < pages).then_some(page + 1) };
    let mut list = if effects.has(Variant::PageNumbers) {
        json!({"page": page, "total_pages": pages, "total": models.len()})
    } else if effects.has(Variant::CursorPages) {
        json!({"next_cursor": more.map(|page| format!("page-{page}"))})
    } else {
        let base = if effects.has(Variant::NextRelative) {
            String::new()
        } else if effects.has(Variant::ForeignNext) {
            shapes::foreign(origin)
        } else {
            origin.to_owned()
        };
        let url = |page: usize| format!("{base}/api/marketplace/models?page={page}");
        let previous = (page > 1).then(|| url(page - 1));
        json!({"count": models.len(), "next": more.map(url), "previous": previous})
    };
    list[key] = cards.into();
    Ok(list)
}

fn card(model: &Model) -> Map<String, Value> {
    let contract = &model.product.contract;
    let value = json!({
        "id": model.id,
        "slug": model.slug,
        "name": contract.name,
        "description": contract.description,
        "modality": model.modality,
        "status": "published",
        "provider": "aimp-sandbox",
        "modes": model.modes.keys().collect::<Vec<_>>(),
        "pricing": {"per_run": shapes::money(model.product.cost), "currency": shapes::CURRENCY},
    });
    let Value::Object(card) = value else { unreachable!("a card is an object") };
    card
}

/// Returns a model with its contract.
pub(super) fn detail(model: &Model, effects: &Effects) -> Value {
    let mut detail = card(model);
    if !model.modes.is_empty() && !effects.has(Variant::NoContract) {
        contract(model, effects, &mut detail);
    }
    if effects.has(Variant::DetailInData) {
        json!({ "data": detail })
    } else if effects.has(Variant::DetailInModel) {
        json!({ "model": detail })
    } else {
        Value::Object(detail)
    }
}

fn contract(model: &Model, effects: &Effects, detail: &mut Map<String, Value>) {
    let mut operations = model.modes.iter().map(|(name, rules)| (name, operation(rules, effects)));
    if effects.has(Variant::FlatSchemas) {
        // Only one operation has room at the top: the first.
        if let Some((_, Value::Object(schemas))) = operations.next() {
            detail.remove("modes");
            detail.extend(schemas);
        }
        return;
    }
    let listed = |key: &str, operations: &mut dyn Iterator<Item = (&String, Value)>| -> Value {
        let with_name = operations.map(|(name, mut operation)| {
            operation[key] = json!(name);
            operation
        });
        with_name.collect()
    };
    let all = if effects.has(Variant::ModeList) {
        listed("name", &mut operations)
    } else if effects.has(Variant::ModeListByMode) {
        listed("mode", &mut operations)
    } else {
        Value::Object(operations.map(|(name, operation)| (name.clone(), operation)).collect())
    };
    if effects.has(Variant::TopModes) {
        detail.insert("modes".to_owned(), all);
    } else if effects.has(Variant::TopOperations) {
        detail.remove("modes");
        detail.insert("operations".to_owned(), all);
    } else if effects.has(Variant::ContractOperations) {
        detail.insert("contract".to_owned(), json!({ "operations": all }));
    } else {
        detail.insert("contract".to_owned(), json!({ "modes": all }));
    }
}

fn operation(rules: &Rules, effects: &Effects) -> Value {
    let [input, params] = if effects.has(Variant::CamelSchemas) {
        ["inputSchema", "paramsSchema"]
    } else if effects.has(Variant::InputKey) {
        ["input", "params"]
    } else if effects.has(Variant::SchemaKey) {
        ["schema", "params_schema"]
    } else {
        ["input_schema", "params_schema"]
    };
    let mut operation = Map::new();
    if let Some(schema) = input_schema(rules, effects.has(Variant::MediaObjects)) {
        operation.insert(input.to_owned(), schema);
    }
    if let Some(schema) = &rules.params_schema {
        operation.insert(params.to_owned(), schema.clone());
    }
    let flag = if effects.has(Variant::NoVectorFlag) {
        return Value::Object(operation);
    } else if effects.has(Variant::VectorKey) {
        "vector"
    } else if effects.has(Variant::VectorEnabledKey) {
        "vector_enabled"
    } else {
        "requires_scope"
    };
    operation.insert(flag.to_owned(), json!(rules.requires_scope));
    Value::Object(operation)
}
