//! Type and const parameters: how instances of a function are told apart, and how companions of a trait's impl get theirs.
//!
//! (1) Every type and const parameter of the function and of its impl block tells an instance from another; lifetimes do not.
//! (2) An inherent block has the parameters that its type names; the others of a trait's impl go to each companion.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, Generics, WherePredicate};

use crate::item::{Block, mentions};

/// The generics of an inherent block beside the impl of a trait, and what of that impl goes to the companions.
pub(super) struct Inherent {
    pub(super) header: TokenStream,
    pub(super) clause: TokenStream,
    pub(super) moved: Vec<GenericParam>,
    pub(super) bounds: Vec<WherePredicate>,
}

impl Inherent {
    /// For companions that stand where their function stands.
    pub(super) fn none() -> Self {
        Self { header: TokenStream::new(), clause: TokenStream::new(), moved: Vec::new(), bounds: Vec::new() }
    }

    /// For the impl of a trait.
    pub(super) fn beside(block: &Block) -> Self {
        let is_named = |param: &GenericParam| mentions(&block.self_ty, &name_of(param));
        let (named, moved): (Vec<_>, Vec<_>) = block.generics.params.iter().cloned().partition(is_named);
        let names: Vec<_> = moved.iter().map(name_of).collect();
        let of_moved = |tokens: &dyn ToTokens| {
            let tokens = tokens.to_token_stream();
            names.iter().any(|name| mentions(&tokens, name))
        };
        let predicates = block.generics.where_clause.iter().flat_map(|clause| &clause.predicates).cloned();
        let (mut bounds, stays): (Vec<WherePredicate>, Vec<_>) =
            predicates.partition(|bound| of_moved(bound));
        let mut header: Vec<GenericParam> = Vec::new();
        for mut param in named {
            if let GenericParam::Type(ty) = &mut param
                && of_moved(&ty.bounds)
            {
                let (ident, of) = (&ty.ident, std::mem::take(&mut ty.bounds));
                bounds.push(syn::parse_quote!(#ident: #of));
            }
            header.push(param);
        }
        let header = if header.is_empty() { TokenStream::new() } else { quote!(<#(#header),*>) };
        let clause = if stays.is_empty() { TokenStream::new() } else { quote!(where #(#stays),*) };
        Self { header, clause, moved, bounds }
    }

    /// The parameters of a companion or of a site, and its bounds.
    pub(super) fn of(&self, own: &Generics) -> (TokenStream, TokenStream) {
        let (lifetimes, others): (Vec<_>, Vec<_>) = self
            .moved
            .iter()
            .chain(&own.params)
            .partition(|param| matches!(param, GenericParam::Lifetime(_)));
        let params: Vec<_> = lifetimes.into_iter().chain(others).collect();
        let before = if params.is_empty() { TokenStream::new() } else { quote!(<#(#params),*>) };
        let bounds = own.where_clause.iter().flat_map(|clause| &clause.predicates).chain(&self.bounds);
        let bounds: Vec<_> = bounds.collect();
        let after = if bounds.is_empty() { TokenStream::new() } else { quote!(where #(#bounds),*) };
        (before, after)
    }
}

/// `::<T, N>` of the type and const parameters, where there are some.
pub(super) fn turbofish<'a>(params: impl Iterator<Item = &'a GenericParam>) -> TokenStream {
    let names: Vec<_> = params.filter(|param| !is_lifetime(param)).map(name_of).collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}

/// A type that is another one for each instance, and its name with the arguments of this one.
pub(super) fn instance<'a>(
    params: impl Iterator<Item = &'a GenericParam>,
) -> Option<(TokenStream, TokenStream)> {
    let (mut declared, mut parts, mut given) = (Vec::new(), Vec::new(), Vec::new());
    for param in params {
        match param {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(param) => {
                let ident = &param.ident;
                declared.push(quote!(#ident: ?::core::marker::Sized));
                parts.push(quote!(*const #ident));
                given.push(ident.to_token_stream());
            }
            GenericParam::Const(param) => {
                let (ident, ty) = (&param.ident, &param.ty);
                declared.push(quote!(const #ident: #ty));
                given.push(ident.to_token_stream());
            }
        }
    }
    if given.is_empty() {
        return None;
    }
    let name = Ident::new("__StrataInstance", Span::call_site());
    let declaration = quote! {
        struct #name<#(#declared),*>(::core::marker::PhantomData<(#(#parts,)*)>);
    };
    Some((declaration, quote!(#name<#(#given),*>)))
}

/// Where the compiler is to complain of a type parameter that is not `'static`: in the place of the first one; the others are
/// asked about in their own.
pub(super) fn asked<'a>(
    private: &TokenStream,
    params: impl Iterator<Item = &'a GenericParam>,
) -> (Span, TokenStream) {
    let types = params.filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        _ => None,
    });
    let mut places = types.map(|ident| (ident, Span::call_site().located_at(ident.span())));
    let first = places.next().map_or_else(Span::call_site, |(_, here)| here);
    let others = places.map(|(ident, here)| quote_spanned!(here=> let _ = #private::is_static::<#ident>;));
    (first, quote!(#(#others)*))
}

pub(super) fn is_lifetime(param: &GenericParam) -> bool {
    matches!(param, GenericParam::Lifetime(_))
}

/// The name; of a lifetime what comes after the apostrophe, which is a token of its own.
fn name_of(param: &GenericParam) -> Ident {
    match param {
        GenericParam::Lifetime(param) => param.lifetime.ident.clone(),
        GenericParam::Type(param) => param.ident.clone(),
        GenericParam::Const(param) => param.ident.clone(),
    }
}
