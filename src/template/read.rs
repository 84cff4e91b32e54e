//! Reads a template's syntax tree: what it refers to, and what is wrong with it before anything is rendered.
//!
//! The tree is the engine's own (its `machinery`, which is why the version is pinned). Names that the template binds itself
//! (`for`, `set`, `with`, macros) are scoped, so that only what comes from outside is a reference.
//!
//! Before that, `bounds` counts the tokens: what would overflow the stack is not parsed.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

use minijinja::{
    machinery::{
        ast::{BinOpKind, Call, CallArg, CallType, Compare, Expr, Macro, Spanned, Stmt, Var},
        parse, parse_expr,
    },
    syntax::SyntaxConfig,
    value::ValueKind,
};

use super::{
    Expression, FileCall, Reference, Root, Segment, TemplateError, TemplateErrorKind,
    bounds::bound,
    constant::{MOST_CONSTANT_PARTS, constant, constant_parts},
    error::fit,
    expression::Shaper,
    files, filters,
};
use crate::{diagnostic::nearest, result::FIELDS};

/// What reading found.
#[derive(Default)]
pub(super) struct Read {
    /// In the order of the text.
    pub(super) references: Vec<Reference>,
    /// The bytes of the one expression which is the whole value.
    pub(super) lone: Option<Range<usize>>,
    /// Whether that expression is one reference.
    pub(super) is_reference: bool,
    /// Places of references that become text through `~`, whatever the data.
    pub(super) joined: Vec<usize>,
    /// In the order of the text.
    pub(super) files: Vec<FileCall>,
    /// The expressions that are surely evaluated, in the order of the text.
    pub(super) parts: Vec<Expression>,
}

/// Returns the engine's syntax, except that the line break at the end of a text stays: YAML's `|` put it there on purpose.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the usual delimiters are valid")
}

/// Reads a text with templates in it.
pub(super) fn text(text: &str) -> Result<Read, Vec<TemplateError>> {
    bound(text, false).map_err(|error| vec![error])?;
    let tree = parse(text, "", syntax()).map_err(|error| vec![TemplateError::syntax(text, 0, &error)])?;
    let mut reader = Reader::new(text);
    reader.statement(&tree);
    let (mut lone, mut is_reference) = (None, false);
    if let Stmt::Template(template) = &tree {
        let mut parts = template.children.iter().filter(|part| !is_blank(part));
        let trimmed = text.trim();
        if let (Some(Stmt::EmitExpr(emit)), None) = (parts.next(), parts.next())
            && trimmed.starts_with("{{")
            && trimmed.ends_with("}}")
        {
            let span = emit.span();
            lone = Some(fit(text, span.start_offset as usize..span.end_offset as usize));
            is_reference = reader.is_reference(&emit.expr);
        }
    }
    reader.finish(lone, is_reference)
}

/// Returns a text with templates in it as it is with a stand-in for each `{{ }}`; nothing where it has blocks, or cannot be read.
#[must_use]
pub fn with_stand_ins(text: &str, stand_in: &str) -> Option<String> {
    bound(text, false).ok()?;
    let tree = parse(text, "", syntax()).ok()?;
    let Stmt::Template(template) = &tree else { return None };
    template.children.iter().try_fold(String::new(), |whole, part| match part {
        Stmt::EmitRaw(raw) => Some(whole + raw.raw),
        Stmt::EmitExpr(_) => Some(whole + stand_in),
        _ => None,
    })
}

/// Reads a bare expression over a result, whose fields are names.
pub(super) fn expectation(text: &str) -> Result<Read, Vec<TemplateError>> {
    bare(text, true)
}

/// Reads a bare expression.
pub(super) fn expression(text: &str) -> Result<Read, Vec<TemplateError>> {
    bare(text, false)
}

fn bare(text: &str, over_result: bool) -> Result<Read, Vec<TemplateError>> {
    bound(text, true).map_err(|error| vec![error])?;
    if text.trim().is_empty() {
        let message = "an expression is wanted here, and there is none";
        return Err(vec![TemplateError::new(TemplateErrorKind::Syntax, message, 0..text.len())]);
    }
    let tree = parse_expr(text).map_err(|error| vec![TemplateError::syntax(text, 0, &error)])?;
    let mut reader = Reader { over_result, ..Reader::new(text) };
    reader.expression(&tree);
    reader.part(&tree);
    let is_reference = reader.is_reference(&tree);
    reader.finish(Some(0..text.len()), is_reference)
}

fn is_blank(statement: &Stmt<'_>) -> bool {
    matches!(statement, Stmt::EmitRaw(raw) if raw.raw.trim().is_empty())
}

struct Reader<'a> {
    text: &'a str,
    /// Names that the template itself binds, innermost last.
    bound: Vec<HashSet<&'a str>>,
    references: Vec<Reference>,
    errors: Vec<TemplateError>,
    /// Bytes at which operands of `~` begin that are surely evaluated.
    joined: HashSet<usize>,
    /// How many branches and loops stand around: what is in them may not be evaluated.
    branches: usize,
    /// Calls of `file`, and whether a name that the template itself binds is part of the path.
    files: Vec<(FileCall, bool)>,
    /// How often a name was read that the template itself binds.
    bound_reads: usize,
    /// Whether the fields of a result are names.
    over_result: bool,
    /// The expressions that are surely evaluated.
    parts: Vec<Expression>,
    /// Beginnings of names that may stand for nothing, as something takes that.
    excused: HashSet<usize>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bound: vec![HashSet::new()],
            references: Vec::new(),
            errors: Vec::new(),
            joined: HashSet::new(),
            branches: 0,
            files: Vec::new(),
            bound_reads: 0,
            over_result: false,
            parts: Vec::new(),
            excused: HashSet::new(),
        }
    }

    fn finish(mut self, lone: Option<Range<usize>>, is_reference: bool) -> Result<Read, Vec<TemplateError>> {
        let files = self.finish_files();
        if self.errors.is_empty() {
            self.references.sort_by_key(|reference| reference.range.start);
            let joined = self.references.iter().enumerate();
            let joined =
                joined.filter(|(_, it)| self.joined.contains(&it.range.start)).map(|(place, _)| place).collect();
            Ok(Read { references: self.references, lone, is_reference, joined, files, parts: self.parts })
        } else {
            self.errors.sort_by_key(|error| error.range.start);
            Err(self.errors)
        }
    }

    /// Says whether an expression is nothing but one reference whose path is known.
    fn is_reference(&self, expression: &Expr<'a>) -> bool {
        matches!(expression, Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_))
            && self.references.len() == 1
            && !self.references[0].path.contains(&Segment::Computed)
            && chain(expression).is_some()
    }

    /// Notes the shape of an expression that is surely evaluated.
    fn part(&mut self, expression: &Expr<'a>) {
        let reference = |expression: &Expr<'_>| {
            let chain = chain(expression)?;
            let id = chain.var.id;
            let is_field = self.over_result && FIELDS.contains(&id);
            let is_known = !self.is_bound(id) && (Root::of(id).is_some() || is_field);
            is_known.then(|| fit(self.text, chain.var.start..chain.end))
        };
        let part = Shaper { text: self.text, reference: &reference }.shape(expression);
        self.parts.push(part);
    }

    fn error(
        &mut self,
        kind: TemplateErrorKind,
        range: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let range = fit(self.text, range);
        self.errors.push(TemplateError { kind, message: message.into(), help, range });
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|names| names.contains(name))
    }

    fn bind(&mut self, name: &'a str) {
        self.bound.last_mut().expect("the outermost scope is never left").insert(name);
    }

    fn scoped(&mut self, walk: impl FnOnce(&mut Self)) {
        self.bound.push(HashSet::new());
        walk(self);
        self.bound.pop();
    }

    /// Walks what may not be evaluated.
    fn perhaps(&mut self, walk: impl FnOnce(&mut Self)) {
        self.branches += 1;
        walk(self);
        self.branches -= 1;
    }

    fn body(&mut self, statements: &[Stmt<'a>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'a>) {
        match statement {
            Stmt::Template(template) => self.body(&template.children),
            Stmt::EmitExpr(emit) => {
                self.expression(&emit.expr);
                // Beyond the outermost scope, names are bound and loops may not go round.
                if self.branches == 0 && self.bound.len() == 1 {
                    self.part(&emit.expr);
                }
            }
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(each) => {
                self.expression(&each.iter);
                self.scoped(|this| {
                    this.bind("loop");
                    this.target(&each.target);
                    this.perhaps(|this| {
                        this.optional(each.filter_expr.as_ref());
                        this.body(&each.body);
                    });
                });
                self.scoped(|this| this.perhaps(|this| this.body(&each.else_body)));
            }
            // No scope of its own: what is set in a branch stays set after it.
            Stmt::IfCond(branch) => {
                self.expression(&branch.expr);
                self.perhaps(|this| {
                    this.body(&branch.true_body);
                    this.body(&branch.false_body);
                });
            }
            Stmt::WithBlock(with) => self.scoped(|this| {
                for (target, value) in &with.assignments {
                    this.expression(value);
                    this.target(target);
                }
                this.body(&with.body);
            }),
            Stmt::Set(set) => {
                self.expression(&set.expr);
                self.target(&set.target);
            }
            Stmt::SetBlock(set) => {
                self.optional(set.filter.as_ref());
                self.scoped(|this| this.body(&set.body));
                self.target(&set.target);
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter);
                self.scoped(|this| this.body(&block.body));
            }
            Stmt::Macro(declared) => {
                self.bind(declared.name);
                self.scoped(|this| this.declared(declared));
            }
            Stmt::CallBlock(block) => {
                self.call(&block.call, span(block.call_expr_span));
                self.scoped(|this| this.declared(&block.macro_decl));
            }
            Stmt::Do(statement) => self.call(&statement.call, span(statement.call.span())),
            Stmt::AutoEscape(node) => self.refuse("autoescape", span(node.span())),
            Stmt::Block(node) => self.refuse("block", span(node.span())),
            Stmt::Import(node) => self.refuse("import", span(node.span())),
            Stmt::FromImport(node) => self.refuse("from", span(node.span())),
            Stmt::Extends(node) => self.refuse("extends", span(node.span())),
            Stmt::Include(node) => self.refuse("include", span(node.span())),
        }
    }

    fn refuse(&mut self, word: &str, range: Range<usize>) {
        let help = Some("a template is one text: it reads no other, and knows no escaping".to_owned());
        self.error(TemplateErrorKind::Syntax, range, format!("templates here have no `{word}`"), help);
    }

    fn declared(&mut self, declared: &Macro<'a>) {
        self.bind("caller");
        declared.defaults.iter().for_each(|value| self.expression(value));
        declared.args.iter().for_each(|target| self.target(target));
        self.perhaps(|this| this.body(&declared.body));
    }

    /// Binds the names of an assignment.
    fn target(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(var) if matches!(var.id, "inputs" | "vars" | "secrets" | "steps" | "run") => {
                let help = Some("choose another name".to_owned());
                let message = format!("`{}` is a name of the language and cannot be set", var.id);
                self.error(TemplateErrorKind::Syntax, span(var.span()), message, help);
            }
            Expr::Var(var) => self.bind(var.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            other => self.expression(other),
        }
    }

    fn optional(&mut self, expression: Option<&Expr<'a>>) {
        if let Some(expression) = expression {
            self.expression(expression);
        }
    }

    fn expression(&mut self, expression: &Expr<'a>) {
        match expression {
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.lookup(expression),
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                for part in [&slice.start, &slice.stop, &slice.step] {
                    self.optional(part.as_ref());
                }
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                if constant_parts(expression).is_some_and(|parts| parts > MOST_CONSTANT_PARTS) {
                    let message = format!("a constant of more than {MOST_CONSTANT_PARTS} parts is too large");
                    let help = "give what is long as an input, or make it with `range`";
                    return self.error(
                        TemplateErrorKind::TooLarge,
                        first(expression)..span(expression.span()).end,
                        message,
                        Some(help.to_owned()),
                    );
                }
                if matches!(operation.op, BinOpKind::Concat) && self.branches == 0 {
                    let operands = [&operation.left, &operation.right].into_iter().filter_map(chain);
                    let starts: Vec<_> = operands.map(|operand| operand.var.start).collect();
                    self.joined.extend(starts);
                }
                self.expression(&operation.left);
                if matches!(operation.op, BinOpKind::ScAnd | BinOpKind::ScOr) {
                    self.perhaps(|this| this.expression(&operation.right));
                } else {
                    self.expression(&operation.right);
                }
            }
            Expr::Compare(compare) => {
                self.chain_of(compare);
                self.expression(&compare.expr);
                self.perhaps(|this| compare.ops.iter().for_each(|operation| this.expression(&operation.expr)));
            }
            Expr::IfExpr(branch) => {
                self.expression(&branch.test_expr);
                self.perhaps(|this| {
                    this.expression(&branch.true_expr);
                    this.optional(branch.false_expr.as_ref());
                });
            }
            Expr::Filter(filter) => {
                if matches!(filter.name, "default" | "d") {
                    self.excused.extend(filter.expr.as_ref().and_then(chain).map(|of| of.var.start));
                }
                self.optional(filter.expr.as_ref());
                self.known("filter", filter.name, filters::FILTERS, name_range(filter.span(), filter.name));
                self.named_inside(filter.name, &filter.args);
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.excused.extend(chain(&test.expr).map(|of| of.var.start));
                self.expression(&test.expr);
                self.known("test", test.name, filters::TESTS, name_range(test.span(), test.name));
                self.arguments(&test.args);
            }
            Expr::Call(call) => self.call(call, span(call.span())),
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|item| self.expression(item)),
        }
    }

    /// Refuses a chain of comparisons over what may have grown: the engine would walk over it without being paid (see `code`).
    fn chain_of(&mut self, compare: &Spanned<Compare<'a>>) {
        let mut terms = std::iter::once(&compare.expr).chain(compare.ops.iter().map(|operation| &operation.expr));
        if compare.ops.len() > 1 && !terms.all(|term| self.is_small(term)) {
            let message = "a chain of comparisons takes only numbers, texts and references";
            let help = "write two comparisons: `a < b and b < c`";
            // The engine's span of a chain starts anywhere, but ends where it ends.
            let first = first(&compare.expr);
            self.error(TemplateErrorKind::Syntax, first..span(compare.span()).end, message, Some(help.to_owned()));
        }
    }

    /// Says whether a value is surely no larger than what the template is given.
    fn is_small(&self, expression: &Expr<'a>) -> bool {
        let Some(chain) = chain(expression) else {
            return match expression {
                Expr::Const(_) | Expr::Test(_) | Expr::UnaryOp(_) => true,
                Expr::BinOp(operation) => {
                    !matches!(operation.op, BinOpKind::Add | BinOpKind::Mul | BinOpKind::ScAnd | BinOpKind::ScOr)
                }
                Expr::Filter(filter) => matches!(
                    filter.name,
                    "abs" | "count" | "float" | "int" | "length" | "lower" | "round" | "trim" | "upper"
                ),
                _ => false,
            };
        };
        !self.is_bound(chain.var.id)
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.expression(value);
        }
    }

    /// Checks the filters and tests that other filters take by name, as in `map("upper")`.
    fn named_inside(&mut self, filter: &str, arguments: &[CallArg<'a>]) {
        let (what, known, place) = match filter {
            "map" => ("filter", filters::FILTERS, 0),
            "select" | "reject" => ("test", filters::TESTS, 0),
            "selectattr" | "rejectattr" => ("test", filters::TESTS, 1),
            _ => return,
        };
        if let Some(CallArg::Pos(Expr::Const(name))) = arguments.get(place)
            && let Some(text) = name.value.as_str()
        {
            self.known(what, text, known, span(name.span()));
        }
    }

    fn known(&mut self, what: &str, name: &str, known: &[&str], range: Range<usize>) {
        if known.contains(&name) {
            return;
        }
        let help = nearest(name, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        self.error(TemplateErrorKind::UnknownFilter, range, format!("templates have no {what} `{name}`"), help);
    }

    fn call(&mut self, call: &Call<'a>, range: Range<usize>) {
        let before = (self.references.len(), self.bound_reads);
        self.arguments(&call.args);
        match call.identify_call() {
            CallType::Function(name) if self.is_bound(name) => self.bound_reads += 1,
            CallType::Function(files::FUNCTION) => self.file(call, range, before),
            CallType::Function(name) if filters::FUNCTIONS.contains(&name) => {}
            CallType::Function(name) => {
                let help = if filters::FILTERS.contains(&name) {
                    Some(format!("`{name}` is a filter: write `value | {name}`"))
                } else {
                    nearest(name, filters::FUNCTIONS.iter().copied()).map(|name| format!("did you mean `{name}`?"))
                };
                let start = call.expr.span().start_offset as usize;
                let range = start..start + name.len();
                self.error(
                    TemplateErrorKind::UnknownFilter,
                    range,
                    format!("templates have no function `{name}`"),
                    help,
                );
            }
            CallType::Method(value, name) => {
                let own = chain(value).is_some_and(|chain| self.is_bound(chain.var.id));
                self.bound_reads += usize::from(own);
                self.expression(value);
                if !own {
                    // The span of the function part of the call ends with the method's name.
                    let end = call.expr.span().end_offset as usize;
                    let range = end.saturating_sub(name.len())..end;
                    let help = filters::FILTERS
                        .contains(&name)
                        .then(|| format!("`{name}` is a filter: write `value | {name}`"));
                    self.error(
                        TemplateErrorKind::UnknownFilter,
                        range,
                        format!("values have no method `{name}`"),
                        help,
                    );
                }
            }
            CallType::Block(name) => self.refuse(&format!("self.{name}"), range),
            CallType::Object(value) => self.expression(value),
        }
    }

    /// Reads a call of `file`. `before` says how many references and bound names were read before its arguments.
    fn file(&mut self, call: &Call<'a>, range: Range<usize>, before: (usize, usize)) {
        let argument = match call.args.as_slice() {
            // How many there are in a splat is known when it is rendered.
            [CallArg::Pos(argument) | CallArg::PosSplat(argument)] => argument,
            arguments => {
                let found = match arguments {
                    [] => "none",
                    [CallArg::Kwarg(..) | CallArg::KwargSplat(_)] => "a named argument",
                    _ => "more",
                };
                let message = format!("`file` takes one path, and {found} is given");
                return self.error(TemplateErrorKind::File, range, message, Some(files::USAGE.to_owned()));
            }
        };
        let is_splat = matches!(call.args.as_slice(), [CallArg::PosSplat(_)]);
        let constant = if is_splat { None } else { constant(argument) };
        let mut place = fit(self.text, span(argument.span()));
        // The engine's spans of chains and conditions start anywhere, but end where they end.
        let name = span(call.expr.span()).end.min(place.end);
        if let Some(open) = self.text.get(name..place.end).and_then(|text| text.find('(')) {
            let inside = &self.text[name + open + 1..place.end];
            place.start = place.end - inside.trim_start_matches(|c: char| c.is_whitespace() || c == '*').len();
        }
        if let Some(constant) = &constant {
            let checked = match constant.as_str() {
                Some(path) => files::check(path),
                None => Err(format!("`file` takes a path, which is text, not a {}", constant.kind())),
            };
            if let Err(message) = checked {
                return self.error(TemplateErrorKind::File, place, message, Some(files::USAGE.to_owned()));
            }
        }
        let path = constant.as_ref().and_then(|constant| constant.as_str()).map(ToOwned::to_owned);
        let mut roots: Vec<_> = self.references[before.0..].iter().map(|reference| reference.root.clone()).collect();
        roots.sort_unstable();
        roots.dedup();
        self.files.push((FileCall { path, roots, range: place }, self.bound_reads > before.1));
    }

    /// Settles what the paths of files are made of, and refuses those that a result could be part of: what an API answers must never
    /// choose a file of this machine.
    fn finish_files(&mut self) -> Vec<FileCall> {
        let everything: BTreeSet<_> = self.references.iter().map(|reference| reference.root.clone()).collect();
        let mut calls = Vec::new();
        for (mut call, reads_bound) in std::mem::take(&mut self.files) {
            // What a bound name holds may come from anywhere in the template.
            if reads_bound {
                call.roots = everything.iter().cloned().collect();
            }
            if call.roots.iter().any(|root| matches!(root, Root::Steps | Root::Result(_))) {
                let message = "a step's result may be part of the path of this file";
                let help = "no API's answer chooses a file of this machine: write the path, or take it from an input";
                self.error(TemplateErrorKind::File, call.range.clone(), message, Some(help.to_owned()));
            }
            calls.push(call);
        }
        calls.sort_by_key(|call| call.range.start);
        calls
    }

    /// Reads a name with what follows it.
    fn lookup(&mut self, expression: &Expr<'a>) {
        let Some(chain) = chain(expression) else {
            // It begins with something else than a name, such as a call or a list.
            match expression {
                Expr::GetAttr(get) => self.expression(&get.expr),
                Expr::GetItem(get) => {
                    self.expression(&get.expr);
                    self.expression(&get.subscript_expr);
                }
                _ => unreachable!("a name alone is a chain"),
            }
            return;
        };
        chain.computed.iter().for_each(|subscript| self.expression(subscript));
        let Chain { var, path, segments, end, .. } = chain;
        let start = var.start;
        if self.is_bound(var.id) {
            self.bound_reads += 1;
            return;
        }
        let field = || FIELDS.contains(&var.id).then(|| Root::Result(var.id.to_owned())).filter(|_| self.over_result);
        let Some(root) = Root::of(var.id).or_else(field) else {
            self.unknown_name(var.id, start..start + var.id.len());
            return;
        };
        if root == Root::Steps && !matches!(path.first(), Some(Segment::Key(_))) {
            let range = segments.first().cloned().unwrap_or(start..start + var.id.len());
            let message =
                if path.is_empty() { "`steps` alone is no value" } else { "a step's name cannot be computed" };
            let help = "name the step, as in `steps.render`: what a step waits for must be known before the run";
            self.error(TemplateErrorKind::ComputedStep, range, message, Some(help.to_owned()));
            return;
        }
        let range = fit(self.text, start..end);
        let excused = self.excused.contains(&range.start);
        self.references.push(Reference { root, path, range, segments, excused });
    }

    fn unknown_name(&mut self, name: &str, range: Range<usize>) {
        let fields: &[&str] = if self.over_result { FIELDS } else { &[] };
        // In `expect` there is the result of one job, and nothing is saved yet.
        let is_there = |name: &&str| !self.over_result || !matches!(*name, "step" | "ext" | "n" | "items" | "outputs");
        let known = || Root::NAMES.iter().chain(fields).copied().filter(is_there);
        let help = match (name, nearest(name, known())) {
            ("null" | "nil" | "undefined", _) => "write `none`".to_owned(),
            ("env" | "environ", _) => "environment variables are `secrets.NAME`, when `secrets` lists them".to_owned(),
            _ if filters::FUNCTIONS.contains(&name) => format!("`{name}` is a function: call it"),
            _ if filters::FILTERS.contains(&name) => format!("`{name}` is a filter: write `value | {name}`"),
            (_, Some(near)) => format!("did you mean `{near}`?"),
            _ => {
                let names: Vec<_> = known().map(|name| format!("`{name}`")).collect();
                format!("templates know {}; a text stands in quotes", names.join(", "))
            }
        };
        self.error(TemplateErrorKind::UnknownName, range, format!("templates have no name `{name}`"), Some(help));
    }
}

/// Returns the byte at which an expression begins: the engine's spans of operators start anywhere, but end where they end.
fn first(expression: &Expr<'_>) -> usize {
    match expression {
        Expr::BinOp(operation) => first(&operation.left),
        Expr::Compare(compare) => first(&compare.expr),
        other => chain(other).map_or(span(other.span()).start, |chain| chain.var.start),
    }
}

/// A name with what follows it.
struct Chain<'e, 'a> {
    var: Name<'a>,
    path: Vec<Segment>,
    segments: Vec<Range<usize>>,
    /// Subscripts that are expressions themselves.
    computed: Vec<&'e Expr<'a>>,
    end: usize,
}

struct Name<'a> {
    id: &'a str,
    start: usize,
}

/// Takes `a.b['c'][0]` apart; nothing where it does not begin with a name.
fn chain<'e, 'a>(expression: &'e Expr<'a>) -> Option<Chain<'e, 'a>> {
    let (mut path, mut segments, mut computed) = (Vec::new(), Vec::new(), Vec::new());
    let end = expression.span().end_offset as usize;
    let mut expression = expression;
    let var = loop {
        match expression {
            Expr::Var(var) => break name(var, var.span()),
            Expr::GetAttr(get) => {
                // The engine's span of a chain starts anywhere, but ends with the last name.
                let end = get.span().end_offset as usize;
                path.push(Segment::Key(get.name.to_owned()));
                segments.push(end.saturating_sub(get.name.len())..end);
                expression = &get.expr;
            }
            Expr::GetItem(get) => {
                let constant = constant(&get.subscript_expr);
                path.push(match &constant {
                    Some(value) if value.kind() == ValueKind::String => {
                        Segment::Key(value.as_str().unwrap_or_default().to_owned())
                    }
                    Some(value) if value.is_integer() => value.as_i64().map_or(Segment::Computed, Segment::Index),
                    _ => Segment::Computed,
                });
                if constant.is_none() {
                    computed.push(&get.subscript_expr);
                }
                segments.push(span(get.subscript_expr.span()));
                expression = &get.expr;
            }
            _ => return None,
        }
    };
    path.reverse();
    segments.reverse();
    computed.reverse();
    Some(Chain { var, path, segments, computed, end })
}

fn name<'a>(var: &Var<'a>, place: minijinja::machinery::Span) -> Name<'a> {
    Name { id: var.id, start: place.start_offset as usize }
}

fn span(span: minijinja::machinery::Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// Returns the bytes of a filter's or test's name, which its span begins with.
pub(super) fn name_range(span: minijinja::machinery::Span, name: &str) -> Range<usize> {
    let start = span.start_offset as usize;
    start..start + name.len()
}
