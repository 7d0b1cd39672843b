//! `#[cached]` on an impl block: caches the functions in it that carry the attribute themselves.
//!
//! (1) The outer attribute consumes the inner ones, so none is expanded without its `Self`. (2) All faults of all
//! functions come at once. (3) A block without a cached function is a fault: the attribute would do nothing.
//! (4) In the impl of a trait `Self::Item` is written as the type that the block gives, which means the same beside the impl.

use std::rc::Rc;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemFn, ItemImpl, Meta, Path, Type, TypePath};

use crate::args::{Args, Companions};
use crate::expand::Method;
use crate::faults::Faults;
use crate::item::{Block, Function, bare};
use crate::options::Known;
use crate::{check, expand, fallback};

/// Expands the block, or stands in for it.
pub(crate) fn expand(args: TokenStream, item: ItemImpl) -> TokenStream {
    let mut faults = Faults::new();
    let outer = Outer::read(args, &item, &mut faults);
    let block = Rc::new(Block {
        generics: item.generics.clone(),
        self_ty: (*item.self_ty).clone(),
        of: item.trait_.as_ref().map(|(path, _)| path.clone()),
    });
    if block.of.is_some() && !matches!(outer.companions, Some(Companions::Off)) {
        let is_parameter = block.generics.type_params().any(|param| is_only(&item.self_ty, &param.ident));
        if is_parameter || is_foreign(&item.self_ty) {
            faults.on(
                &item.self_ty,
                "companions stand beside the impl, which they can for a type of this crate only: write \
                 `#[cached(companions = off)]`",
            );
        }
    }
    let mut expanded = item.clone();
    let mut beside = TokenStream::new();
    let mut cached = 0;
    for member in &mut expanded.items {
        if let ImplItem::Fn(method) = member
            && let Some(at) = method.attrs.iter().position(is_cached)
        {
            cached += 1;
            let attr = method.attrs.remove(at);
            let Method { inside, beside: more } =
                self::method(&attr, method.clone(), &block, &outer, &mut faults);
            *member = ImplItem::Verbatim(inside);
            beside.extend(more);
        }
    }
    if cached == 0 {
        faults.at(
            item.impl_token.span(),
            "no function of this impl block is cached: write `#[cached(scope = …)]` on those that should be",
        );
    }
    if faults.is_empty() { quote!(#expanded #beside) } else { faults.beside(fallback::block(item)) }
}

/// Whether a type is this name and nothing more.
fn is_only(ty: &Type, name: &Ident) -> bool {
    matches!(bare(ty), Type::Path(path) if path.path.is_ident(name))
}

/// Whether a type can only be another crate's, as far as its spelling tells.
fn is_foreign(ty: &Type) -> bool {
    const STD: [&str; 32] = [
        "Arc", "BTreeMap", "BTreeSet", "Box", "Duration", "HashMap", "HashSet", "Mutex", "Option", "Path",
        "PathBuf", "Rc", "Result", "RwLock", "String", "Vec", "VecDeque", "bool", "char", "f32", "f64",
        "i128", "i16", "i32", "i64", "i8", "str", "u128", "u16", "u32", "u64", "usize",
    ];
    match bare(ty) {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|last| STD.iter().any(|name| last.ident == name))
        }
        Type::TraitObject(_) => false,
        _ => true,
    }
}

/// Whether an attribute is ours, by the last name of its path.
pub(crate) fn is_cached(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| last.ident == "cached")
}

/// What the outer attribute says for all functions of the block: where the crate is, and whether there are companions.
struct Outer {
    krate: Option<Path>,
    companions: Option<Companions>,
    /// The types that the block gives.
    types: Vec<(Ident, Type)>,
}

impl Outer {
    fn read(args: TokenStream, item: &ItemImpl, faults: &mut Faults) -> Self {
        let args = Args::read(args, faults);
        for (option, span) in &args.written {
            if !matches!(option.known, Known::Crate | Known::Companions) {
                faults.at(
                    *span,
                    "options belong on the functions of the block; here stands `#[cached]` alone, or `companions = off`",
                );
            }
        }
        Self { krate: args.krate, companions: args.companions, types: types_of(item) }
    }
}

fn method(
    attr: &Attribute,
    mut method: ImplItemFn,
    block: &Rc<Block>,
    outer: &Outer,
    faults: &mut Faults,
) -> Method {
    let mut resolve = Resolve { types: &outer.types, unknown: Vec::new(), depth: 0 };
    if block.of.is_some() {
        resolve.visit_signature_mut(&mut method.sig);
    }
    let unknown = resolve.unknown;
    let ImplItemFn { attrs, vis, modifiers, sig, block: body } = method;
    let item = ItemFn { attrs, vis, modifiers, sig, block: Box::new(body) };
    let function = Function::new(item, Some(Rc::clone(block)));
    if let Some(again) = function.item.attrs.iter().find(|attr| is_cached(attr)) {
        faults.on(again, "`#[cached]` is written twice");
    }
    let (tokens, whole) = match &attr.meta {
        Meta::List(list) => (list.tokens.clone(), list.path.span()),
        other => (TokenStream::new(), other.path().span()),
    };
    let mut args = Args::parse(tokens, whole, faults);
    args.krate = args.krate.or_else(|| outer.krate.clone());
    args.companions = args.companions.or_else(|| outer.companions.clone());
    if !matches!(args.companions, Some(Companions::Off)) {
        for name in unknown {
            faults.at(
                name.span(),
                format!(
                    "`{name}` is not a type that this block gives, so companions beside it cannot name it: write the type \
                     itself, or `companions = off`"
                ),
            );
        }
    }
    match check::check(args, &function, faults) {
        Some(plan) => expand::method(&plan),
        None => Method { inside: TokenStream::new(), beside: TokenStream::new() },
    }
}

/// Writes the type that the block gives for `Self::Item` in its place: beside the impl there is no such name.
struct Resolve<'a> {
    types: &'a [(Ident, Type)],
    /// Names that the block does not have: a supertrait's, or one with parameters of its own.
    unknown: Vec<Ident>,
    depth: usize,
}

/// The types that a block defines, without those that have parameters.
fn types_of(item: &ItemImpl) -> Vec<(Ident, Type)> {
    let plain = item.items.iter().filter_map(|item| match item {
        ImplItem::Type(item) if item.generics.params.is_empty() => {
            Some((item.ident.clone(), item.ty.clone()))
        }
        _ => None,
    });
    plain.collect()
}

impl VisitMut for Resolve<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        let Some(name) = associated(ty) else { return visit_mut::visit_type_mut(self, ty) };
        match self.types.iter().find(|(known, _)| *known == name) {
            // One may be made of others; of one another they cannot be.
            Some((_, known)) if self.depth < self.types.len() => {
                *ty = known.clone();
                self.depth += 1;
                self.visit_type_mut(ty);
                self.depth -= 1;
            }
            _ => self.unknown.push(name),
        }
    }
}

/// The `Item` of `Self::Item`.
fn associated(ty: &Type) -> Option<Ident> {
    let Type::Path(TypePath { qself: None, path, .. }) = ty else { return None };
    let mut segments = path.segments.iter();
    let (first, second) = (segments.next()?, segments.next()?);
    let is_one = segments.next().is_none() && first.ident == "Self";
    is_one.then(|| second.ident.clone())
}
