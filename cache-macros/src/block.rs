//! `#[cached]` on an impl block: caches the functions in it that carry the attribute themselves.
//!
//! (1) The outer attribute consumes the inner ones, so none is expanded without its `Self`. (2) All faults of all
//! functions come at once. (3) A block without a cached function is a fault: the attribute would do nothing.
//! (4) In the impl of a trait an associated type is written with its trait, so that it has the same meaning beside the impl.

use std::rc::Rc;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, ImplItem, ImplItemFn, ItemFn, ItemImpl, Meta, Path, QSelf, Type, TypePath, parse_quote,
};

use crate::args::{Args, Companions};
use crate::expand::Method;
use crate::faults::Faults;
use crate::item::{Block, Function, bare};
use crate::options::Known;
use crate::{check, expand, fallback};

/// Expands the block, or stands in for it.
pub(crate) fn expand(args: TokenStream, item: ItemImpl) -> TokenStream {
    let mut faults = Faults::new();
    let outer = Outer::read(args, &mut faults);
    let block = Rc::new(Block {
        generics: item.generics.clone(),
        self_ty: (*item.self_ty).clone(),
        of: item.trait_.as_ref().map(|(path, _)| path.clone()),
    });
    if block.of.is_some() && !matches!(outer.companions, Some(Companions::Off)) && is_foreign(&item.self_ty) {
        faults.on(
            &item.self_ty,
            "this is not a type of this crate, and nothing can be put beside its impl: write `#[cached(companions = off)]`",
        );
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
}

impl Outer {
    fn read(args: TokenStream, faults: &mut Faults) -> Self {
        let args = Args::read(args, faults);
        for (option, span) in &args.written {
            if !matches!(option.known, Known::Crate | Known::Companions) {
                faults.at(
                    *span,
                    "options belong on the functions of the block; here stands `#[cached]` alone, or `companions = off`",
                );
            }
        }
        Self { krate: args.krate, companions: args.companions }
    }
}

fn method(
    attr: &Attribute,
    mut method: ImplItemFn,
    block: &Rc<Block>,
    outer: &Outer,
    faults: &mut Faults,
) -> Method {
    if let Some(of) = &block.of {
        Qualify(of).visit_signature_mut(&mut method.sig);
    }
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
    match check::check(args, &function, faults) {
        Some(plan) => expand::method(&plan),
        None => Method { inside: TokenStream::new(), beside: TokenStream::new() },
    }
}

/// Writes `Self::Item` as `<Self as Trait>::Item`.
struct Qualify<'a>(&'a Path);

impl VisitMut for Qualify<'_> {
    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        visit_mut::visit_type_path_mut(self, ty);
        let is_associated = ty.qself.is_none()
            && ty.path.segments.len() == 2
            && ty
                .path
                .segments
                .first()
                .is_some_and(|first| first.ident == "Self" && first.arguments.is_none());
        if !is_associated {
            return;
        }
        let (of, Some(name)) = (self.0, ty.path.segments.pop()) else { return };
        ty.path = parse_quote!(#of::#name);
        ty.qself = Some(QSelf {
            lt_token: Default::default(),
            ty: Box::new(parse_quote!(Self)),
            position: of.segments.len(),
            as_token: Some(Default::default()),
            gt_token: Default::default(),
        });
    }
}
