//! The function an attribute stands on: its arguments, receiver and return type, described and not judged.

use std::rc::Rc;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, ItemFn, Pat, PatIdent, Path, PathArguments, Receiver,
    ReturnType, Type,
};

/// The annotated impl block in which a function stands.
pub(crate) struct Block {
    pub(crate) generics: Generics,
    pub(crate) self_ty: Type,
    /// The trait that the block implements.
    pub(crate) of: Option<Path>,
}

/// A function to be cached.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    /// None for a function in a module or in another function.
    pub(crate) block: Option<Rc<Block>>,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) args: Vec<Argument>,
}

/// One argument.
pub(crate) struct Argument {
    /// The user's name, or a made one where the user wrote a pattern.
    pub(crate) name: Ident,
    /// The pattern, where it is more than a name.
    pub(crate) pattern: Option<Pat>,
    /// What the pattern, or the name, binds.
    pub(crate) bindings: Vec<Ident>,
    pub(crate) ty: Type,
    pub(crate) attrs: Vec<syn::Attribute>,
}

/// How an argument is borrowed for the look-up.
pub(crate) enum Shape<'a> {
    /// `T`, with no, one or more references before it.
    Plain { depth: usize, target: &'a Type },
    /// `Option<&T>`.
    Optional { target: &'a Type },
    /// `&mut T`.
    Exclusive,
}

impl Function {
    pub(crate) fn new(item: ItemFn, block: Option<Rc<Block>>) -> Self {
        let mut receiver = None;
        let mut args = Vec::new();
        for input in &item.sig.inputs {
            match input {
                FnArg::Receiver(found) => receiver = Some(found.clone()),
                FnArg::Typed(typed) => args.push(Argument::new(args.len() + 1, typed)),
            }
        }
        Self { item, block, receiver, args }
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.sig.ident
    }

    /// The return type; `None` if none is written.
    pub(crate) fn returned(&self) -> Option<&Type> {
        match &self.item.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some(ty),
        }
    }

    pub(crate) fn is_async(&self) -> bool {
        self.item.sig.asyncness.is_some()
    }

    /// The type and const parameters that make one instance of the function differ from another: the block's, then its own.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &GenericParam> {
        let of_block = self.block.iter().flat_map(|block| &block.generics.params);
        of_block
            .chain(&self.item.sig.generics.params)
            .filter(|param| !matches!(param, GenericParam::Lifetime(_)))
    }

    /// Whether a type is a parameter of the function or of its block that has a size, and nothing around it.
    pub(crate) fn is_parameter(&self, ty: &Type) -> bool {
        let Type::Path(path) = bare(ty) else { return false };
        let is_sized = |param: &syn::TypeParam| {
            !param
                .bounds
                .iter()
                .any(|bound| matches!(bound, syn::TypeParamBound::Trait(of) if of.maybe.is_some()))
        };
        path.qself.is_none()
            && self.parameters().any(|param| {
                matches!(param, GenericParam::Type(param) if path.path.is_ident(&param.ident) && is_sized(param))
            })
    }

    /// The argument of that name that is not taken apart.
    pub(crate) fn position(&self, name: &Ident) -> Option<usize> {
        self.args.iter().position(|arg| arg.pattern.is_none() && arg.name.unraw() == name.unraw())
    }

    /// The first of the names that the parameters bind, or `self`, that tokens name.
    pub(crate) fn mentioned(&self, tokens: impl ToTokens) -> Option<String> {
        let tokens = tokens.into_token_stream();
        let this = Ident::new("self", Span::call_site());
        let bound = self.args.iter().flat_map(|arg| &arg.bindings);
        bound
            .chain(self.receiver.is_some().then_some(&this))
            .find(|name| uses(&tokens, name))
            .map(|name| name.unraw().to_string())
    }
}

impl Argument {
    fn new(number: usize, typed: &syn::PatType) -> Self {
        let (name, pattern) = match &*typed.pat {
            Pat::Ident(PatIdent { by_ref: None, subpat: None, ident, .. }) => (ident.clone(), None),
            other => (Ident::new(&format!("arg{number}"), Span::mixed_site()), Some(other.clone())),
        };
        let mut bindings = Bindings(Vec::new());
        bindings.visit_pat(&typed.pat);
        Self { name, pattern, bindings: bindings.0, ty: (*typed.ty).clone(), attrs: typed.attrs.clone() }
    }

    /// How it is borrowed for the look-up.
    pub(crate) fn shape(&self) -> Shape<'_> {
        let (mut ty, mut depth) = (bare(&self.ty), 0);
        while let Type::Reference(reference) = ty {
            if reference.mutability.is_some() {
                return Shape::Exclusive;
            }
            (ty, depth) = (bare(&reference.elem), depth + 1);
        }
        match optional(ty) {
            Some(target) if depth == 0 => Shape::Optional { target },
            _ => Shape::Plain { depth, target: ty },
        }
    }

    /// The name for messages: the user's, or that of the pattern's bindings.
    pub(crate) fn title(&self) -> String {
        match &self.pattern {
            None => self.name.unraw().to_string(),
            Some(_) => {
                self.bindings.iter().map(|name| name.unraw().to_string()).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// The `T` of `Option<&T>`, by its spelling: an alias is keyed by value, which is as right and only costs a clone
/// on a miss.
fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if arguments.args.len() == 1 => match bare(ty) {
            Type::Reference(reference) if reference.mutability.is_none() => Some(bare(&reference.elem)),
            _ => None,
        },
        _ => None,
    }
}

/// The type without parentheses and invisible groups.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        _ => ty,
    }
}

/// Whether tokens use a variable of that name: not as a field, as a path, or as a part of one.
pub(crate) fn uses(tokens: impl ToTokens, name: &Ident) -> bool {
    fn search(tokens: TokenStream, name: &Ident) -> bool {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is = |at: Option<usize>, text: &str| {
            at.and_then(|at| tokens.get(at)).is_some_and(|token| token.to_string() == text)
        };
        tokens.iter().enumerate().any(|(at, token)| match token {
            TokenTree::Ident(ident) if ident.unraw() == name.unraw() => {
                let is_range = is(at.checked_sub(2), ".");
                let is_field = is(at.checked_sub(1), ".") && !is_range;
                let is_in_path = is(at.checked_sub(1), ":") && is(at.checked_sub(2), ":")
                    || is(Some(at + 1), ":") && is(Some(at + 2), ":");
                !is_field && !is_in_path
            }
            TokenTree::Group(group) => search(group.stream(), name),
            _ => false,
        })
    }
    search(tokens.into_token_stream(), name)
}

/// Whether a function speaks of the type whose function it is; what items inside of it mean by `Self` is another.
pub(crate) fn speaks_of_its_type(item: &ItemFn) -> bool {
    struct Found(bool);
    impl<'ast> Visit<'ast> for Found {
        fn visit_item(&mut self, _: &'ast syn::Item) {}

        fn visit_path(&mut self, path: &'ast Path) {
            self.0 |= path.segments.first().is_some_and(|first| first.ident == "Self");
            syn::visit::visit_path(self, path);
        }

        fn visit_macro(&mut self, found: &'ast syn::Macro) {
            self.0 |= mentions(&found.tokens, &Ident::new("Self", Span::call_site()));
        }
    }
    let mut found = Found(false);
    found.visit_signature(&item.sig);
    found.visit_block(&item.block);
    found.0
}

/// Whether tokens name an identifier, at any depth.
pub(crate) fn mentions(tokens: impl ToTokens, name: &Ident) -> bool {
    fn search(tokens: TokenStream, name: &Ident) -> Option<Span> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(ident) if ident == *name => Some(ident.span()),
            TokenTree::Group(group) => search(group.stream(), name),
            _ => None,
        })
    }
    search(tokens.into_token_stream(), name).is_some()
}

struct Bindings(Vec<Ident>);

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        self.0.push(pat.ident.clone());
        syn::visit::visit_pat_ident(self, pat);
    }
}
