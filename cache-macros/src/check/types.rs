//! Rules about the types of arguments and of the return value, by their spelling.
//!
//! (1) Spelling only ever makes a better message: what an alias hides, the compiler refuses with the words of
//! `private::KeyPart` and `private::Value`. (2) A message names the way out.

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{GenericArgument, Lifetime, PathArguments, Token, TraitBound, Type, TypeParamBound};

use crate::faults::Faults;
use crate::item::{Argument, Function, Shape, bare};

/// The return type: there is one, it can be named, and it borrows nothing.
pub(super) fn returned(function: &Function, allows_unit: bool, faults: &mut Faults) {
    let name = function.name();
    let unit = || {
        format!(
            "`{name}` returns nothing that could be cached; if it is to run once for its arguments, write `allow(unit)`"
        )
    };
    let Some(ty) = function.returned() else {
        if !allows_unit {
            faults.at(name.span(), unit());
        }
        return;
    };
    match bare(ty) {
        found if stores_unit(found) && !allows_unit => faults.on(ty, unit()),
        Type::Never(_) => faults.on(ty, format!("`{name}` never returns, so there is nothing to cache")),
        _ => {}
    }
    if !function.is_async() && is_future(ty) {
        faults.on(
            ty,
            "a future is no value: it can be awaited once. Write `async fn` (where another attribute makes this future of \
             one, put `#[cached]` above it)",
        );
        return;
    }
    let mut found = Found::default();
    found.visit_type(ty);
    for abstracted in found.abstracted {
        faults.on(abstracted, "a cached value has a type with a name: write it out, or box and share it");
    }
    for borrow in found.borrows {
        faults.on(
            borrow,
            "a cached function cannot return what it borrows, for the value outlives the call: return an owned \
             value or `Arc<T>`",
        );
    }
}

/// Whether what a return type stores is spelled `()`: by itself, or as the `Ok` of a `Result`.
fn stores_unit(ty: &Type) -> bool {
    match bare(ty) {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last().filter(|last| last.ident == "Result") else {
                return false;
            };
            let PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
            matches!(arguments.args.first(), Some(GenericArgument::Type(ty)) if matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty()))
        }
        _ => false,
    }
}

/// Whether a type is spelled like a future: `impl Future`, boxed and pinned, or by the usual aliases of that.
fn is_future(ty: &Type) -> bool {
    let has_future = |bounds: &Punctuated<TypeParamBound, Token![+]>| {
        bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => {
                bound.path.segments.last().is_some_and(|last| last.ident == "Future")
            }
            _ => false,
        })
    };
    match bare(ty) {
        Type::ImplTrait(ty) => has_future(&ty.bounds),
        Type::TraitObject(ty) => has_future(&ty.bounds),
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return false };
            let inner = || match &last.arguments {
                PathArguments::AngleBracketed(arguments) => arguments
                    .args
                    .iter()
                    .any(|argument| matches!(argument, GenericArgument::Type(ty) if is_future(ty))),
                _ => false,
            };
            match last.ident.to_string().as_str() {
                "BoxFuture" | "LocalBoxFuture" => true,
                "Pin" | "Box" => inner(),
                _ => false,
            }
        }
        _ => false,
    }
}

/// An argument of the key: it can be hashed, compared and kept.
pub(super) fn argument(argument: &Argument, faults: &mut Faults) {
    let title = argument.title();
    let target = match argument.shape() {
        Shape::Plain { target, .. } | Shape::Optional { target } => target,
        Shape::Exclusive => {
            faults.on(
                &argument.ty,
                format!("`&mut` cannot be part of a key: take `&T`, or leave it out with `skip({title})`"),
            );
            return;
        }
    };
    let mut found = Found::default();
    found.visit_type(target);
    for abstracted in found.abstracted {
        faults.on(
            abstracted,
            format!(
                "`impl Trait` cannot be part of a key: write the type, or leave it out with `skip({title})`"
            ),
        );
    }
    for float in found.floats {
        faults.on(
            float,
            format!(
                "floats are not equal to themselves (NaN) and cannot be part of a key: take their bits, as `to_bits` \
                 gives them, a number of units, or leave it out with `skip({title})`"
            ),
        );
    }
    for unordered in found.unordered {
        faults.on(
            unordered,
            format!(
                "a map or set in random order cannot be part of a key: take a `BTreeMap` or `BTreeSet`, or leave \
                 it out with `skip({title})`"
            ),
        );
    }
    for borrow in found.borrows {
        faults.on(
            borrow,
            format!(
                "`{title}` borrows inside its type, and a key is kept after the call: take `&T`, `&[T]`, `&str`, \
                 `Option<&T>` or an owned value, or leave it out with `skip({title})`"
            ),
        );
    }
}

/// Whether an argument borrows other than as a whole: `&T`, `&[T]`, `&str` and `Option<&T>` do not.
pub(super) fn borrows_inside(argument: &Argument) -> bool {
    let (Shape::Plain { target, .. } | Shape::Optional { target }) = argument.shape() else { return false };
    let mut found = Found::default();
    found.visit_type(target);
    !found.borrows.is_empty()
}

/// What a type is made of, as far as a rule cares.
#[derive(Default)]
struct Found {
    borrows: Vec<proc_macro2::TokenStream>,
    abstracted: Vec<syn::TypeImplTrait>,
    floats: Vec<proc_macro2::Ident>,
    unordered: Vec<proc_macro2::Ident>,
    /// Inside of a type that may compare what it holds in a way of its own.
    is_hidden: bool,
}

/// Types that compare and hash as what they hold.
const SEEN_THROUGH: [&str; 11] =
    ["Arc", "BTreeMap", "BTreeSet", "Box", "Cow", "LinkedList", "Option", "Rc", "Result", "Vec", "VecDeque"];

impl Found {
    fn borrow(&mut self, tokens: impl quote::ToTokens) {
        self.borrows.push(tokens.into_token_stream());
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_type_reference(&mut self, ty: &'ast syn::TypeReference) {
        match &ty.lifetime {
            Some(lifetime) => self.visit_lifetime(lifetime),
            None => self.borrow(ty.and_token),
        }
        self.visit_type(&ty.elem);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.borrow(lifetime);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast syn::TypeImplTrait) {
        self.abstracted.push(ty.clone());
    }

    // The references in the signature of a function pointer or of `dyn Fn(&T)` borrow nothing.
    fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}

    fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }

    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        match segment.ident.to_string().as_str() {
            _ if self.is_hidden => {}
            "f32" | "f64" => self.floats.push(segment.ident.clone()),
            "HashMap" | "HashSet" => self.unordered.push(segment.ident.clone()),
            _ => {}
        }
        let outside = self.is_hidden;
        self.is_hidden |= !SEEN_THROUGH.iter().any(|name| segment.ident == name);
        if let PathArguments::AngleBracketed(arguments) = &segment.arguments {
            for argument in &arguments.args {
                match argument {
                    GenericArgument::Lifetime(lifetime) => self.visit_lifetime(lifetime),
                    GenericArgument::Type(ty) => self.visit_type(ty),
                    _ => {}
                }
            }
        }
        self.is_hidden = outside;
    }
}
